"""The queue and the places on instances, without a clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinserve.deployment import Deployment, Kind
from twinserve.runtime.slots import Slots, Ticket
from twinserve.scaling.rules import State


def slots(
    concurrency: int = 1, max_instances: int = 2, min_instances: int = 0, idle_s: float = 60.0
) -> Slots:
    return Slots(
        Deployment(
            "side",
            Kind.FUNCTION,
            "random-16",
            concurrency=concurrency,
            min_instances=min_instances,
            max_instances=max_instances,
            idle_s=idle_s,
        )
    )


def started(bookkeeping: Slots, started_s: float = 0.0, ready_s: float = 0.0) -> str:
    name = bookkeeping.add(started_s)
    bookkeeping.ready(name, ready_s)
    return name


def to_start(book: Slots, now_s: float = 0.0) -> int:
    book.decide(now_s)
    return book.to_start()


def to_stop(book: Slots, now_s: float) -> list[str]:
    book.decide(now_s)
    return book.to_stop()


def overdue(book: Slots, now_s: float) -> list[Ticket]:
    book.decide(now_s)
    return book.overdue(now_s)


def test_requests_are_served_in_the_order_of_their_arrival() -> None:
    book = slots()
    started(book)
    first, second, third = (book.enqueue(float(n)) for n in range(3))
    served = []
    for ticket in (first, second, third):
        served += book.assign(3.0)
        book.release(ticket, 3.0)
    assert served == [first, second, third]


def test_an_instance_never_gets_more_than_its_concurrency() -> None:
    book = slots(concurrency=3)
    name = started(book)
    for _ in range(5):
        book.enqueue(0.0)
    assert len(book.assign(0.0)) == 3
    assert book.instances[name].in_flight == 3
    assert len(book.queue) == 2


def test_the_emptiest_instance_is_preferred_and_the_older_among_equals() -> None:
    book = slots(concurrency=2)
    names = [started(book), started(book)]
    for _ in range(3):
        book.enqueue(0.0)
    assert [ticket.instance for ticket in book.assign(0.0)] == [names[0], names[1], names[0]]


def test_the_wait_for_a_start_is_cold_and_the_wait_behind_others_is_queue() -> None:
    book = slots(max_instances=1)
    first, second = book.enqueue(10.0), book.enqueue(10.5)
    name = book.add(10.0)
    book.ready(name, 12.0)
    assert book.assign(12.0) == [first]
    book.release(first, 15.0)
    assert book.assign(15.0) == [second]
    assert (first.cold_s, first.queue_s) == (2.0, 0.0)
    assert (second.cold_s, second.queue_s) == (1.5, 3.0)


def test_a_request_that_finds_a_ready_instance_is_not_cold() -> None:
    book = slots()
    started(book, started_s=0.0, ready_s=2.0)
    ticket = book.enqueue(5.0)
    book.assign(5.25)
    assert (ticket.cold_s, ticket.queue_s) == (0.0, 0.25)


def test_a_request_that_gives_up_frees_its_place_in_the_queue() -> None:
    book = slots()
    started(book)
    first, gone, last = (book.enqueue(0.0) for _ in range(3))
    book.assign(0.0)
    book.release(gone, 1.0)
    book.release(first, 1.0)
    assert book.assign(1.0) == [last]
    assert not book.queue


def test_a_retried_request_goes_first_and_elsewhere() -> None:
    book = slots()
    bad, good = started(book), started(book)
    failed = book.enqueue(0.0)
    book.assign(0.0)
    assert failed.instance == bad
    waiting = book.enqueue(1.0)
    book.retry(failed, 2.0)
    assert book.assign(2.0) == [failed, waiting]
    assert failed.instance == good


def test_a_retried_request_goes_to_the_same_instance_where_there_is_no_other() -> None:
    book = slots()
    only = started(book)
    ticket = book.enqueue(0.0)
    book.assign(0.0)
    book.retry(ticket, 1.0)
    assert book.assign(1.0) == [ticket]
    assert ticket.instance == only


def test_releasing_a_request_of_a_vanished_instance_is_harmless() -> None:
    book = slots()
    name = started(book)
    ticket = book.enqueue(0.0)
    book.assign(0.0)
    book.remove(name, 0.0)
    book.release(ticket, 1.0)
    book.release(ticket, 1.0)
    assert book.in_flight == 0


def test_instances_are_started_for_what_waits_and_counted_while_starting() -> None:
    book = slots(max_instances=3)
    assert to_start(book) == 0
    book.enqueue(0.0)
    book.enqueue(0.0)
    assert to_start(book) == 2
    book.add(0.0)
    assert to_start(book) == 1
    assert book.add(0.0) == "side-2"


def test_a_stopping_instance_counts_no_more_and_takes_nothing() -> None:
    book = slots(max_instances=1)
    name = started(book)
    book.stopping(name, 0.0)
    book.enqueue(0.0)
    assert book.assign(0.0) == []
    assert to_start(book) == 1


def test_the_minimum_is_wanted_without_any_request() -> None:
    assert to_start(slots(min_instances=2)) == 2


def test_an_idle_instance_stops_after_its_time_and_a_busy_one_does_not() -> None:
    book = slots(concurrency=2, idle_s=5.0)
    idle, busy = started(book), started(book)
    book.enqueue(0.0)
    book.enqueue(0.0)
    first, second = book.assign(0.0)
    assert (first.instance, second.instance) == (idle, busy)
    book.release(first, 1.0)
    assert to_stop(book, 6.0) == []
    assert to_stop(book, 6.1) == [idle]
    assert book.count(State.READY) == 2


def test_an_instance_that_got_work_since_the_decision_is_not_stopped() -> None:
    book = slots(idle_s=5.0)
    started(book)
    assert to_stop(book, 100.0) == ["side-1"]
    book.enqueue(100.0)
    book.assign(100.0)
    assert book.to_stop() == []


def test_the_queue_is_full_at_the_policys_limit() -> None:
    book = slots()
    for _ in range(999):
        book.enqueue(0.0)
    assert not book.is_full
    book.enqueue(0.0)
    assert book.is_full


def test_concurrency_0_is_any_number_of_requests_at_a_time() -> None:
    book = Slots(
        Deployment("side", Kind.CONTAINER, "m", concurrency=0, policy="knative", max_instances=1)
    )
    started(book)
    tickets = [book.enqueue(0.0) for _ in range(500)]
    assert book.assign(0.0) == tickets


def test_an_instance_hangs_when_it_answered_nothing_since_the_request() -> None:
    book = slots(concurrency=2)
    started(book)
    stuck, quick = book.enqueue(1.0), book.enqueue(1.0)
    book.assign(1.0)
    assert book.hangs(stuck)
    book.answered(quick, 2.0)
    book.release(quick, 2.0)
    assert not book.hangs(stuck)


def test_the_meter_is_told_of_everything() -> None:
    book = slots(idle_s=60.0)
    name = book.add(0.0)
    book.ready(name, 2.0)
    ticket = book.enqueue(2.0)
    book.assign(2.0)
    book.release(ticket, 3.0)
    book.stopping(name, 10.0)
    book.remove(name, 11.0)
    request, instance, *_ = book.meter.billed(11.0)
    assert (request.requests, request.instances) == (1, 1)
    assert (round(request.billable_s, 6), round(instance.billable_s, 6)) == (4.0, 11.0)


def test_requests_wait_ten_seconds_behind_full_instances_and_no_longer() -> None:
    book = slots(max_instances=1)
    started(book, ready_s=1.0)
    book.enqueue(0.0)
    book.assign(1.0)
    late = book.enqueue(2.0)
    assert overdue(book, 12.0) == []
    assert overdue(book, 12.1) == [late]


def test_the_wait_is_counted_from_the_last_instance_that_became_ready() -> None:
    book = slots(max_instances=1)
    book.enqueue(0.0)
    late = book.enqueue(0.0)
    name = book.add(0.0)
    assert overdue(book, 100.0) == []  # the start has its own deadline
    book.ready(name, 100.0)  # mean start 100 s: the limit is 350 s
    book.assign(100.0)
    assert overdue(book, 450.0) == []
    assert overdue(book, 450.1) == [late]


@given(
    st.lists(st.sampled_from(["arrive", "done", "start", "ready", "kill", "retry", "give up"])),
    st.integers(1, 3),
)
def test_whatever_happens_limits_hold_and_no_request_is_lost(
    steps: list[str], concurrency: int
) -> None:
    book = slots(concurrency=concurrency, max_instances=3)
    running = []
    alive = 0  # requests neither done nor given up
    for now, step in enumerate(steps):
        if step == "arrive":
            book.enqueue(now)
            alive += 1
        elif step == "done" and running:
            book.release(running.pop(0), now)
            alive -= 1
        elif step == "retry" and running:
            book.retry(running.pop(), now)
        elif step == "give up" and book.queue:
            book.release(book.queue[-1], now)
            alive -= 1
        elif step == "start" and to_start(book, now):
            book.add(now)
        elif step == "ready":
            for name, slot in book.instances.items():
                if slot.state is State.STARTING:
                    book.ready(name, now)
                    break
        elif step == "kill" and book.instances:
            dead = next(iter(book.instances))
            book.remove(dead, now)
            for ticket in [ticket for ticket in running if ticket.instance == dead]:
                running.remove(ticket)
                book.retry(ticket, now)
        running += book.assign(now)
        assert len(book.queue) + len(running) == alive
        assert all(0 <= slot.in_flight <= concurrency for slot in book.instances.values())
        assert book.in_flight == len(running)
        assert all(ticket.queue_s >= 0 and ticket.cold_s >= 0 for ticket in running)
