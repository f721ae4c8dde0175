"""A run directory: where each record of one comparison lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinserve.errors import UsageError


@dataclass(frozen=True)
class RunDirectory:
    """Paths inside one run's directory."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> RunDirectory:
        """Make the directory.

        Raises:
            UsageError: it holds a run already, or cannot be made.
        """
        run = cls(path)
        if run.manifest.exists():
            raise UsageError(f"{path} holds a run already; name another directory with --out.")
        try:
            run.figures.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be made ({error}); name another with --out."
            ) from error
        return run

    @property
    def manifest(self) -> Path:
        return self.path / "run.json"

    @property
    def samples(self) -> Path:
        return self.path / "samples.csv"

    @property
    def resources(self) -> Path:
        return self.path / "resources.csv"

    @property
    def host(self) -> Path:
        return self.path / "host.csv"

    @property
    def billing(self) -> Path:
        return self.path / "billing.csv"

    @property
    def events(self) -> Path:
        return self.path / "instances.jsonl"

    @property
    def comparison(self) -> Path:
        return self.path / "comparison.json"

    @property
    def rates(self) -> Path:
        return self.path / "rates.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        return self.path / "figures"
