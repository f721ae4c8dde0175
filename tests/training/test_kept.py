from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from twinserve.errors import TrainingError, UsageError
from twinserve.training.kept import NUMBERS, Numbers, Rows, alone_in


def test_numbers_are_there_for_the_next_process(tmp_path: Path) -> None:
    Numbers(tmp_path)["swd 64"] = [1.5, 2.5]
    again = Numbers(tmp_path)
    assert "swd 64" in again and "swd 32" not in again
    assert again["swd 64"] == [1.5, 2.5]


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"swd'])
def test_damaged_numbers_are_measured_again(tmp_path: Path, content: str) -> None:
    (tmp_path / NUMBERS).write_text(content)
    assert "swd 64" not in Numbers(tmp_path)


def test_rows_go_on_after_the_last_whole_one(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "new" / "rows.f32", 10, (2, 3), np.float32)
    asked: list[range] = []

    def make(some: range) -> NDArray[np.float32]:
        asked.append(some)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return np.array([np.full((2, 3), k) for k in some], np.float32)

    with pytest.raises(KeyboardInterrupt):
        rows.fill(make, 4, lambda _: None)
    with rows.path.open("ab") as file:
        file.write(b"half a row")
    assert rows.made == 8
    told: list[float] = []
    rows.fill(make, 1, told.append)
    assert asked == [range(4), range(4, 8), range(8, 10), range(8, 9), range(9, 10)]
    assert told == [0.5, 1]
    assert rows.read()[:, 1, 2].tolist() == list(range(10))


def test_where_nothing_can_be_written_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rows = Rows(tmp_path / "file" / "rows.u8", 1, (1,), np.uint8)
    with pytest.raises(TrainingError, match=r"rows\.u8 cannot be written"):
        rows.fill(lambda some: np.zeros((len(some), 1)), 1, lambda _: None)


def test_a_second_process_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    refused = pytest.raises(UsageError, match="wait until it ends")
    with alone_in(folder), refused, alone_in(folder):
        pass
    with alone_in(folder):
        pass
