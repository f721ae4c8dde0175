"""Plans for JMeter, and what its threads and rows tell."""

import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import msgspec
import pytest

from twinserve.errors import UsageError
from twinserve.load.jmeter import _Rows
from twinserve.load.jmeter_home import find_jmeter
from twinserve.load.jmeter_plan import (
    Place,
    check_can_run,
    groups,
    host_of,
    place_of,
    shared_users,
    whole_seconds,
    write_plan,
)
from twinserve.load.plan import draw_blocks
from twinserve.records.samples import Phase
from twinserve.workload import Ask, ClosedLoop, Poisson
from twinserve.workload.profiles import profile

URLS = {"left & right": "http://127.0.0.1:8081", "other": "https://example.org/base/"}
QUICK = msgspec.structs.replace(
    profile("quick"),
    arrivals=ClosedLoop(users=4, think_s=0.25),
    mix=(Ask(images=2),),
    blocks=3,
)


def plan(**options):
    return ET.fromstring(write_plan(URLS, QUICK, options.pop("users", 4), **options))  # noqa: S314


def texts(root, name):
    return [element.text for element in root.iter() if element.get("name") == name]


def test_thread_groups_are_the_blocks_in_their_drawn_order_after_the_warm_ups():
    found = [g.get("testname") for g in plan().iter("ThreadGroup")]
    drawn = [f"block {b.index}: {b.side}" for b in draw_blocks(tuple(URLS), 3, QUICK.seed)]
    assert found == [f"warm-up: {side}" for side in URLS] + drawn
    assert texts(plan(), "TestPlan.serialize_threadgroups") == ["true"]


def test_users_durations_and_think_time_are_those_of_the_workload():
    root = plan(users=4)
    assert set(texts(root, "ThreadGroup.num_threads")) == {"4"}
    assert texts(root, "ThreadGroup.duration") == ["2", "2"] + ["4"] * 6  # 3.5 s rounded up
    assert set(texts(root, "ConstantTimer.delay")) == {"250"}
    assert whole_seconds(QUICK).block_s == 4.0


def test_samplers_name_address_body_and_headers():
    root = plan(headers={"Authorization": "Bearer x"})
    sampler = next(s for s in root.iter("HTTPSamplerProxy") if s.get("testname").startswith("oth"))
    values = {p.get("name"): p.text for p in sampler if p.text and p.text.strip()}
    assert values["HTTPSampler.domain"] == "example.org"
    assert (values["HTTPSampler.protocol"], values["HTTPSampler.port"]) == ("https", "443")
    assert values["HTTPSampler.path"] == "/base/generate"
    assert values["HTTPSampler.use_keepalive"] == "false"
    (body,) = texts(sampler, "Argument.value")
    assert body.startswith('{"num_images":2,"seed":${__longSum(${n},${__threadNum}')
    assert texts(root, "Header.name") == ["Content-Type", "Authorization"]


def test_both_blocks_of_a_pair_begin_with_the_same_seed():
    starts = texts(plan(), "CounterConfig.start")[2:]
    assert starts[::2] == starts[1::2]
    assert len(set(starts)) == 3


def test_a_plan_without_warm_up_begins_with_a_block():
    bare = msgspec.structs.replace(QUICK, warmup_s=0.0)
    assert {g.phase for g in groups(("a", "b"), bare)} == {Phase.BLOCK}


@pytest.mark.parametrize(
    ("thread", "place"),
    [
        ("block 3: container 5-2", Place("container", Phase.BLOCK, 3, 1)),
        ("warm-up: container 1-1", Place("container", Phase.WARMUP, -1, 0)),
        ("block 12: my 2-1 side 9-10", Place("my 2-1 side", Phase.BLOCK, 12, 9)),
        ("10.0.0.2-block 3: a 5-2", Place("a", Phase.BLOCK, 3, 4 + 1)),
        ("Thread Group 1-1", None),
    ],
)
def test_a_threads_name_tells_side_block_and_user(thread, place):
    assert place_of(thread, 4, {"": 0, "10.0.0.1": 0, "10.0.0.2": 1}) == place


def test_a_remote_threads_name_tells_its_host():
    assert host_of("10.0.0.2:1099-block 3: a 5-2") == "10.0.0.2:1099"
    assert host_of("my-host-warm-up: a 5-2") == "my-host"
    assert host_of("block 3: a 5-2") == ""


def test_users_are_shared_evenly_by_remote_hosts_or_refused():
    assert shared_users(8, 0) == 8
    assert shared_users(8, 4) == 2
    with pytest.raises(UsageError, match="7 users cannot be shared evenly by 2 JMeter hosts; ask"):
        shared_users(7, 2)
    with pytest.raises(UsageError, match="ask for 3"):
        shared_users(1, 3)


def test_rows_are_read_as_they_grow_and_never_by_half(tmp_path):
    path = tmp_path / "out.jtl"
    rows, got = _Rows(path), []
    text = (
        'timeStamp,elapsed,threadName,success,failureMessage,"seed"\n'
        '1712476537244,5,a,false,"two\nlines, ""quoted""",7\n'
        "1712476537245,6,a,true,,8\n"
    )
    assert rows.new() == []
    for end in range(len(text) + 1):
        path.write_text(text[:end])
        got += rows.new()
    assert [(row.elapsed_ms, row.failure, row.extra[0]) for row in got] == [
        (5, 'two\nlines, "quoted"', "7"),
        (6, "", "8"),
    ]


def test_every_element_of_a_plan_is_known_to_jmeters_window(jmeter):
    """JMeter opens a plan by the names of its elements' classes and of their editors."""
    home = Path(next(w for w in jmeter.command if w.startswith("-Djmeter.home=")).split("=")[1])
    aliases = (home / "bin" / "saveservice.properties").read_text()
    named = [line.partition("=")[0] for line in aliases.splitlines() if "=" in line]
    known = {name for names in named for name in names.split(",")}
    for element in plan().iter():
        for name in ("guiclass", "testclass", "elementType"):
            if element.get(name):
                assert element.get(name) in known
    with zipfile.ZipFile(home / "bin" / "ApacheJMeter.jar") as jar:
        assert jar.testzip() is None


@pytest.mark.parametrize(
    ("said", "code", "says"),
    [
        ("5.6.3", 0, ""),
        ("art __|_\\ 2.13", 0, "JMeter is 2.13; at least 3.1"),
        ("", 0, "does not start: it said nothing"),
        ("Error: Could not find or load main class", 1, "Could not find or load main class"),
    ],
)
def test_a_program_on_the_path_is_asked_for_its_version(tmp_path, said, code, says):
    program = tmp_path / "jmeter"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}'\nexit {code}\n")
    program.chmod(0o755)
    if says:
        with pytest.raises(UsageError, match=says.replace(".", r"\.")):
            find_jmeter(None, {"PATH": str(tmp_path)})
    else:
        found = find_jmeter(None, {"PATH": str(tmp_path)})
        assert (found.command, found.version) == ((str(program),), "5.6.3")


def test_missing_java_is_said(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ApacheJMeter.jar").touch()
    with pytest.raises(UsageError, match="JMeter needs Java, and there is none on the PATH"):
        find_jmeter(str(tmp_path), {"PATH": "/nowhere"})
    with pytest.raises(UsageError, match=r"none in JAVA_HOME \(/nowhere\)"):
        find_jmeter(str(tmp_path), {"PATH": "/usr/bin", "JAVA_HOME": "/nowhere"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arrivals": Poisson(rate_rps=2)}, "its requests are due whether earlier ones are"),
        ({"arrivals": ClosedLoop(users=2, ramp_s=1.0)}, "its users ramp up"),
        ({"mix": (Ask(), Ask(images=2))}, "it mixes several kinds of request"),
        ({"mix": (Ask(format="png"),)}, "it asks for more than images in JSON"),
        ({"concurrent": True}, "both sides are loaded at the same time"),
        ({"cold": True}, "it waits for deployments without an instance"),
    ],
)
def test_what_a_plan_cannot_say_is_refused(changes, said):
    with pytest.raises(UsageError, match=f"'quick' is not for --load-tool jmeter: {said}"):
        check_can_run(msgspec.structs.replace(QUICK, **changes))


def test_a_plan_of_a_repeat_has_blocks_and_an_order_of_its_own():
    names = list(URLS)
    first, second = groups(names, QUICK), groups(names, QUICK, repeat=1)
    assert [g.block for g in second if g.block >= 0] == [6, 7, 8, 9, 10, 11]
    assert {g.pair for g in second if g.block >= 0} == {3, 4, 5}
    assert [g.side for g in first][:2] == [g.side for g in second][:2] == names


def test_three_series_have_three_groups_a_pair():
    drawn = groups(["a", "b", "contrast"], QUICK)
    assert [g.side for g in drawn if g.block < 0] == ["a", "b", "contrast"]
    assert len(drawn) == 3 + 9
