import pytest

from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.gates import equality
from twinserve.records.manifest import EqualityResult

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN


@pytest.mark.parametrize(
    ("result", "status", "says"),
    [
        (EqualityResult(4, 4, "equal pixels"), PASS, "4 of 4"),
        (EqualityResult(4, 3, "seed 9 differs"), FAIL, "seed 9 differs"),
        (EqualityResult(0, 0, ""), UNKNOWN, "ended before"),
        (None, UNKNOWN, "ended before"),
    ],
)
def test_equality_follows_the_answers(result, status, says):
    gate = equality.judge(result)
    assert (gate.name, gate.status) == ("equality", status)
    assert says in gate.detail
