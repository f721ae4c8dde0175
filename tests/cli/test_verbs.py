"""The verbs that answer at once, run as a user runs them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from twinserve.bundle.images import decode


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twinserve", *words],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        check=False,
    )


def test_generate_writes_one_sheet_and_repeats_it(tmp_path: Path) -> None:
    sheets = []
    for name in ("a.png", "b/c.png"):
        done = run(
            *("generate", "--model", "random-16", "--seed", "7", "-n", "5"),
            *("-o", str(tmp_path / name)),
        )
        assert done.returncode == 0
        assert done.stdout.strip() == str(tmp_path / name)
        assert "random-16" in done.stderr
        sheets.append(decode((tmp_path / name).read_bytes()))
    assert sheets[0].shape == (32, 48, 3)
    assert np.array_equal(*sheets)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["generate", "-n", "0"], 2, "0 is not in the range"),
        (["generate", "--seed", "-1"], 2, "-1 is not in the range"),
        (["generate", "-o", "faces.gif"], 2, "'.gif'; use .png"),
        (["generate", "--model", "nobody"], 1, "'nobody'; known are"),
        (["generate", "--model", "random-16", "-o", "/dev/null/x.png"], 2, "choose another -o"),
        (["compare", "--users", "0"], 2, "0 is not in the range"),
        (["compare", "--duration", "soon"], 2, "write 90s, 10m or 1h"),
        (["compare", "--duration", "1"], 2, "need at least 10 s"),
        (["compare", "--profile", "slow"], 2, "'quick', 'long'"),
        (["compare", "--model", "random-17"], 1, "random-16"),
        (["report", "nowhere"], 2, "does not exist"),
        (["report", "."], 1, "not a run directory"),
        (["up", "--port", "70000"], 2, "70000 is not in the range"),
        (["models", "export", "nothing", "--name", "n", "--out", "o"], 2, "does not exist"),
        (["dance"], 2, "No such command 'dance'"),
        (["generate", "--nonsense"], 2, "No such option"),
    ],
)
def test_wrong_usage_names_the_value_and_the_way_out(
    words: list[str], code: int, said: str, tmp_path: Path
) -> None:
    done = run(*words, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_models_lists_terms() -> None:
    done = run("models")
    assert done.returncode == 0
    assert "random-64" in done.stdout


@pytest.mark.parametrize(
    ("module", "extra", "words"),
    [
        ("altair", "lab", ["compare"]),
        ("scipy", "lab", ["compare"]),
        ("torch", "train", ["train", ".", "--out", "out"]),
        ("safetensors", "train", ["models", "export", __file__, "--name", "n", "--out", "out"]),
    ],
)
def test_a_missing_extra_is_named_with_the_way_to_install_it(
    module: str, extra: str, words: list[str], tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['twinserve', *{words!r}]\n"
        "from twinserve.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert f"pip install 'twinserve[{extra}]'" in done.stderr
    assert not list(tmp_path.iterdir())
