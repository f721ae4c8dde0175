from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from twinserve.bundle.bundle import Bundle
from twinserve.bundle.openvino_runtime import openvino
from twinserve.bundle.store import open_bundle
from twinserve.errors import UsageError
from twinserve.training.distance import sliced_wasserstein
from twinserve.training.inception import FEATURES, Inception, Scale, frechet_distance
from twinserve.training.made import Maker
from twinserve.training.pictures import read_pictures
from twinserve.training.quality import Request, Result, evaluation
from twinserve.training.real_sets import RealSets
from twinserve.training.similarity import mean_similarity

COUNT = 24


@pytest.fixture
def request16(folder: Path) -> Request:
    return Request(open_bundle("random-16"), (folder,), COUNT, seed=2)


@pytest.fixture
def inception(tmp_path: Path) -> Inception:
    """Each colour's mean, times fixed weights: a network of the right shape."""
    op = openvino().opset13
    x = op.parameter([-1, 3, 299, 299], np.float32, name="pictures")
    weights = np.random.default_rng(0).standard_normal((3, FEATURES)).astype(np.float32)
    pooled = op.reduce_mean(x, op.constant(np.array([2, 3])), False)
    made = op.matmul(pooled, op.constant(weights), False, False)
    openvino().save_model(openvino().Model([made], [x]), tmp_path / "inception.xml")
    return Inception(tmp_path / "inception.xml", Scale.SIGNED)


def test_each_number_is_what_its_own_measure_says(
    request16: Request, inception: Inception, tmp_path: Path
) -> None:
    request = replace(request16, inception=inception)
    result = _evaluated(request, tmp_path / "work")
    made = Maker(request.bundle, 2).pictures(range(COUNT))
    sets = RealSets(read_pictures(request.sources, 16).pixels, COUNT, 2)
    quality = result.quality
    assert result.sides == (16,)
    assert quality.swd == pytest.approx(sliced_wasserstein(sets.first, made, 2).levels, abs=1e-3)
    floor = sliced_wasserstein(sets.first, sets.second, 2)
    assert quality.swd_real == pytest.approx(floor.levels, abs=1e-3)
    assert quality.ms_ssim == pytest.approx(mean_similarity(made), abs=1e-5)
    assert quality.ms_ssim_real == pytest.approx(mean_similarity(sets.first), abs=1e-5)
    parts = range(0, COUNT, inception.batch)
    features = [
        np.concatenate([inception.features(pictures[k : k + inception.batch]) for k in parts])
        for pictures in (sets.first, made, sets.second)
    ]
    assert quality.fid == pytest.approx(frechet_distance(features[0], features[1]), rel=1e-3)
    assert result.fid_real == pytest.approx(frechet_distance(features[0], features[2]), rel=1e-3)
    assert (quality.pictures, quality.seed) == (COUNT, 2)
    assert quality.data == request.sources[0].name  # and not where it lies


def test_real_pictures_are_nearer_to_each_other_than_noise_is(
    request16: Request, tmp_path: Path
) -> None:
    result = _evaluated(request16, tmp_path)
    assert result.swd_real_mean < result.swd_mean
    assert result.real.smallest <= result.real.twentieth <= result.real.median
    assert result.real.median < result.made.median
    assert result.fid_real is None and result.quality.fid is None


@pytest.mark.parametrize(("finished", "with_network"), [(0, False), (1, False), (5, True)])
def test_an_interrupted_evaluation_goes_on_with_what_was_not_finished(
    request16: Request, inception: Inception, tmp_path: Path, finished: int, with_network: bool
) -> None:
    request = replace(request16, inception=inception) if with_network else request16
    work = tmp_path / "work"
    with pytest.raises(KeyboardInterrupt), evaluation(request, work) as running:
        steps = running.steps()
        for step in steps[:finished]:
            step.run(lambda _: None)
        steps[finished].run(_interrupt)
    with evaluation(request, work, _never_read) as running:
        left = [step.words for step in running.steps()]
        assert len(left) <= len(steps) - finished
        assert left[-1] == steps[-1].words
    assert _evaluated(request, work) == _evaluated(request, tmp_path / "other")


def test_only_the_real_features_are_left_and_serve_the_next_model(
    request16: Request, inception: Inception, tmp_path: Path
) -> None:
    request, work = replace(request16, inception=inception), tmp_path / "work"
    first = _evaluated(request, work)
    assert {path.name for path in work.rglob("*.*")} == {"real.f32", "other.f32"}
    facts = msgspec.structs.replace(request.bundle.facts, content_hash="another")
    another = replace(request, bundle=Bundle(facts, request.bundle.graph))
    with evaluation(another, work) as running:
        words = [step.words for step in running.steps()]
    assert [word for word in words if "features" in word] == ["features of made pictures"]
    assert _evaluated(another, work) == first


def test_the_sheet_has_a_row_for_each_of_ten_samples(request16: Request, tmp_path: Path) -> None:
    with evaluation(request16, tmp_path) as running:
        for step in running.steps():
            step.run(lambda _: None)
        sheet = running.sheet()
    assert sheet.shape[0] == 10 * 16
    made = Maker(request16.bundle, 2).pictures(range(1))[0].transpose(1, 2, 0)
    assert np.abs(sheet[:16, :16].astype(int) - made).max() <= 1


def test_every_step_tells_how_long_it_takes_and_when_it_is_done(
    request16: Request, tmp_path: Path
) -> None:
    with evaluation(request16, tmp_path) as running:
        for step in running.steps():
            told: list[float] = []
            step.run(told.append)
            assert step.expected_s > 0
            assert told == sorted(told)
            assert told[-1] == 1


def test_a_model_of_another_side_than_the_pyramids_is_refused(
    request16: Request, tmp_path: Path
) -> None:
    facts = msgspec.structs.replace(request16.bundle.facts, resolution=48)
    request = replace(request16, bundle=Bundle(facts, request16.bundle.graph))
    with pytest.raises(UsageError, match=r"makes 48x48 pictures; .* 16, 32, 64"):
        _evaluated(request, tmp_path)


def test_the_same_evaluation_is_not_made_twice_at_once(request16: Request, tmp_path: Path) -> None:
    with evaluation(request16, tmp_path), pytest.raises(UsageError, match="wait until it ends"):
        _evaluated(request16, tmp_path)


def _evaluated(request: Request, work: Path) -> Result:
    with evaluation(request, work) as running:
        for step in running.steps():
            step.run(lambda _: None)
        return running.result()


def _interrupt(share: float) -> Iterator[None]:  # noqa: ARG001
    raise KeyboardInterrupt


def _never_read(done: int, total: int) -> None:
    raise AssertionError(f"{done} of {total} pictures were decoded again")
