import pytest

from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.gates import errors

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN


@pytest.mark.parametrize(("failed", "status"), [(0, PASS), (9, PASS), (10, FAIL), (1000, FAIL)])
def test_errors_fail_from_one_percent_of_a_side(failed, status, counted):
    gate = errors.judge([counted(1000), counted(1000, failed=failed, name="right")])
    assert gate.status is status
    assert f"right: {failed:,} of 1,000 requests failed" in gate.detail


def test_a_side_without_requests_leaves_errors_unknown(side, counted):
    gate = errors.judge([counted(100), side(name="right")])
    assert gate.status is UNKNOWN
    assert gate.detail == "right had no request in a block."
