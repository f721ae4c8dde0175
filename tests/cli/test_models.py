"""Published models from the command line: import, pull, list, and the network's own output."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from twinserve.bundle.bundle import Quality, read_facts, rewrite_facts, size_bytes
from twinserve.bundle.images import decode
from twinserve.cli import main
from twinserve.cli.models import pull
from twinserve.cli.models.listing import models_rows
from twinserve.errors import CheckpointError, UsageError
from twinserve.zoo import published
from twinserve.zoo.published import Catalogue, Published

ZOO = Path(__file__).parents[1] / "data/zoo"
NAMES = [path.stem for path in sorted(ZOO.glob("*.pth"))]
FADING = ZOO / "zoo_pgan_16_fading.pth"
TOLERANCE = 1e-4

Run = Callable[..., "Done"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without models; the models that pytest's own user has stay out of sight."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("TWINSERVE_MODELS", raising=False)
    return tmp_path / "data/twinserve/models"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, which saves the start of another."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["twinserve", *map(str, words)])
        capfd.readouterr()
        try:
            main()
            code: Any = 0
        except SystemExit as stop:
            code = stop.code
        return Done(code or 0, *capfd.readouterr())

    return run


@pytest.mark.parametrize(("weights", "network"), [("averaged", "avgG"), ("raw", "netG")])
@pytest.mark.parametrize("name", NAMES)
def test_anyone_can_check_parity(
    run: Run, tmp_path: Path, name: str, weights: str, network: str
) -> None:
    given = np.load(ZOO / f"{name}.npz")
    latents = ZOO / f"{name}.npz"
    if "noise_0" not in given:
        latents = tmp_path / "z.npy"
        np.save(latents, given["z"])
    done = run("models", "import", ZOO / f"{name}.pth", "--name", "n", "--weights", weights)
    assert done.returncode == 0
    done = run(
        *("generate", "--model", "n", "--latents", latents),
        *("--raw", "out.npy", "--arithmetic", "f32"),
    )
    assert done.returncode == 0
    assert done.stdout == "out.npy\n"
    out = np.load(tmp_path / "out.npy")
    side = out.shape[-1]
    assert (out.dtype, out.shape) == (np.float32, (2, 3, side, side))
    stride = given["stride"]
    assert np.abs(out[..., ::stride, ::stride] - given[network]).max() < TOLERANCE
    assert not list(tmp_path.glob("*.png"))


def test_an_import_says_what_it_made_and_on_what_terms(run: Run, home: Path) -> None:
    done = run("models", "import", FADING, "--name", "mine")
    assert done.stdout.startswith(f"{home / 'mine'}: mine, pgan, 16x16, ")
    assert "Terms: not stated; ask whoever published the file." in done.stderr
    facts = read_facts(home / "mine")
    assert not facts.commercial_use
    assert facts.source.startswith("zoo_pgan_16_fading.pth, avgG, SHA-256 ")


def test_terms_and_description_are_kept(run: Run, tmp_path: Path) -> None:
    done = run(
        *("models", "import", FADING, "--name", "m", "--out", "there", "--terms", "CC0"),
        *("--commercial", "--description", "Mine.", "--store", "f16"),
    )
    assert done.returncode == 0
    facts = read_facts(tmp_path / "there")
    assert (facts.terms, facts.commercial_use, facts.description) == ("CC0", True, "Mine.")


def test_an_existing_name_is_refused_unless_it_may_be_replaced(run: Run, home: Path) -> None:
    words = ("models", "import", FADING, "--name", "mine")
    assert run(*words).returncode == 0
    before = read_facts(home / "mine")
    done = run(*words, "--weights", "raw")
    assert done.returncode == 2
    assert "choose another --name, or give --replace" in done.stderr
    assert read_facts(home / "mine") == before
    assert run(*words, "--weights", "raw", "--replace").returncode == 0
    assert read_facts(home / "mine") != before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("import", "nothing.pth", "--name", "n"), 2, "does not exist"),
        (("import", __file__, "--name", "n"), 1, "not a file that torch.save wrote"),
        (("import", FADING, "--name", "a/b"), 2, "--name is 'a/b'"),
        (("import", FADING, "--name", "random-64"), 2, "built-in model"),
        (("import", FADING), 2, "Missing option '--name'"),
        (("import", FADING, "--name", "n", "--weights", "best"), 2, "'averaged', 'raw'"),
        (("import", FADING, "--name", "n", "--out", "/dev/null/x"), 1, "cannot be written"),
        (("pull", "pgan-1024"), 2, "known are pgan-celebahq-512"),
        (("pull", "pgan-dtd-128", "--from", "file:///etc"), 2, "not an address on the web"),
        (("pull", "pgan-dtd-128", "--from", "http://127.0.0.1:9"), 1, "Are you offline?"),
        (("--json", "pull", "pgan-dtd-128"), 2, "--json is for the list"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    run: Run, home: Path, words: tuple[Any, ...], code: int, said: str
) -> None:
    done = run("models", *words)
    assert done.returncode == code
    assert said in done.stderr
    assert not home.exists()


def test_a_pickle_that_would_run_something_is_refused(run: Run, tmp_path: Path) -> None:
    evil = FADING.read_bytes().replace(b"cmodels.utils.config\nBaseConfig\n", b"cos\nsystem\n")
    (tmp_path / "evil.pth").write_bytes(evil)
    done = run("models", "import", "evil.pth", "--name", "n")
    assert done.returncode == 1  # the zip's checksum already differs
    assert "cannot be imported" in done.stderr


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A server of the files in ``tmp_path / "mirror"``."""
    (tmp_path / "mirror").mkdir()
    handler = functools.partial(Files, directory=str(tmp_path / "mirror"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def one_model(monkeypatch: pytest.MonkeyPatch) -> Published:
    """A catalogue of one published model: the fixture, under its own digest."""
    digest = hashlib.sha256(FADING.read_bytes()).hexdigest()[:8]
    model = Published(
        paths=(f"PGAN/fading-{digest}.pth", f"fading-{digest}.pth"),
        sha256=digest,
        architecture="pgan",
        resolution=16,
        description="Noise.",
        terms="research only",
    )
    catalogue = Catalogue(base="http://127.0.0.1:9/", source="here", date="2026-11-25",
                          models={"pgan-noise-16": model})  # fmt: skip
    monkeypatch.setattr(published, "catalogue", lambda: catalogue)
    monkeypatch.setattr(pull, "catalogue", lambda: catalogue)
    return model


def test_a_pulled_model_is_checked_imported_and_cleared_away(
    one_model: Published, mirror: str, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "mirror" / one_model.file_name).write_bytes(FADING.read_bytes())
    done = CliRunner().invoke(pull.command, ["pgan-noise-16", "--from", mirror, "--store", "f16"])
    assert done.exit_code == 0, done.exception
    assert f"{home / 'pgan-noise-16'}: pgan-noise-16, pgan, 16x16" in done.output
    facts = read_facts(home / "pgan-noise-16")
    assert (facts.terms, facts.commercial_use) == ("research only", False)
    assert facts.source.startswith(f"here, {one_model.file_name}, avgG, SHA-256 {one_model.sha256}")
    assert not list((tmp_path / "cache/twinserve/downloads").iterdir())
    again = CliRunner().invoke(pull.command, ["pgan-noise-16", "--from", mirror])
    assert isinstance(again.exception, UsageError)
    assert "pgan-noise-16 exists" in str(again.exception)


def test_wrong_bytes_are_not_imported(
    one_model: Published, mirror: str, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "mirror" / one_model.file_name).write_bytes(b"something else")
    done = CliRunner().invoke(pull.command, ["pgan-noise-16", "--from", mirror])
    assert isinstance(done.exception, CheckpointError)
    assert "they were deleted" in str(done.exception)
    assert not home.exists()


def test_the_list_names_every_state(run: Run, home: Path) -> None:
    run("models", "import", FADING, "--name", "mine")
    run("models", "import", FADING, "--name", "torn")
    (home / "torn/model.bin").unlink()
    quality = Quality(data="faces", pictures=8, seed=1, swd=(5.0, 4.0, 12.0), swd_real=(2.0, 2.0))
    facts = msgspec.structs.replace(read_facts(home / "mine"), quality=quality)
    rewrite_facts(home / "mine", facts)
    done = run("models")
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "imported" in lines["mine"]
    assert "16 px" in lines["mine"]
    assert "7.00" in lines["mine"]
    assert "MB" in lines["mine"]
    assert "damaged" in lines["torn"]
    assert "model.bin" in lines["torn"]
    assert "built in" in lines["pgan-random-512"]
    assert "downloadable" in lines["pgan-celebahq-512"]
    assert "non-commercial research only (CelebA)" in lines["pgan-celebahq-512"]


def test_the_list_as_json_says_the_same(run: Run, home: Path) -> None:
    run("models", "import", FADING, "--name", "pgan-dtd-128", "--terms", "mine")
    done = run("models", "--json")
    listed = json.loads(done.stdout)
    assert listed["schema_version"] == 1
    rows = {row["name"]: row for row in listed["models"]}
    assert len(rows) == len(listed["models"])
    assert rows["pgan-dtd-128"] == {
        "name": "pgan-dtd-128",
        "state": "imported",
        "architecture": "pgan",
        "resolution": 16,
        "size_bytes": size_bytes(home / "pgan-dtd-128"),
        "terms": "mine",
        "commercial_use": False,
        "swd_mean": None,
        "description": "",
        "folder": str(home / "pgan-dtd-128"),
    }  # fmt: skip
    assert rows["stylegan-ffhq-1024"]["state"] == "downloadable"
    assert rows["random-64"]["state"] == "built in"


def test_a_model_of_a_named_folder_is_installed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("models", "import", FADING, "--name", "there", "--out", tmp_path / "more/there")
    monkeypatch.setenv("TWINSERVE_MODELS", str(tmp_path / "more"))
    states = {row.name: row.state for row in models_rows()}
    assert states["there"] == "installed"


@pytest.fixture
def imported(run: Run) -> Run:
    run("models", "import", ZOO / "zoo_stylegan_32.pth", "--name", "styled")
    run("models", "import", ZOO / "zoo_dcgan_64.pth", "--name", "deep")
    return run


def test_raw_output_of_a_seed_is_what_the_sheet_shows(imported: Run, tmp_path: Path) -> None:
    done = imported(
        *("generate", "--model", "styled", "--seed", "3", "-n", "4"),
        *("--raw", "new/raw.npy", "-o", "sheet.png"),
    )
    assert done.stdout.split() == ["new/raw.npy", "sheet.png"]
    raw, sheet = np.load(tmp_path / "new/raw.npy"), decode((tmp_path / "sheet.png").read_bytes())
    pixels = np.clip(np.rint((raw + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    assert np.array_equal(sheet[:32, 32:64], pixels[1])
    assert sheet.shape == (64, 64, 3)
    assert not list(tmp_path.glob("**/*.part"))


def test_latents_without_raw_make_the_usual_sheet(imported: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.load(ZOO / "zoo_stylegan_32.npz")["z"].astype(np.float64))
    done = imported("generate", "--model", "styled", "--latents", "z.npy")
    assert done.stdout == "faces.png\n"
    assert decode((tmp_path / "faces.png").read_bytes()).shape == (32, 64, 3)


def test_psi_draws_pictures_together_and_only_where_the_model_has_it(
    imported: Run, tmp_path: Path
) -> None:
    spread = {}
    for psi in ("0", "0.5", "1"):
        imported("generate", "--model", "styled", "-n", "6", "--psi", psi, "--raw", "r.npy")
        spread[psi] = np.load(tmp_path / "r.npy").std(axis=0).mean()
    imported("generate", "--model", "styled", "-n", "6", "--raw", "r.npy")
    assert spread["0"] < spread["0.5"] < spread["1"]
    assert np.load(tmp_path / "r.npy").std(axis=0).mean() == spread["0.5"]  # the model's own
    done = imported("generate", "--model", "deep", "--psi", "0.5")
    assert done.returncode == 2
    assert "deep has no truncation; leave --psi out." in done.stderr


@pytest.mark.parametrize(
    ("arrays", "model", "said"),
    [
        (
            {"z": np.zeros((2, 17))},
            "styled",
            "z in x.npz is (2, 17); this model takes (images, 16)",
        ),
        ({"z": np.zeros(16)}, "styled", "z in x.npz is (16,)"),
        ({"z": np.float32(1)}, "styled", "z in x.npz is ()"),
        ({"z": np.zeros((0, 16))}, "styled", "holds no latent vector"),
        ({"z": np.full((1, 16), np.nan)}, "styled", "z in x.npz holds infinities or no numbers"),
        ({"z": np.full((1, 16), np.inf)}, "styled", "z in x.npz holds infinities or no numbers"),
        ({"z": np.zeros((1, 16), np.int64)}, "styled", "z in x.npz is of int64; give float32"),
        ({"z": np.zeros((1, 16), np.complex64)}, "styled", "z in x.npz is of complex64"),
        ({"y": np.zeros((1, 16))}, "styled", "holds no array z; it has none"),
        ({"z": np.zeros((1, 16)), "noise_0": np.zeros((1, 1, 4, 4))}, "styled", "takes noise_0,"),
        (
            {"z": np.zeros((1, 16))}
            | {f"noise_{k}": np.zeros((1, 1, 4 << k // 2, 4 << k // 2)) for k in range(7)}
            | {"noise_7": np.zeros((1, 1, 4, 4))},
            "styled",
            "noise_7 in x.npz is (1, 1, 4, 4); this model takes (images, 1, 32, 32)",
        ),
        (
            {"z": np.zeros((1, 32)), "noise_0": np.zeros((1, 1, 4, 4))},
            "deep",
            "x.npz holds noise_0; deep takes no noise",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_named(
    tmp_path: Path, imported: Run, arrays: dict[str, Any], model: str, said: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    done = imported("generate", "--model", model, "--latents", "x.npz", "--raw", "r.npy")
    assert done.returncode == 2
    assert said in done.stderr
    assert not list(tmp_path.glob("r.npy*"))


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x03\x04", b"\x93NUMPY", b"\x80\x04N."],
    ids=["empty", "text", "zip", "npy", "pickle"],
)
def test_a_file_of_other_things_than_numbers_is_refused(
    tmp_path: Path, imported: Run, content: bytes
) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    done = imported("generate", "--model", "deep", "--latents", "x.npy")
    assert done.returncode == 2
    assert "x.npy is not a .npy or .npz file of plain numbers" in done.stderr


def test_objects_in_a_npy_are_never_unpickled(tmp_path: Path, imported: Run) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    done = imported("generate", "--model", "deep", "--latents", "x.npy")
    assert done.returncode == 2
    assert "not a .npy or .npz file of plain numbers" in done.stderr


def test_more_images_than_latents_are_refused_and_fewer_are_the_first(
    tmp_path: Path, imported: Run
) -> None:
    words = ("generate", "--model", "deep", "--latents", ZOO / "zoo_dcgan_64.npz", "--raw", "r.npy")
    done = imported(*words, "-n", "3")
    assert done.returncode == 2
    assert "--latents has 2 vectors, -n asks for 3" in done.stderr
    assert imported(*words, "-n", "1").returncode == 0
    assert np.load(tmp_path / "r.npy").shape == (1, 3, 64, 64)


def test_raw_that_cannot_be_written_is_named(imported: Run) -> None:
    done = imported("generate", "--model", "deep", "--raw", "/dev/null/r.npy")
    assert done.returncode == 2
    assert "/dev/null/r.npy cannot be written (File exists); choose another --raw" in done.stderr
