"""The gate ``host``: the machine had room for what it was asked, and was left alone."""

from __future__ import annotations

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates.outcome import FAIL, PASS, UNKNOWN, Part, gate_of
from twinserve.analysis.rows import Floats
from twinserve.analysis.watched import Watched, mean_of, share_above
from twinserve.analysis.words import count, share
from twinserve.records.manifest import REMOTE, Manifest

# A tenth of a core more than there are slows an instance of one CPU by a tenth, which is what
# counts as equal between the sides.
BEYOND_CORES = 0.10
# Of all cores. On two cores a tenth is a fifth of a core: with one CPU for the instance and a part
# of the other for generator and gateway it still finds a place of its own.
OTHERS_SHARE, OTHERS_PEAK = 0.10, 0.25
STEAL_SHARE, STEAL_PEAK = 0.02, 0.10  # stolen time finds no place of its own: it stops whoever ran
SWAP_PEAK_MIB = 1.0  # a second; a page that is read back stops its process for a disk access
# A disturbance in one second of twenty makes the p95.
SECONDS_SHARE = 0.05


def judge(manifest: Manifest, watched: Watched | None) -> Gate:
    """Granted CPUs fit, nothing was swapped, stolen or throttled, and others used little CPU."""
    if watched is None:
        return gate_of("host", [_unwatched()])
    if watched.is_short:
        return gate_of("host", [Part(UNKNOWN, watched.short_sentence)])
    return gate_of(
        "host",
        [
            *_granted(manifest, watched),
            _others(watched),
            _steal(watched),
            _swapping(watched),
            _throttling(watched),
            *_heat(watched),
            *_pressure(watched),
        ],
    )


def _unwatched() -> Part:
    return Part(
        UNKNOWN,
        "This run has no host.csv, so whether other work was in the way is not known.",
        "Runs of this version write it.",
    )


def _granted(manifest: Manifest, watched: Watched) -> list[Part]:
    """CPUs of the instances that ran at once, and what generator and gateways used, against the
    cores; services elsewhere have cores of their own. Of a side without readings as many instances
    count as were allowed."""
    if manifest.runner == REMOTE or not manifest.deployments:
        return []
    cores, together = manifest.hardware.cores, manifest.workload.concurrent
    sides = [
        each.cpu * watched.instances.get(name, each.max_instances)
        for name, each in manifest.deployments.items()
    ]
    granted = sum(sides) if together else max(sides)
    overhead = _overhead_cores(watched)
    said = (
        f"{'Both sides together' if together else 'One side at a time'} had up to "
        f"{granted:.3g} CPU for {'their' if together else 'its'} instances, load generator and "
        f"gateways used {overhead:.2f}, and there {'is' if cores == 1 else 'are'} "
        f"{count(cores, 'core')}."
    )
    if granted + overhead <= cores + BEYOND_CORES:
        return [Part(PASS, said)]
    remedy = "Give the instances fewer CPUs or allow fewer of them, or take a machine with more."
    if together:
        remedy = "Load one side at a time (without concurrent), or take a machine with more cores."
    return [Part(FAIL, said, remedy, "more CPUs were granted than there are cores")]


def _overhead_cores(watched: Watched) -> float:
    known = watched.overhead_percent
    return 0.0 if known is None else mean_of(watched, known) / 100


def _others(watched: Watched) -> Part:
    said = "Other processes used {mean} of the CPU ({peak} in {often} of the seconds)"
    return _of_cpu(
        watched,
        watched.others_percent,
        (OTHERS_SHARE, OTHERS_PEAK),
        said,
        Part(
            UNKNOWN,
            "What other processes used, this system does not tell.",
            "End other work on the machine, then compare again.",
            "other processes used the CPU",
        ),
    )


def _steal(watched: Watched) -> Part:
    said = "The hypervisor gave {mean} of the CPU to others ({peak} in {often} of the seconds)"
    return _of_cpu(
        watched,
        watched.steal_percent,
        (STEAL_SHARE, STEAL_PEAK),
        said,
        Part(
            UNKNOWN,
            "Whether a hypervisor took CPU away (steal), this system does not tell.",
            "Take a virtual machine with cores of its own, or one whose CPU credits last.",
            "the hypervisor took CPU away",
        ),
    )


def _of_cpu(
    watched: Watched, percent: Floats | None, limits: tuple[float, float], said: str, ill: Part
) -> Part:
    """A part about a share of all cores: its mean and its seconds above a peak; ``ill`` holds the
    words for what is not told, or too much."""
    if percent is None:
        return Part(UNKNOWN, ill.said)
    shares = percent / 100 / watched.cores
    mean, often = mean_of(watched, shares), share_above(watched, shares, limits[1])
    told = said.format(mean=share(mean), peak=f"over {share(limits[1])}", often=share(often))
    told += f"; allowed are {share(limits[0])} and {share(SECONDS_SHARE)}."
    if mean <= limits[0] and often <= SECONDS_SHARE:
        return Part(PASS, told)
    return Part(FAIL, told, ill.remedy, ill.short)


def _swapping(watched: Watched) -> Part:
    if watched.swapped_mib is None:
        return Part(UNKNOWN, "Whether memory was swapped, this system does not tell.")
    total, often = (
        float(watched.swapped_mib.sum()),
        share_above(watched, watched.swapped_mib / watched.seconds, SWAP_PEAK_MIB),
    )
    said = (
        f"{total:.1f} MiB were swapped (over {SWAP_PEAK_MIB:g} MiB in {share(often)} of the "
        f"seconds; allowed are {share(SECONDS_SHARE)})."
    )
    if often <= SECONDS_SHARE:
        return Part(PASS, said if total else "Nothing was swapped.")
    remedy = "Free memory, or give the instances less."
    return Part(FAIL, said, remedy, "memory was swapped")


def _throttling(watched: Watched) -> Part:
    """A quota above the load generator: a container or a session with less CPU than it wants."""
    if watched.throttled is None:
        return Part(PASS, "No CPU quota lies above the load generator.")
    often = share_above(watched, watched.throttled, 0)
    said = (
        f"A CPU quota held the load generator's control group back in {share(often)} of the "
        f"seconds; allowed are {share(SECONDS_SHARE)}."
    )
    if often <= SECONDS_SHARE:
        return Part(PASS, said if often else "No CPU quota held the load generator back.")
    remedy = "Give the container or session in which this runs more CPU."
    return Part(FAIL, said, remedy, "a CPU quota was used up")


def _heat(watched: Watched) -> list[Part]:
    """Processors that slow down when they are hot; most virtual machines cannot see it."""
    if watched.heat_throttles is None:
        return []
    often = share_above(watched, watched.heat_throttles, 0)
    said = f"The processor slowed down for heat in {share(often)} of the seconds."
    if often <= SECONDS_SHARE:
        return [Part(PASS, said)] if often else []
    remedy = "Let it cool, plug it in, or take a machine with better cooling."
    return [Part(FAIL, said, remedy, "the processor was too hot")]


def _pressure(watched: Watched) -> list[Part]:
    """Told and not judged: threads of one instance that wait for its one CPU count as well."""
    if watched.pressure_percent is None:
        return []
    waiting = mean_of(watched, watched.pressure_percent) / 100
    return [
        Part(PASS, f"For {share(waiting)} of the time some thread, ours or not, waited for a CPU.")
    ]
