from dataclasses import replace

import pytest

from twinserve.analysis.comparison import Estimate, Gate, GateStatus, Strength
from twinserve.analysis.verdict import Candidate, Evidence, Objective, decide

NAMES = ("equality", "load", "drift", "saturation", "host", "errors", "cold")


def gates(**statuses):
    return [Gate(n, GateStatus(statuses.get(n, "pass")), f"what {n} saw.") for n in NAMES]


def candidate(name, p95, low=None, high=None, errors=0, requests=2000, why=None):
    limits = Estimate(p95, low if low else 0.97 * p95, high if high else 1.03 * p95)
    return Candidate(name, requests, errors, limits, why)


def evidence(first=110.0, second=84.0, low=-33.0, high=-19.0, **more):
    defaults = {
        "first": candidate("kettle", first),
        "second": candidate("toaster", second),
        "difference": Estimate(second - first, low, high),
        "gates": gates(),
        "scope": "here",
        "local": False,
    }
    return Evidence(**(defaults | more))


@pytest.mark.parametrize(
    ("case", "choice", "says"),
    [
        (evidence(), "toaster", "The toaster answers 1.3 times as fast as the kettle"),
        (
            evidence(84, 110, 19, 33),
            "kettle",
            "The kettle answers 1.3 times as fast as the toaster",
        ),
        (evidence(100, 101, -4, 6), "either", "Choose either"),
        (evidence(100, 95, -9.4, -0.5), "either", "within 10 %"),
        (evidence(100, 101, -14, 16), "undetermined", "from -14.0 ms to 16.0 ms, past zero"),
        (evidence(1500, 2100, 400, 800), "neither", "takes up to 1.50 s"),
        (evidence(1500, 900, -700, -500), "toaster", "Choose the toaster"),
        (evidence(990, 1010, -5, 45), "kettle", "the toaster takes up to 1.01 s"),
        (evidence(1000, 1000, -5, 5), "either", "Choose either"),
        (evidence(gates=gates(drift="fail")), "undetermined", "the gate drift failed"),
        (
            evidence(gates=gates(load="fail", cold="fail")),
            "undetermined",
            "the gates load and cold failed",
        ),
        (evidence(2000, 3000, 1, 2, gates=gates(load="fail")), "undetermined", "the gate load"),
        (evidence(difference=None), "undetermined", "no interval"),
    ],
)
def test_the_rule_chooses(case, choice, says):
    verdict = decide(case)
    assert verdict.choice == choice
    assert says in verdict.sentence


def test_a_side_with_errors_is_not_chosen_even_when_it_is_faster():
    verdict = decide(replace(evidence(), second=candidate("toaster", 84.0, errors=40)))
    assert verdict.choice == "kettle"
    assert "the toaster fails 2 % of its requests" in verdict.sentence


def test_two_sides_with_errors_are_neither():
    first, second = (candidate(n, 84.0, errors=20) for n in ("kettle", "toaster"))
    verdict = decide(replace(evidence(), first=first, second=second))
    assert verdict.choice == "neither"
    assert "the kettle fails 1 % of its requests and the toaster fails 1 %" in verdict.sentence


def test_a_side_that_is_slow_and_fails_says_both():
    second = candidate("toaster", 1500.0, errors=400)
    sentence = decide(replace(evidence(), second=second)).sentence
    assert (
        "takes up to 1.50 s for 95 of 100 requests (allowed are 1.00 s) and fails 20 %" in sentence
    )


def test_a_p95_that_the_design_leaves_untold_says_what_is_missing():
    why = "p95 needs 1,000 rows, there are 400"
    verdict = decide(replace(evidence(), first=candidate("kettle", 110.0, why=why)))
    assert verdict.choice == "undetermined"
    assert "kettle: p95 needs 1,000 rows" in verdict.sentence
    assert "there are 400" in verdict.sentence


def test_a_side_without_an_answer_leaves_it_undetermined():
    silent = Candidate("toaster", requests=12, errors=12, p95=None)
    verdict = decide(replace(evidence(), second=silent, difference=None))
    assert verdict.choice == "undetermined"
    assert "toaster: no request was answered" in verdict.sentence
    assert any("12 failed (100 %), none answered" in reason for reason in verdict.reasons)


def test_a_wide_interval_says_how_many_blocks_would_tell():
    verdict = decide(evidence(100, 104, -5, 13, blocks_needed=34))
    assert "about 34 blocks a side would tell" in verdict.sentence


@pytest.mark.parametrize(
    ("local", "statuses", "strength"),
    [
        (False, {}, Strength.FIRM),
        (True, {}, Strength.PROVISIONAL),
        (False, {"host": "unknown"}, Strength.PROVISIONAL),
    ],
)
def test_a_verdict_is_firm_only_away_from_one_machine_with_every_gate_known(
    local, statuses, strength
):
    assert decide(evidence(local=local, gates=gates(**statuses))).strength is strength


def test_a_local_sentence_says_so_and_a_firm_one_does_not():
    assert decide(evidence(local=True)).sentence.endswith(
        "(p95 84 ms against 110 ms), measured on one machine."
    )
    assert decide(evidence()).sentence.endswith("(p95 84 ms against 110 ms).")


def test_reasons_carry_the_numbers():
    case = evidence(
        local=True,
        gates=gates(host="unknown", saturation="unknown"),
        detectable_ms=9.0,
        remarks=["The run was interrupted."],
    )
    assert decide(case).reasons == [
        "kettle: p95 of elapsed 110 ms (107 ms to 113 ms); 2,000 requests, 0 failed (0 %).",
        "toaster: p95 of elapsed 84 ms (81 ms to 87 ms); 2,000 requests, 0 failed (0 %).",
        "Difference of p95, toaster minus kettle: -26 ms (-33 ms to -19.0 ms, 95 % confidence).",
        "Runs like this one nearly always see a difference of p95 of 9.0 ms or more.",
        "Provisional: not known are the gates saturation and host.",
        "Provisional: both sides ran on one machine, not on a cloud.",
        "The run was interrupted.",
    ]


def test_a_failed_gate_gives_its_detail_as_a_reason():
    reasons = decide(evidence(gates=gates(drift="fail"))).reasons
    assert "Gate drift failed: what drift saw." in reasons


def test_an_interval_across_the_objective_is_said():
    near = candidate("toaster", 990.0, low=950.0, high=1040.0)
    reasons = decide(replace(evidence(first=2000.0), second=near)).reasons
    assert any("toaster's p95 reaches across the 1.00 s allowed" in reason for reason in reasons)


def test_the_objective_is_the_callers():
    strict = evidence(objective=Objective(p95_ms=50.0))
    verdict = decide(strict)
    assert verdict.choice == "neither"
    assert "within 50 ms" in verdict.rule


@pytest.mark.parametrize(
    ("blocks", "unit", "said"),
    [
        ((6, 20), "block", "6 blocks a side do not rule out a slow mode"),
        ((9, 9), "repeat", "9 repeats a side do not rule out a slow mode"),
        ((10, 10), "block", None),
        ((5, 5), "block", None),  # undetermined anyway
    ],
)
def test_few_blocks_do_not_rule_out_a_rare_slow_mode(blocks, unit, said):
    first, second = (
        replace(candidate(name, 100.0), blocks=count)
        for name, count in zip(("kettle", "toaster"), blocks, strict=True)
    )
    reasons = decide(replace(evidence(unit=unit), first=first, second=second)).reasons
    found = [reason for reason in reasons if "slow mode" in reason]
    assert found == [] if said is None else found[0].startswith(said)


def test_of_two_logs_nothing_is_said_of_slow_modes():
    first, second = (replace(candidate(name, 100.0), blocks=6) for name in ("kettle", "toaster"))
    logs = decide(replace(evidence(allowance=0.15), first=first, second=second))
    assert not any("slow mode" in reason for reason in logs.reasons)
