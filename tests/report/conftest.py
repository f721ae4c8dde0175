"""One whole report, made once: rendering five figures takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import Comparison
from twinserve.records.run import RunDirectory
from twinserve.report.build import write_report


@pytest.fixture(scope="session")
def whole_run(runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A complete run with a few errors and cold starts, its report written."""
    shapes = (runs.Shape(100.0, cold_rows=1), runs.Shape(75.0, error_share=0.005))
    run: RunDirectory = runs.write_run(tmp_path_factory.mktemp("whole") / "run", shapes=shapes)
    write_report(run, compare_run(run))
    return run


@pytest.fixture(scope="session")
def whole_comparison(whole_run: RunDirectory) -> Comparison:
    return compare_run(whole_run)


@pytest.fixture(scope="session")
def whole_page(whole_run: RunDirectory) -> str:
    return whole_run.report.read_text(encoding="utf-8")


@pytest.fixture
def page_of(make_run: Callable[..., RunDirectory]) -> Callable[..., str]:
    """``page_of(**options)``: the text of the report of a synthetic run."""

    def page(path: Path | None = None, **options: object) -> str:
        run = make_run(path, **options)
        return write_report(run, compare_run(run)).read_text(encoding="utf-8")

    return page
