"""Files that survive a full disk: a real limit on file sizes, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from twinserve.records.lines import LineFile, replace_file

FILLED = """
import resource, sys
from pathlib import Path
from twinserve.records.lines import CsvWriter, replace_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
folder = Path(sys.argv[1])
replace_file(folder / "run.json", b"small")
rows = CsvWriter(folder / "rows.csv", ("number", "text"))
for number in range(100):
    try:
        rows.write((number, "x" * 40))
    except OSError:
        break
print(number)
try:
    replace_file(folder / "run.json", b"x" * 2000)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_full_disk_leaves_whole_lines_and_the_file_before(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILLED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    stopped_at, why = done.stdout.splitlines()
    lines = (tmp_path / "rows.csv").read_text().splitlines(keepends=True)
    assert lines[0] == "number,text\n"
    assert len(lines) == int(stopped_at) + 1  # the row that did not fit is not there at all
    assert lines[-1] == f"{int(stopped_at) - 1},{'x' * 40}\n"
    assert "too large" in why
    assert (tmp_path / "run.json").read_bytes() == b"small"
    assert not (tmp_path / "run.json.part").exists()


def test_lines_go_to_the_file_at_once_and_after_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    replace_file(path, b"before\n")
    lines = LineFile(path)
    lines.append(b"one\n")
    assert path.read_bytes() == b"before\none\n"
    lines.close()
