"""Workloads as files: what is read, and what is refused with its line and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinserve.errors import UsageError
from twinserve.workload import Ask, Bursts, ClosedLoop, Day, Poisson, Trace, Workload
from twinserve.workload.file import read_workload
from twinserve.workload.profiles import PROFILES, profile, profile_path

EXAMPLES = Path(__file__).parents[2] / "examples" / "workloads"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_every_key_is_read(tmp_path: Path) -> None:
    text = """
        blocks = 4
        block = "1m"
        warmup = 3
        seed = 9
        repeats = 2
        concurrent = true

        [arrivals]
        kind = "closed"
        users = 8
        think = "0.5s"
        ramp = "10s"

        [[mix]]
        weight = 3

        [[mix]]
        images = 4
        format = "webp"
    """
    assert read_workload(written(tmp_path, text)) == Workload(
        profile="mine",
        arrivals=ClosedLoop(users=8, think_s=0.5, ramp_s=10.0),
        mix=(Ask(weight=3.0), Ask(images=4, format="webp")),
        blocks=4,
        block_s=60.0,
        warmup_s=3.0,
        seed=9,
        repeats=2,
        concurrent=True,
    )


@pytest.mark.parametrize(
    ("table", "arrivals"),
    [
        ('kind = "poisson"\nrate = 2.5', Poisson(rate_rps=2.5)),
        (
            'kind = "bursts"\nrate = 0\nburst_rate = 9\nevery = "1m"\nlasts = 5',
            Bursts(rate_rps=0, burst_rps=9, every_s=60, lasts_s=5),
        ),
        ('kind = "day"\nrate = 2\nday = "4m"', Day(rate_rps=2, day_s=240)),
        (
            f'kind = "day"\nrate = 2\nhours = {[1] * 24}\nweek = {[2] * 7}',
            Day(rate_rps=2, hours=(1.0,) * 24, week=(2.0,) * 7),
        ),
    ],
)
def test_each_kind_of_arrivals_is_read(tmp_path: Path, table: str, arrivals: object) -> None:
    assert read_workload(written(tmp_path, f"[arrivals]\n{table}\n")).arrivals == arrivals


def test_a_trace_is_read_from_the_file_beside(tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("# seconds\n0\n0.25  # twice\n0.25\n\n40\n")
    text = '[arrivals]\nkind = "trace"\nfile = "times.txt"\n'
    found = read_workload(written(tmp_path, text))
    assert found.arrivals == Trace(file="times.txt", times_s=(0.0, 0.25, 0.25, 40.0))
    assert found.rate_rps == 4 / 40


def test_bodies_are_read_from_the_file_beside(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"seed": 1}\n\n  {"num_images": 2}\n')
    text = '[arrivals]\nkind = "closed"\nusers = 1\n[[mix]]\nsamples = "own.jsonl"\n'
    (ask,) = read_workload(written(tmp_path, text)).mix
    assert (ask.samples, ask.bodies) == ("own.jsonl", ('{"seed": 1}', '{"num_images": 2}'))


CLOSED = '[arrivals]\nkind = "closed"\nusers = 4\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r'line 1: arrivals.kind is missing; allowed are "closed", "constant"'),
        ('[arrivals]\nkind = "spikes"', r'line 2: arrivals.kind is "spikes"; allowed are "closed"'),
        ("arrivals = 3", r"line 1: arrivals is 3; allowed is a table, \[arrivals\]"),
        ('[arrivals]\nkind = "closed"', r"line 1: arrivals.users is missing; allowed is a whole"),
        ('[arrivals]\nkind = "closed"\nusers = 0', r"line 3: arrivals.users is 0; .* 1 to 1,000"),
        (
            '[arrivals]\nkind = "closed"\nusers = 4\nrate = 2',
            r"line 4: arrivals.rate is no known key; known are users, think, ramp",
        ),
        (f'block = "soon"\n{CLOSED}', r'line 1: block is "soon"; allowed is seconds as a number'),
        (f"block = 0.1\n{CLOSED}", r"line 1: block is 0.1 s; allowed is 0.5 s or more"),
        (f"warmup = -1\n{CLOSED}", r"line 1: warmup is -1; allowed is seconds"),
        (f"speed = 1\n{CLOSED}", r"line 1: speed is no known key; known are blocks, block, warmup"),
        (
            '[arrivals]\nkind = "poisson"\nrate = 0',
            r"line 3: arrivals.rate is 0; allowed is requests a second, above 0",
        ),
        (
            'block = 3\n[arrivals]\nkind = "poisson"\nrate = 0.1',
            r"line 1: block is 3 s; at 0.1 requests a second .* less than one. Allowed is 10 s",
        ),
        (
            '[arrivals]\nkind = "bursts"\nrate = 1\nburst_rate = 2\nevery = "2s"\nlasts = "2s"',
            r'line 6: arrivals.lasts is "2s"; allowed is more than 0 and less than every, 2 s',
        ),
        (
            f'[arrivals]\nkind = "day"\nrate = 1\nhours = {[1] * 23}',
            r"line 4: arrivals.hours is \[1, 1.*; allowed is 24 weights",
        ),
        (
            f'[arrivals]\nkind = "day"\nrate = 1\nweek = {[0] * 7}',
            r"line 4: arrivals.week are all 0; allowed is at least one weight above 0",
        ),
        (f"cold = true\n{CLOSED}", r"line 1: cold is true with 4 users; only one user"),
        (
            'cold = true\n[arrivals]\nkind = "constant"\nrate = 1',
            r"line 1: cold is true with an open loop; only one user",
        ),
        (
            f"{CLOSED}[[mix]]\nimages = 1\n[[mix]]\nimages = 2\nweight = 0\n",
            r"line 8: mix.weight is 0; allowed is a number above 0",
        ),
        (f'{CLOSED}[[mix]]\nformat = "gif"', r'line 5: mix.format is "gif"; allowed is "json", "p'),
        (f"mix = []\n{CLOSED}", r"line 1: mix is empty; allowed is at least one kind of request"),
        (
            f'{CLOSED}[[mix]]\nsamples = "none.jsonl"',
            r"line 5: mix.samples cannot be used: .*none.jsonl cannot be read \(No such file",
        ),
        (
            f'{CLOSED}[[mix]]\nsamples = "none.jsonl"\nimages = 2',
            r"line 6: mix.images goes without samples",
        ),
        (
            '[arrivals]\nkind = "trace"\nfile = "none.txt"',
            r"line 3: arrivals.file cannot be used: .*none.txt cannot be read",
        ),
        ("blocks = ", r"is not TOML: Invalid value"),
    ],
)
def test_an_impossible_workload_is_refused_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read_workload(written(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("0\n2\n1\n", r"times.txt, line 3: '1'; allowed is a time in seconds, 2 or more"),
        ("soon\n", r"times.txt, line 1: 'soon'; allowed is a time in seconds, 0 or more"),
        ("-1\n", r"line 1: '-1'; allowed"),
        ("1\nnan\n", r"line 2: 'nan'; allowed"),
        ("# nothing\n", r"has no time above 0"),
        ("1\n2\n3\n", r"block is 3.5 s; 10 of them last 35 s, and times.txt ends at 3 s. Allowed"),
    ],
)
def test_a_trace_that_cannot_be_played_is_refused(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "times.txt").write_text(lines)
    with pytest.raises(UsageError, match=said):
        read_workload(written(tmp_path, '[arrivals]\nkind = "trace"\nfile = "times.txt"\n'))


@pytest.mark.parametrize("lines", ["[1]\n", "{}\nhello\n", "\n"])
def test_samples_that_are_no_json_objects_are_refused(tmp_path: Path, lines: str) -> None:
    (tmp_path / "own.jsonl").write_text(lines)
    with pytest.raises(UsageError, match=r"mix.samples cannot be used: .*own.jsonl"):
        read_workload(written(tmp_path, f'{CLOSED}[[mix]]\nsamples = "own.jsonl"\n'))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_can_be_run(path: Path) -> None:
    assert read_workload(path).profile == path.stem


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_an_example(name: str) -> None:
    assert (EXAMPLES / f"{name}.toml").samefile(profile_path(name))
    assert profile(name).profile == name
