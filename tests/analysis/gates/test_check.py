from twinserve.analysis import gates
from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.rows import read_sides
from twinserve.analysis.watched import read_watched
from twinserve.records.manifest import read_manifest


def test_every_gate_is_there_in_the_order_of_the_contract(make_run):
    """A run of an older version, which wrote nothing about the machine."""
    run = make_run()
    manifest = read_manifest(run.manifest)
    found = gates.check(manifest, read_sides(run, manifest), read_watched(run, manifest))
    names = ["equality", "load", "drift", "saturation", "host", "errors", "cold"]
    assert [gate.name for gate in found] == names
    unknown = [gate for gate in found if gate.status is GateStatus.UNKNOWN]
    assert [gate.name for gate in unknown] == ["saturation", "host"]
    assert all("no host.csv" in gate.detail for gate in unknown)
