import msgspec
import numpy as np
import pytest

from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.gates import host
from twinserve.deployment import Deployment, Kind
from twinserve.records.manifest import REMOTE, read_manifest

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN


@pytest.fixture
def manifest(make_run):
    """``manifest(cpu=2, concurrent=True)`` on two cores, 1 instance a side in the readings."""
    base = read_manifest(make_run(blocks=1, rows=4, resources=False).manifest)

    def make(cpu=1.0, concurrent=False, runner="process", cores=2):
        kinds = {"left": Kind.CONTAINER, "right": Kind.FUNCTION}
        return msgspec.structs.replace(
            base,
            runner=runner,
            hardware=msgspec.structs.replace(base.hardware, cores=cores),
            deployments={
                name: Deployment(name, kind, "pgan-64", cpu=cpu) for name, kind in kinds.items()
            },
            workload=msgspec.structs.replace(base.workload, concurrent=concurrent),
        )

    return make


def test_a_quiet_machine_with_a_core_for_each_passes_with_its_numbers(manifest, watched):
    gate = host.judge(manifest(), watched())
    assert gate.status is PASS
    assert "up to 1 CPU for its instances, load generator and gateways used 0.25" in gate.detail
    assert "there are 2 cores" in gate.detail
    assert "Other processes used 2 % of the CPU" in gate.detail
    assert "Nothing was swapped." in gate.detail


@pytest.mark.parametrize(
    ("asked", "beside", "status"),
    [
        ({"cpu": 2.0}, {}, FAIL),  # both cores granted, and the generator has none
        ({"cpu": 2.0}, {"overhead_percent": 9.0}, PASS),
        ({"cpu": 1.5}, {"overhead_percent": 50.0}, PASS),
        ({"concurrent": True}, {}, FAIL),
        ({"concurrent": True, "cores": 4}, {}, PASS),
        ({}, {"instances": {"left": 2, "right": 1}}, FAIL),
        ({}, {"instances": {}}, FAIL),  # not read: as many as were allowed
        ({"runner": REMOTE, "cpu": 8.0}, {}, PASS),  # they have cores of their own
    ],
)
def test_granted_cpus_and_what_sends_fit_on_the_cores(asked, beside, status, manifest, watched):
    gate = host.judge(manifest(**asked), watched(**beside))
    assert gate.status is status
    if status is FAIL:
        assert gate.detail.startswith("More CPUs were granted than there are cores.")


@pytest.mark.parametrize(
    ("beside", "status", "says"),
    [
        ({"others_percent": 20.0}, PASS, "Other processes used 10 %"),
        ({"others_percent": 21.0}, FAIL, "Other processes used the CPU."),
        ({"others_percent": np.repeat([60.0, 2.0], [5, 95])}, PASS, "over 25 % in 5 %"),
        ({"others_percent": np.repeat([60.0, 2.0], [6, 94])}, FAIL, "End other work"),
        ({"others_percent": None}, UNKNOWN, "this system does not tell"),
        ({"steal_percent": 4.0}, PASS, "gave 2 % of the CPU to others"),
        ({"steal_percent": 5.0}, FAIL, "The hypervisor took CPU away."),
        ({"steal_percent": None}, UNKNOWN, "Whether a hypervisor took CPU away (steal)"),
        ({"swapped_mib": np.repeat([9.0, 0.0], [5, 95])}, PASS, "45.0 MiB were swapped"),
        ({"swapped_mib": np.repeat([9.0, 0.0], [6, 94])}, FAIL, "Memory was swapped."),
        ({"swapped_mib": None}, UNKNOWN, "Whether memory was swapped"),
        ({"throttled": np.repeat([1.0, 0.0], [5, 95])}, PASS, "back in 5 % of the seconds"),
        ({"throttled": np.repeat([1.0, 0.0], [6, 94])}, FAIL, "A CPU quota was used up."),
        ({"throttled": None}, PASS, "No CPU quota lies above"),
        ({"heat_throttles": np.repeat([3.0, 0.0], [6, 94])}, FAIL, "too hot"),
        ({"heat_throttles": 0.0}, PASS, "Nothing was swapped"),
        ({"seconds": 50}, UNKNOWN, "tells of 50 of the 100 seconds"),
    ],
)
def test_every_disturbance_has_its_limit(beside, status, says, manifest, watched):
    gate = host.judge(manifest(), watched(**beside))
    assert gate.status is status
    assert says in gate.detail


def test_pressure_is_told_and_not_judged(manifest, watched):
    """Eight threads of an instance with one CPU wait for each other all the time."""
    gate = host.judge(manifest(), watched(pressure_percent=100.0))
    assert gate.status is PASS
    assert "For 100 % of the time some thread, ours or not, waited for a CPU." in gate.detail


def test_a_run_of_an_older_version_is_unknown(manifest):
    gate = host.judge(manifest(), None)
    assert gate.status is UNKNOWN
    assert "no host.csv" in gate.detail


def test_several_disturbances_are_named_together(manifest, watched):
    gate = host.judge(manifest(), watched(others_percent=150.0, steal_percent=30.0))
    assert gate.detail.startswith(
        "Other processes used the CPU and the hypervisor took CPU away. Other processes used 75 %"
    )
