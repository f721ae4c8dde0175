"""Where a bundle goes, and which names it may not take."""

from pathlib import Path

import pytest

from twinserve.bundle.store import user_folder
from twinserve.errors import BundleError, CheckpointError, UsageError
from twinserve.zoo.convert import Chosen
from twinserve.zoo.install import Terms, install, place_for

CHECKPOINT = Path(__file__).parents[1] / "data/zoo/zoo_pgan_16_fading.pth"
TERMS = Terms("for tests", commercial_use=True, description="A test.", source="here")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("TWINSERVE_MODELS", str(tmp_path / "more"))


def test_a_name_goes_to_the_users_folder_unless_another_is_named(tmp_path: Path) -> None:
    assert place_for("mine", None, False) == user_folder() / "mine"
    assert place_for("mine", tmp_path / "x", False) == tmp_path / "x"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "-a", ".a", "a b", "a" * 65, "ä\n"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name is"):
        place_for(name, None, False)


@pytest.mark.parametrize("name", ["random-64", "random-99", "pgan-random-512"])
def test_a_built_in_models_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="built-in"):
        place_for(name, None, True)


def test_a_name_that_is_taken_is_refused_until_it_may_be_replaced(tmp_path: Path) -> None:
    folder = place_for("mine", None, False)
    first = install(CHECKPOINT, "mine", folder, TERMS, Chosen.RAW, half=False)
    for out in (None, folder):
        with pytest.raises(UsageError, match=r"mine exists .* --replace"):
            place_for("mine", out, False)
    assert place_for("mine", tmp_path / "elsewhere", False) == tmp_path / "elsewhere"
    second = install(
        CHECKPOINT, "mine", place_for("mine", None, True), TERMS, Chosen.AVERAGED, True
    )
    assert first.facts.content_hash != second.facts.content_hash
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_a_name_found_elsewhere_is_taken_as_well(tmp_path: Path) -> None:
    install(CHECKPOINT, "other", tmp_path / "more/other", TERMS, Chosen.RAW, half=True)
    with pytest.raises(UsageError, match="more/other"):
        place_for("other", None, False)


def test_facts_say_what_it_is_and_where_it_is_from(tmp_path: Path) -> None:
    facts = install(CHECKPOINT, "m", tmp_path / "m", TERMS, Chosen.AVERAGED, half=True).facts
    assert (facts.name, facts.architecture, facts.resolution, facts.latent) == ("m", "pgan", 16, 64)
    assert (facts.terms, facts.commercial_use, facts.description) == ("for tests", True, "A test.")
    assert facts.source.startswith("here, avgG, SHA-256 ")


def test_a_failed_import_leaves_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pth"
    bad.write_bytes(CHECKPOINT.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="truncated"):
        install(bad, "m", tmp_path / "m", TERMS, Chosen.RAW, half=True)
    assert list(tmp_path.iterdir()) == [bad]
    with pytest.raises(BundleError, match="cannot be written"):
        install(CHECKPOINT, "m", bad / "m", TERMS, Chosen.RAW, half=True)
