"""``twinserve.toml``: what it may say, and how a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinserve.deployment import HIDDEN, Deployment, Kind, fair_defaults
from twinserve.deployment.file import Deployments, read_deployments
from twinserve.errors import UsageError

WHOLE = """\
# comparisons of our own
[deployments.container-c8]
kind = "container"
cpu = 2
memory = "2GiB"
concurrency = 8
min_instances = 1
max_instances = 3
idle = "15m"
policy = "knative"
model = "random-64"
more_models = ["random-16", "random-64"]

[deployments.container-c8.environment]
MALLOC_ARENA_MAX = "2"
"""


def read(folder: Path, text: str, **options: object) -> Deployments:
    path = folder / "twinserve.toml"
    path.write_text(text, encoding="utf-8")
    return read_deployments(path, fair_defaults("pgan-64", idle_s=900.0, **options))  # type: ignore[arg-type]


def test_without_a_file_there_are_the_two_defaults() -> None:
    defaults = fair_defaults("pgan-64")
    assert read_deployments(None, defaults).known == defaults


def test_every_key_says_what_it_says(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    assert list(found.known) == ["container", "function", "container-c8"]
    assert found.known["container-c8"] == Deployment(
        name="container-c8",
        kind=Kind.CONTAINER,
        model="random-64",
        cpu=2.0,
        memory_mib=2048,
        concurrency=8,
        min_instances=1,
        max_instances=3,
        idle_s=900.0,
        more_models=("random-16",),
        policy="knative",
        environment={"MALLOC_ARENA_MAX": "2"},
    )


def test_what_is_left_out_comes_from_the_default_of_its_kind(tmp_path: Path) -> None:
    found = read(tmp_path, '[deployments.f2]\nkind = "function"\ncpu = 2\n').known
    assert found["f2"].cpu == 2
    assert found["f2"].concurrency == 1
    assert (found["f2"].policy, found["f2"].idle_s) == ("cloud-functions", 900.0)
    assert found["f2"].model == "pgan-64"


def test_a_default_can_be_overridden_and_keeps_the_rest(tmp_path: Path) -> None:
    found = read(tmp_path, "[deployments.container]\nconcurrency = 1\n").known
    assert list(found) == ["container", "function"]
    assert found["container"].concurrency == 1
    assert found["container"].kind is Kind.CONTAINER
    assert found["function"] == fair_defaults("pgan-64", idle_s=900.0)["function"]


def test_below_one_cpu_the_usual_concurrency_is_1(tmp_path: Path) -> None:
    text = '[deployments.small]\nkind = "container"\ncpu = 0.5\nmemory = "512MiB"\n'
    assert read(tmp_path, text).known["small"].concurrency == 1


@pytest.mark.parametrize(
    ("written", "mib"), [("512", 512), ('"512MiB"', 512), ('"0.5GiB"', 512), ('"4 GiB"', 4096)]
)
def test_memory_in_mib_or_with_a_unit(tmp_path: Path, written: str, mib: int) -> None:
    text = f"[deployments.container]\nmemory = {written}\n"
    assert read(tmp_path, text).known["container"].memory_mib == mib


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90.0), ("1.5", 1.5), ('"90s"', 90.0), ('"15m"', 900.0), ('"1h"', 3600.0)],
)
def test_idle_in_seconds_or_with_a_unit(tmp_path: Path, written: str, seconds: float) -> None:
    text = f"[deployments.container]\nidle = {written}\n"
    assert read(tmp_path, text).known["container"].idle_s == seconds


def test_a_model_of_its_own_joins_the_others_that_are_served(tmp_path: Path) -> None:
    text = '[deployments.container]\nmodel = "b"\n'
    found = read(tmp_path, text, more_models=("a", "b")).known
    assert (found["container"].model, found["container"].more_models) == ("b", ("pgan-64", "a"))
    assert (found["function"].model, found["function"].more_models) == ("pgan-64", ("a", "b"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("speed = 9", "deployments.web.speed is no known key; known are kind, cpu, memory"),
        ("cpu = 0", "deployments.web.cpu is 0; allowed is a number of CPUs from 0.08"),
        ("cpu = -1.5", "deployments.web.cpu is -1.5; allowed is"),
        ("cpu = inf", "deployments.web.cpu is inf; allowed is"),
        ("cpu = nan", "deployments.web.cpu is nan; allowed is"),
        ("cpu = true", "deployments.web.cpu is True; allowed is"),
        ('cpu = "2"', 'deployments.web.cpu is "2"; allowed is a number'),
        ('memory = "2GB"', 'deployments.web.memory is "2GB"; allowed is MiB as a whole number'),
        ("memory = 127", "deployments.web.memory is 127; allowed is"),
        ('memory = "0.3MiB"', 'deployments.web.memory is "0.3MiB"; allowed is'),
        ("concurrency = 1.5", "deployments.web.concurrency is 1.5; allowed is a whole number"),
        ("concurrency = -1", "deployments.web.concurrency is -1; allowed is"),
        ("max_instances = 0", "deployments.web.max_instances is 0; allowed is"),
        ("min_instances = 101", "deployments.web.min_instances is 101; allowed is a number up to"),
        ('idle = "soon"', 'deployments.web.idle is "soon"; allowed is seconds as a number'),
        ("idle = -1", "deployments.web.idle is -1; allowed is"),
        ('policy = ""', 'deployments.web.policy is ""; allowed is the name of a policy'),
        ('kind = "vm"', 'deployments.web.kind is "vm"; allowed is "container" or "function"'),
        ("model = 64", "deployments.web.model is 64; allowed is the name or folder of a bundle"),
        ('more_models = "a"', 'deployments.web.more_models is "a"; allowed is a list'),
        ("environment.N = 2", f'deployments.web.environment is "{HIDDEN}"; allowed is a table'),
        ('environment.PORT = "1"', "deployments.web.environment.PORT is set by the platform"),
        ('environment.K_SERVICE = "1"', "environment.K_SERVICE is set by the platform itself"),
        ('environment.TWINSERVE_MODEL = "1"', "TWINSERVE_MODEL is set by the platform itself"),
        ('environment."A B" = "1"', "environment.A B is no variable; allowed are letters"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_its_value_and_what_is_allowed(
    tmp_path: Path, line: str, said: str
) -> None:
    kind = "" if line.startswith("kind") else 'kind = "container"\n'
    text = f"\n# a comment\n[deployments.web]\n{kind}{line}\n"
    number = text.splitlines().index(line) + 1
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'twinserve.toml'}, line {number}: ")
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_refused_environment_shows_no_value(tmp_path: Path) -> None:
    for line in ('PORT = "secret"', 'TOKEN = "secret"\nNUMBER = 7'):
        with pytest.raises(UsageError) as refused:
            read(tmp_path, f"[deployments.container.environment]\n{line}\n")
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[deployments.web]\ncpu = 1\n",
            'line 1: deployments.web.kind is missing; allowed is "con',
        ),
        ("[deployments.Web]\n", "line 1: deployments.Web is no name for a deployment"),
        ("[deployments.either]\n", "line 1: deployments.either is no name for a deployment"),
        ("\n[deployments]\nweb = 3\n", "line 3: deployments.web is 3; allowed is a table"),
        ("deployments = 3\n", "line 1: deployments is 3; allowed are tables named"),
        ("\n[deploy.web]\n", "line 2: deploy is not known here; allowed are tables named"),
        ("[deployments.web\n", "is not TOML: Expected"),
    ],
)
def test_a_misplaced_table_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, text)
    assert said in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read \(No such file"):
        read_deployments(tmp_path / "none.toml", fair_defaults("m"))
    odd = tmp_path / "odd.toml"
    odd.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_deployments(odd, fair_defaults("m"))


def test_what_is_written_down_names_variables_without_their_values() -> None:
    shown = Deployment("a", Kind.CONTAINER, "m", environment={"TOKEN": "secret"}).without_values()
    assert shown.environment == {"TOKEN": HIDDEN}
