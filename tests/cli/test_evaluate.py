"""``twinserve models evaluate``, run as a user runs it."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from twinserve.bundle import pgan
from twinserve.bundle.bundle import BundleFacts, read_bundle, read_facts, write_bundle
from twinserve.bundle.images import decode
from twinserve.bundle.openvino_runtime import openvino
from twinserve.cli import main


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for k in range(70):
        noise = random.integers(256, size=(32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{k:02d}.png")
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    facts = BundleFacts(
        name="tiny",
        resolution=16,
        latent=8,
        terms="none",
        commercial_use=True,
        description="",
        content_hash="",
    )
    weights = pgan.random_weights(16, 8, (8, 8, 4))
    write_bundle(tmp_path / "tiny", pgan.graph(weights, "tiny"), facts)
    return tmp_path / "tiny"


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str


@pytest.fixture
def evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    """Run the verb in an empty folder, with its cache below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*words: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["twinserve", "models", "evaluate", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return Run(code, *capsys.readouterr())

    return run


def test_the_table_the_facts_the_card_and_the_picture_are_written(
    bundle: Path, data: Path, tmp_path: Path, evaluate: Callable[..., Run]
) -> None:
    hash_before = read_facts(bundle).content_hash
    done = evaluate(
        *(bundle, "--data", data, "--pictures", 32, "--seed", 5, "--neighbours", "nearest.png")
    )
    assert done.code == 0, done.err
    for words in ("SWD ×10³, mean", "MS-SSIM", "nearest training picture, median"):
        assert words in done.out
    quality = read_facts(bundle).quality
    assert quality is not None
    assert (quality.pictures, quality.seed, quality.data) == (32, 5, data.name)
    assert len(quality.swd) == len(quality.swd_real) == 1
    assert read_bundle(bundle).facts.content_hash == hash_before
    assert f"{quality.swd[0]:.2f}" in (bundle / "MODEL_CARD.md").read_text()
    assert decode((tmp_path / "nearest.png").read_bytes()).shape == (160, 16 + 8 + 5 * 16, 3)
    assert not list(bundle.glob("*.png"))  # pictures of the data stay out of the bundle


def test_json_has_every_number_and_repeats_with_the_seed(
    bundle: Path, data: Path, evaluate: Callable[..., Run]
) -> None:
    words = (bundle, "--data", data, "--pictures", 32, "--json")
    first, again = (json.loads(evaluate(*words).out) for _ in range(2))
    assert first == again
    assert first["model"] == "tiny" and first["sides"] == [16]
    assert first["quality"]["ms_ssim"] > 0
    assert first["swd_mean"] == first["quality"]["swd"][0]
    assert first["nearest_real"]["median"] > 0


def test_more_sources_may_follow_as_a_shell_writes_them(
    bundle: Path, data: Path, evaluate: Callable[..., Run]
) -> None:
    done = evaluate(bundle, "--data", data, data, "--pictures", 70, "--json")
    assert json.loads(done.out)["quality"]["data"] == f"{data.name}, {data.name}"


def test_after_ctrl_c_the_same_command_goes_on(
    bundle: Path, data: Path, evaluate: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (bundle, "--data", data, "--pictures", 32, "--json")
    with monkeypatch.context() as pressed:
        pressed.setattr("twinserve.training.quality.Evaluation._similarity", _interrupt)
        stopped = evaluate(*words)
    assert stopped.code == 130
    assert "the same command goes on" in stopped.err
    assert read_facts(bundle).quality is None
    with monkeypatch.context() as nothing_is_made:
        nothing_is_made.setattr("twinserve.training.quality.Maker", None)
        resumed = evaluate(*words)
    assert "Reading pictures" not in resumed.err
    assert json.loads(resumed.out) == json.loads(evaluate(*words).out)


def test_what_the_user_may_not_write_is_shown_and_left_alone(
    bundle: Path, data: Path, evaluate: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("twinserve.cli.models.evaluate.rewrite_facts", refuse)
    done = evaluate(bundle, "--data", data, "--pictures", 32)
    assert done.code == 0 and "SWD" in done.out
    assert "cannot be written (Permission denied)" in done.err
    assert not (bundle / "MODEL_CARD.md").exists()


def test_a_bundle_that_was_replaced_meanwhile_is_left_alone(
    bundle: Path, data: Path, evaluate: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = msgspec.structs.replace(read_facts(bundle), content_hash="another")
    monkeypatch.setattr("twinserve.cli.models.evaluate.read_facts", lambda _: facts)
    done = evaluate(bundle, "--data", data, "--pictures", 32)
    assert done.code == 0 and "SWD" in done.out
    assert "holds another model by now" in done.err
    assert read_facts(bundle).quality is None


def test_a_built_in_model_is_measured_and_nothing_is_written(
    data: Path, evaluate: Callable[..., Run]
) -> None:
    done = evaluate("random-16", "--data", data, "--pictures", 32)
    assert done.code == 0 and "SWD" in done.out
    assert "built in: nothing is written" in done.err


def test_an_inception_network_adds_its_distance(
    bundle: Path, data: Path, tmp_path: Path, evaluate: Callable[..., Run]
) -> None:
    op = openvino().opset13
    x = op.parameter([1, 3, 299, 299], np.float32, name="pictures")
    pooled = op.reduce_mean(x, op.constant(np.array([2, 3])), False)
    made = op.matmul(pooled, op.constant(np.ones((3, 2048), np.float32)), False, False)
    openvino().save_model(openvino().Model([made], [x]), tmp_path / "inception.xml")
    network = ("--inception", "inception.xml", "--inception-input", "-1..1")
    done = evaluate(bundle, "--data", data, "--pictures", 16, *network, "--json")
    found = json.loads(done.out)
    assert found["quality"]["fid"] > found["fid_real"] >= 0
    assert "| FID |" in (bundle / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["random-16", "--data", "{data}"],
            2,
            "8,192 pictures a set are too many: the data has 70",
        ),
        (["random-64", "--data", "{data}", "--pictures", "32"], 2, "32 pixels wide or high"),
        (["random-16", "--data", "nowhere"], 2, "does not exist"),
        (["random-16"], 2, "Missing option '--data'"),
        (["nobody", "--data", "{data}"], 1, "There is no model 'nobody'"),
        (["random-16", "--data", "{data}", "--pictures", "2"], 2, "not in the range"),
        (["random-16", "--data", "{data}", "--inception", "{data}/00.png"], 2, "go together"),
        (["random-16", "--data", "{data}", "--inception-input", "0..1"], 2, "go together"),
        (
            [
                "random-16",
                "--data",
                "{data}",
                "--inception",
                "{data}/00.png",
                "--inception-input",
                "-1..1",
            ],
            2,
            "ends in '.png'",
        ),
        (["random-16", "--data", "{data}", "--neighbours", "a.gif"], 2, "'.gif'; use .png"),
        (["random-16", "--data", "{data}", "--neighbours", "no/a.png"], 2, "cannot be written"),
    ],
)
def test_wrong_usage_is_refused_before_the_work(
    words: list[str], code: int, said: str, data: Path, evaluate: Callable[..., Run]
) -> None:
    done = evaluate(*(word.format(data=data) for word in words))
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert done.err.strip().splitlines()[-1].startswith("Error: ")


def test_the_missing_extra_is_named(
    data: Path, evaluate: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    done = evaluate("random-16", "--data", data, "--pictures", 32)
    assert done.code == 2
    assert "pip install 'twinserve[train]'" in done.err


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
