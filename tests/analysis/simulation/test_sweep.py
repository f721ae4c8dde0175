"""Rates swept: the cheaper side, where the two cross, and the verbs around it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from click.testing import CliRunner

from twinserve.analysis.cost.elsewhere import AS_MEASURED, ASSUMED, read_elsewhere
from twinserve.analysis.cost.pricing import read_book
from twinserve.analysis.simulation.model import Behaviour, Level, Model, constant
from twinserve.analysis.simulation.sweep import (
    Objective,
    Question,
    Sweep,
    arrivals_of,
    parse_objective,
    sweep,
)
from twinserve.analysis.translation import translated
from twinserve.cli import twinserve
from twinserve.deployment import Deployment, Kind
from twinserve.errors import UsageError
from twinserve.records.run import RunDirectory
from twinserve.workload.description import mean_rate_rps

BOOK = read_book()


def model(name: str, kind: Kind, work_s: float, **fields: float) -> Model:
    deployment = Deployment(name, kind, "none", idle_s=900.0, **fields)  # type: ignore[arg-type]
    return Model(deployment, Behaviour([Level(1000, constant(work_s))], constant(1.0), lanes=1))


def swept(question: Question, *models: Model, measured: bool = True) -> Sweep:
    found = {each.deployment.name: each for each in models}
    return sweep(found, BOOK, AS_MEASURED if measured else ASSUMED, question)


QUICK = Question(0.02, 10.0, [1.0], Objective(0.95, 1.0), seconds=7200.0)


def test_the_side_that_works_half_as_long_is_the_cheaper_one_where_it_matters() -> None:
    found = swept(QUICK, model("slow", Kind.FUNCTION, 0.4, concurrency=1),
                  model("fast", Kind.FUNCTION, 0.2, concurrency=1))  # fmt: skip
    assert (found.points[0].rate_rps, found.points[-1].rate_rps) == (0.02, 10.0)
    assert found.points[0].choice == "either"  # within the free tier both cost nothing
    assert found.points[-1].choice == "fast"
    costs = found.points[-1].sides
    assert costs["slow"]["likely"].month > 1.5 * costs["fast"]["likely"].month


def test_request_based_gives_way_to_a_side_that_is_always_there_as_traffic_grows() -> None:
    function = model("function", Kind.FUNCTION, 0.3, concurrency=1, memory_mib=3000)
    kept = model("kept", Kind.CONTAINER, 0.3, min_instances=2)
    question = Question(0.01, 3.0, [1.0], Objective(0.95, 5.0), False, seconds=7200.0)
    found = swept(question, function, kept)
    assert found.points[0].choice == "function"
    first = found.points[0].sides
    assert first["kept"]["likely"].month > 10 * first["function"]["likely"].month


def test_what_misses_the_objective_is_not_chosen() -> None:
    found = swept(
        Question(1.0, 1.0, [1.0], Objective(0.95, 0.3), seconds=3600.0),
        model("late", Kind.FUNCTION, 0.4, concurrency=1),
        model("early", Kind.FUNCTION, 0.25, concurrency=1, min_instances=5),
    )
    assert found.points[0].choice == "early"
    assert not found.points[0].sides["late"]["likely"].meets


def test_a_choice_that_depends_on_the_cpu_factor_is_not_clear() -> None:
    question = Question(1.0, 1.0, [1.0], Objective(0.95, 0.3), seconds=3600.0)
    sides = (model("a", Kind.FUNCTION, 0.2, concurrency=1),
             model("b", Kind.FUNCTION, 0.1, concurrency=1))  # fmt: skip
    assert swept(question, *sides, measured=False).points[0].choice in ("unclear", "b")
    point = swept(
        Question(1.0, 1.0, [1.0], Objective(0.95, 0.15), seconds=3600.0), *sides, measured=False
    ).points[0]
    assert point.choices["low"] != point.choices["high"]
    assert point.choice == "unclear"


@pytest.mark.parametrize("burstiness", [1.0, 5.0, 10.0])
def test_bursts_keep_the_mean_rate(burstiness: float) -> None:
    assert mean_rate_rps(arrivals_of(2.0, burstiness)) == pytest.approx(2.0)


def test_objectives_are_read_or_refused() -> None:
    assert parse_objective("p95<1s") == Objective(0.95, 1.0)
    assert parse_objective("p99 <= 250ms") == Objective(0.99, 0.25)
    for text in ("p95", "p80<1s", "p95<0s", "fast"):
        with pytest.raises(UsageError, match="write p50, p90, p95 or p99"):
            parse_objective(text)
    with pytest.raises(UsageError, match="burstiness is 11"):
        Question(1, 1, [11], Objective(0.95, 1))


def test_the_verb_writes_values_and_figures(make_run: Callable[..., RunDirectory]) -> None:
    run = make_run(blocks=6, rows=40)
    words = ["simulate", str(run.path), "--rate", "0.5..5", "--for", "1h", "--burstiness", "1"]
    said = CliRunner().invoke(twinserve, words)
    assert said.exit_code == 0, said.output
    assert "CPU factor 0.5 to 2 (assumed)" in said.output
    values = json.loads((run.path / "simulation.json").read_text())
    assert {point["rate_rps"] for point in values["points"]} >= {0.5, 5.0}
    assert (run.figures / "simulation-1.svg").read_text().startswith("<svg")
    again = CliRunner().invoke(twinserve, [*words, "--json"])
    assert '"choice"' in again.output
    assert json.loads((run.path / "simulation.json").read_text()) == values  # seeded


# From here to a cloud


def test_a_cold_first_request_tells_the_platform_start() -> None:
    rng = np.random.default_rng(1)
    here, there = rng.uniform(90, 110, 300), rng.uniform(140, 160, 49)
    found, said = translated(there, here, 4.65, np.full(49, 0.15), 1.0, "http://there")
    assert found.cpu_factor.likely == pytest.approx(1.5, rel=0.03)
    assert found.platform_start_s.likely == pytest.approx(3.0, rel=0.05)
    assert found.cpu_factor.measured and found.platform_start_s.measured
    assert len(said) == 2


def test_a_warm_first_request_leaves_the_start_assumed() -> None:
    values = np.full(49, 150.0) + np.arange(49) % 7
    found, said = translated(values, values, 0.16, np.full(49, 0.15), 1.0, "http://there")
    assert not found.platform_start_s.measured
    assert "stays assumed at 0 to 10 s" in said[1]


def test_calibrate_asks_a_real_server_and_keeps_what_it_found(
    make_run: Callable[..., RunDirectory],
) -> None:
    run = make_run(blocks=6, rows=40)
    with deployment() as url:
        said = CliRunner().invoke(twinserve, ["calibrate", str(run.path), "--url", url])
    assert said.exit_code == 0, said.output
    found = read_elsewhere(run.path)
    assert found.cpu_factor.measured
    assert found.requests == 49
    nobody = CliRunner().invoke(twinserve, ["calibrate", str(run.path), "--url", url])
    assert nobody.exit_code == 1 or isinstance(nobody.exception, UsageError)


@contextmanager
def deployment() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Server-Timing", "process;dur=120.5")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """No log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
