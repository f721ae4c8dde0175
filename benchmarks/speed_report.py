"""What ``model_speed.py`` measured, as values, targets and lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

FULL_SIZE_SIDE = 512
REFERENCE = "2048x2048x2048"  # larger than the caches near the core, square, and no special case
BUSY = 1.2  # wall over CPU time from which other work on the core is said


@dataclass(frozen=True)
class Measured:
    """Median times of one request or start, and the most memory that the process had held."""

    cpu_ms: float
    wall_ms: float
    peak_mib: float


@dataclass(frozen=True)
class AgainstProduct:
    """Operations of one image on the fused graph, and operations per second reached."""

    operations: int
    network_per_s: float
    products_per_s: Mapping[str, float]

    @property
    def reference(self) -> str:
        """The product that the target is about, by the library that is faster at it."""
        names = [name for name in self.products_per_s if name.endswith(REFERENCE)]
        return max(names, key=lambda name: self.products_per_s[name])

    @property
    def share(self) -> float:
        return self.network_per_s / self.products_per_s[self.reference]


@dataclass(frozen=True)
class Target:
    """``met`` is None where the target is not meant for what was measured."""

    name: str
    wanted: float
    reached: float
    unit: str
    met: bool | None


@dataclass(frozen=True)
class Report:
    """``warm`` and ``cold`` have the published way's name and ours' (their arithmetic's)."""

    model: str
    resolution: int
    rounds: int
    core: int | None
    hardware: Mapping[str, str]
    versions: Mapping[str, str]
    alike_db: Mapping[str, float]
    warm: Mapping[int, Mapping[str, Measured]]
    cold: Mapping[str, Measured]
    products: Mapping[str, AgainstProduct]
    schema_version: int = 1
    fastest: str = field(init=False)
    targets: tuple[Target, ...] = field(init=False)

    def __post_init__(self) -> None:
        fastest = min(self.products, key=lambda name: self.warm[1][name].cpu_ms)
        object.__setattr__(self, "fastest", fastest)
        object.__setattr__(self, "targets", tuple(_targets(self, fastest)))


def report_lines(report: Report) -> Iterator[str]:
    """A readable account; targets last."""
    yield f"{report.model}, {report.resolution}x{report.resolution}, medians of {report.rounds}"
    pinned = "no core" if report.core is None else f"core {report.core}"
    yield f"{', '.join(report.hardware.values())}; pinned to {pinned}, one thread"
    yield ", ".join(f"{name} {version}" for name, version in report.versions.items())
    alike = (f"{name} {value:.1f} dB" for name, value in report.alike_db.items())
    yield f"pictures like the published ones: {', '.join(alike)}"
    yield ""
    yield from _times("Warm, CPU ms a request (times as fast as published)", _warm(report))
    yield from _times("Cold, CPU ms from process start to first image", {"1 image": report.cold})
    yield from _memory(report)
    yield from _products(report)
    yield from _busy(report)
    yield f"Targets, for the fastest of ours ({report.fastest})"
    for target in report.targets:
        verdict = {True: "met", False: "MISSED", None: "not judged at this size"}[target.met]
        reached = f"{target.reached:.2f}" if target.unit else f"{target.reached:.1%}"
        wanted = f"{target.wanted:g} {target.unit}" if target.unit else f"{target.wanted:.0%}"
        yield f"  {target.name:52} {reached:>8}  target {wanted:9} {verdict}"


def _targets(report: Report, fastest: str) -> Iterator[Target]:
    def target(name: str, wanted: float, reached: float, unit: str = "times") -> Target:
        judged = report.resolution == FULL_SIZE_SIDE
        return Target(name, wanted, reached, unit, reached >= wanted if judged else None)

    for count, wanted in ((1, 5), (4, 8)):
        row = report.warm[count]
        ratio = row["published"].cpu_ms / row[fastest].cpu_ms
        yield target(f"faster, {count} image{'s' * (count > 1)}", wanted, ratio)
    cold, first = report.cold, report.warm[1]
    ratio = cold["published"].cpu_ms / cold[fastest].cpu_ms
    yield target("faster from process start to first image", 5, ratio)
    ratio = first["published"].peak_mib / first[fastest].peak_mib
    yield target("less memory, 1 image", 4, ratio)
    share = report.products[fastest].share
    yield target("of a plain matrix product's operations per second", 0.85, share, unit="")


def _warm(report: Report) -> dict[str, Mapping[str, Measured]]:
    return {f"{n} image{'s' * (n > 1)}": row for n, row in report.warm.items()}


def _times(title: str, rows: Mapping[str, Mapping[str, Measured]]) -> Iterator[str]:
    names = list(next(iter(rows.values())))
    width = max(16, *(len(name) + 2 for name in names))
    yield title
    yield f"  {'':10}" + "".join(f"{name:>{width}}" for name in names)
    for label, row in rows.items():
        published = row["published"].cpu_ms
        shown = (f"{row[name].cpu_ms:.0f} ({published / row[name].cpu_ms:.1f})" for name in names)
        yield f"  {label:10}" + "".join(f"{cell:>{width}}" for cell in shown)
    yield ""


def _memory(report: Report) -> Iterator[str]:
    yield "Most memory held, MiB"
    names = list(report.cold)
    width = max(16, *(len(name) + 2 for name in names))
    yield f"  {'':10}" + "".join(f"{name:>{width}}" for name in names)
    for label, row in (("cold", report.cold), *_warm(report).items()):
        cells = (f"{row[name].peak_mib:.0f}" if name in row else "" for name in names)
        yield f"  {label:10}" + "".join(f"{cell:>{width}}" for cell in cells)
    yield ""


def _products(report: Report) -> Iterator[str]:
    operations = next(iter(report.products.values())).operations
    yield f"Operations, billions: {operations / 1e9:.3g} an image, fused; a second:"
    for name, found in report.products.items():
        yield f"  {name}: network {found.network_per_s / 1e9:.0f}"
        for product, rate in found.products_per_s.items():
            judged = " (judged)" if product == found.reference else ""
            share = found.network_per_s / rate
            yield f"    {product:28} {rate / 1e9:6.0f}  network reaches {share:.0%}{judged}"
    yield ""


def _busy(report: Report) -> Iterator[str]:
    rows = [measured for row in report.warm.values() for measured in row.values()]
    stretch = sum(row.wall_ms for row in rows) / sum(row.cpu_ms for row in rows)
    if stretch > BUSY:
        yield (
            f"Other work shared this core: wall times were {stretch:.1f} times the CPU times shown."
        )
        yield ""
