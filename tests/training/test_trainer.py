from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from twinserve.errors import TrainingError, UsageError
from twinserve.training.arithmetic import Precision
from twinserve.training.checkpoint import Checkpoint, read_checkpoint
from twinserve.training.log import Report
from twinserve.training.options import TrainingOptions
from twinserve.training.pictures import Pictures
from twinserve.training.presets import PAPER, SMALL
from twinserve.training.start import find_start
from twinserve.training.trainer import Trainer

TINY = replace(SMALL, latent=8, feature_maps=(8, 8, 4))
# 16 pictures a step at 4x4, then 14, then 6, as the paper has it at its finest levels.
TINY_PAPER = replace(PAPER, latent=8, feature_maps=(8, 8, 4), minibatches=(16, 14, 6))


@pytest.fixture(scope="module")
def options8() -> TrainingOptions:
    """40 steps from 4x4 to 8x8: 15 at 4x4, 12.5 fading, 12.5 stable."""
    return TrainingOptions(resolution=8, images=320, batch=8, preset=TINY)


@pytest.fixture(scope="module")
def grown8(
    tmp_path_factory: pytest.TempPathFactory, pictures8: Pictures, options8: TrainingOptions
) -> tuple[Path, list[Report]]:
    """A folder that was trained from nothing to 8x8, and its reports."""
    folder = tmp_path_factory.mktemp("grown") / "run"
    return folder, list(_trainer(folder, pictures8, options8).run())


def test_a_training_grows_from_4x4_to_8x8(grown8: tuple[Path, list[Report]]) -> None:
    folder, reports = grown8
    parts = list(dict.fromkeys(report.part for report in reports))
    assert parts == ["4 stable", "8 fading", "8 stable"]
    assert reports[-1].images == 320
    assert reports[-1].minutes_left == 0
    assert reports[-1].rate < reports[0].rate
    saved = read_checkpoint(folder / "checkpoint.safetensors")
    assert saved.grown == 1
    assert saved.progress
    assert sum(saved.progress.images_of_part.values()) == saved.images_seen == 320
    assert saved.generator()(torch.zeros(1, 8)).shape == (1, 3, 8, 8)


def test_a_sample_grid_shows_sixty_pictures(grown8: tuple[Path, list[Report]]) -> None:
    with Image.open(grown8[0] / "grid-000000320.png") as grid:
        assert (grid.size, grid.mode) == ((80, 48), "RGB")


def test_early_grids_are_as_large_as_late_ones(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    _trainer(tmp_path, pictures8, options8).show()
    with Image.open(tmp_path / "grid-000000000.png") as grid:
        assert grid.size == (80, 48)


def test_the_log_has_a_readable_row_at_the_end(grown8: tuple[Path, list[Report]]) -> None:
    rows = _log(grown8[0])
    assert rows[-1]["images"] == 320
    assert rows[-1]["part"] == "8 stable"


def test_a_resumed_training_equals_an_undisturbed_one_bit_for_bit(
    grown8: tuple[Path, list[Report]],
    tmp_path: Path,
    pictures8: Pictures,
    options8: TrainingOptions,
) -> None:
    for steps in (9, 11, 10):  # stops at 4x4, while 8x8 fades in, and after it has
        _train(_trainer(tmp_path, pictures8, options8), steps)
    _train(_trainer(tmp_path, pictures8, options8))
    one, two = (read_checkpoint(f / "checkpoint.safetensors") for f in (grown8[0], tmp_path))
    assert one.tensors.keys() == two.tensors.keys()
    assert [k for k in one.tensors if not torch.equal(one.tensors[k], two.tensors[k])] == []
    assert one.progress and two.progress
    assert one.progress.images_of_part == two.progress.images_of_part


def test_the_papers_training_grows_with_its_minibatches_and_resumes_bit_for_bit(
    tmp_path: Path, pictures8: Pictures
) -> None:
    options = TrainingOptions(resolution=8, images=180, preset=TINY_PAPER)
    reports = _train(_trainer(tmp_path / "one", pictures8, options))
    assert [report.images for report in reports] == [16, 32, 48, 64, *range(78, 191, 14)]
    assert {report.rate for report in reports} == {0.001}
    for steps in (3, 4, None):  # stops at 4x4 and while 8x8 fades in
        _train(_trainer(tmp_path / "two", pictures8, options), steps)
    one, two = (read_checkpoint(tmp_path / f / "checkpoint.safetensors") for f in ("one", "two"))
    assert [k for k in one.tensors if not torch.equal(one.tensors[k], two.tensors[k])] == []
    assert one.progress and two.progress
    assert one.progress.steps == two.progress.steps == len(reports)
    assert one.config.group == 4


def test_the_papers_average_moves_by_a_thousandth_a_step(
    tmp_path: Path, pictures8: Pictures
) -> None:
    trainer = _trainer(tmp_path, pictures8, TrainingOptions(resolution=8, preset=TINY_PAPER))
    before = trainer.average.c0.weight.clone()
    next(trainer.run())
    expected = 0.999 * before + 0.001 * trainer.generator.c0.weight
    assert torch.allclose(trainer.average.c0.weight, expected, atol=1e-7)


def test_bfloat16_is_for_the_layers_and_not_for_weights_losses_and_penalties(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    f32, bf16 = (
        _trainer(tmp_path / precision, pictures8, replace(options8, precision=precision))
        for precision in (Precision.F32, Precision.BF16)
    )
    position = f32.position
    penalties = [t._lazy_r1(t._real(position, 8), position, 8) for t in (f32, bf16)]
    assert penalties[0].dtype == torch.float32
    assert penalties[0].item() == penalties[1].item()
    exact, rounded = (next(t.run()).loss_discriminator for t in (f32, bf16))
    assert exact != rounded
    assert rounded == pytest.approx(exact, rel=0.05)
    moments = [m for kept in bf16.optimizer_g.state.values() for m in kept.values()]
    assert {t.dtype for t in [*bf16.generator.parameters(), *moments]} == {torch.float32}


def test_measuring_quality_fills_the_log_and_leaves_the_training_alone(
    grown8: tuple[Path, list[Report]],
    tmp_path: Path,
    pictures16: Pictures,
    options8: TrainingOptions,
) -> None:
    init = grown8[0] / "checkpoint.safetensors"
    options = replace(options8, resolution=16, images=24, quality_every=0)
    drawn: list[int] = []
    for name, every in (("measured", 8), ("not", 0)):
        start = find_start(tmp_path / name, replace(options, quality_every=every), init)
        draw = (lambda folder, rows: drawn.append(len(rows))) if every else None  # noqa: ARG005
        _train(Trainer(start, pictures16, draw=draw))
    one, two = (
        read_checkpoint(tmp_path / n / "checkpoint.safetensors") for n in ("measured", "not")
    )
    assert [k for k in one.tensors if not torch.equal(one.tensors[k], two.tensors[k])] == []
    rows = [row for row in _log(tmp_path / "measured") if "swd" in row]
    assert [(row["images"], row["images_seen"]) for row in rows] == [(8, 328), (16, 336), (24, 344)]
    assert all(row["swd"] == [row["swd_mean"]] and row["pictures"] == 64 for row in rows)
    assert drawn == [4]  # three measures and the last step


def test_asked_to_stop_it_ends_after_the_step_and_saves(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    trainer = _trainer(tmp_path, pictures8, options8)
    seen = []
    for report in trainer.run():
        seen.append(report.images)
        if len(seen) == 2:
            trainer.stop()
    assert seen == [8, 16, 24]
    assert trainer.stopped
    saved = read_checkpoint(trainer.path).progress
    assert saved and saved.images == 24


def test_another_seed_gives_another_training(
    grown8: tuple[Path, list[Report]],
    tmp_path: Path,
    pictures8: Pictures,
    options8: TrainingOptions,
) -> None:
    trainer = _trainer(tmp_path, pictures8, replace(options8, seed=1))
    first = next(trainer.run())
    assert first.loss_generator != grown8[1][0].loss_generator


def test_steps_that_a_kill_undid_leave_the_log(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    _train(_trainer(tmp_path, pictures8, options8), steps=2)
    (tmp_path / "log.jsonl").write_text('{"images": 16}\n{"images": 24}\n{"ima')
    _train(_trainer(tmp_path, pictures8, options8), steps=1)
    assert [row["images"] for row in _log(tmp_path)] == [16]


def test_a_finished_training_has_nothing_left_to_do(
    grown8: tuple[Path, list[Report]], pictures8: Pictures, options8: TrainingOptions
) -> None:
    assert list(_trainer(grown8[0], pictures8, options8).run()) == []


def test_a_lower_checkpoint_grows_on_by_the_level_that_it_lacks(
    grown8: tuple[Path, list[Report]],
    tmp_path: Path,
    pictures16: Pictures,
    options8: TrainingOptions,
) -> None:
    init = grown8[0] / "checkpoint.safetensors"
    options = replace(options8, resolution=16, images=96)
    trainer = _trainer(tmp_path, pictures16, options, init)
    before = read_checkpoint(init)
    for name, tensor in before.part("discriminator").items():
        assert torch.equal(trainer.discriminator.state_dict()[name], tensor)
    reports = _train(trainer, steps=4)
    assert reports[0].images_seen == 320 + 8
    init_is_gone = _trainer(
        tmp_path, pictures16, options
    )  # the folder remembers what it began from
    reports += _train(init_is_gone)
    assert list(dict.fromkeys(report.part for report in reports)) == ["16 fading", "16 stable"]
    assert read_checkpoint(tmp_path / "checkpoint.safetensors").grown == 2


def test_a_start_in_mid_growth_goes_on_from_the_level_that_was_fully_there(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    _train(_trainer(tmp_path / "one", pictures8, options8), steps=20)  # 8x8 is fading in
    init = tmp_path / "one" / "checkpoint.safetensors"
    assert read_checkpoint(init).grown == 0
    trainer = _trainer(tmp_path / "two", pictures8, options8, init)
    assert trainer.position.part == "8 fading"


def test_a_start_that_has_grown_further_or_has_other_widths_is_refused(
    grown8: tuple[Path, list[Report]],
    tmp_path: Path,
    pictures8: Pictures,
    pictures16: Pictures,
    options8: TrainingOptions,
) -> None:
    init = grown8[0] / "checkpoint.safetensors"
    pictures4 = Pictures(pictures8.pixels[..., ::2, ::2])
    with pytest.raises(UsageError, match="8x8 already and cannot shrink to 4x4"):
        _trainer(tmp_path, pictures4, replace(options8, resolution=4), init)
    wider = replace(options8, resolution=16, preset=replace(TINY, feature_maps=(8, 16, 4)))
    with pytest.raises(
        UsageError, match=r"feature maps \(8, 8\) .*, this training wants 8, \(8, 16\)"
    ):
        _trainer(tmp_path, pictures16, wider, init)
    with pytest.raises(UsageError, match=r"pictures are 16 pixels wide and the resolution is 8"):
        _trainer(tmp_path, pictures16, options8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 5}, "begun with seed 0 and is now asked for seed 5"),
        ({"images": 640}, "begun with images 320 and is now asked for images 640"),
        ({"batch": 16}, "begun with batch 8 and is now asked for batch 16"),
        ({"minutes": 3.0}, r"begun with minutes none and is now asked for minutes 3\.0"),
    ],
)
def test_a_folder_that_was_begun_with_other_options_is_refused(
    grown8: tuple[Path, list[Report]],
    pictures8: Pictures,
    options8: TrainingOptions,
    change: dict[str, float],
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        _trainer(grown8[0], pictures8, replace(options8, **change))  # type: ignore[arg-type]


def test_a_folder_that_was_begun_at_another_resolution_is_refused(
    grown8: tuple[Path, list[Report]], pictures16: Pictures, options8: TrainingOptions
) -> None:
    message = r"begun with resolution 8 .* asked for resolution 16\. .* --init .*checkpoint"
    with pytest.raises(UsageError, match=message):
        _trainer(grown8[0], pictures16, replace(options8, resolution=16))


def test_a_checkpoint_of_before_settings_were_kept_goes_on(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    _train(_trainer(tmp_path, pictures8, options8), steps=12)
    saved = read_checkpoint(tmp_path / "checkpoint.safetensors")
    _write_old(saved)
    trainer = _trainer(tmp_path, pictures8, options8)
    assert trainer.progress.images == 96
    assert _train(trainer, steps=1)[0].images == 104
    _write_old(saved)
    with pytest.raises(UsageError, match="begun with seed 0"):
        _trainer(tmp_path, pictures8, replace(options8, seed=1))


def test_a_checkpoint_of_before_minibatches_could_differ_goes_on_with_its_settings(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    _train(_trainer(tmp_path / "one", pictures8, options8), steps=12)
    saved = read_checkpoint(tmp_path / "one" / "checkpoint.safetensors")
    (tmp_path / "two").mkdir()
    saved.path = tmp_path / "two" / "checkpoint.safetensors"
    settings = {"resolution": 8, "images": 320, "minutes": None, "batch": 8, "seed": 0}
    settings |= {"pictures": 64, "start_level": None}
    _write_old(saved, settings=json.dumps(settings), grown="0")
    for name in ("one", "two"):
        _train(_trainer(tmp_path / name, pictures8, options8), steps=6)
    one, two = (read_checkpoint(tmp_path / n / "checkpoint.safetensors") for n in ("one", "two"))
    assert [k for k in one.tensors if not torch.equal(one.tensors[k], two.tensors[k])] == []
    assert one.progress and two.progress and one.progress.steps == two.progress.steps == 18
    with pytest.raises(UsageError, match="begun with preset small, batch 8 and is now asked for"):
        _trainer(tmp_path / "two", pictures8, replace(options8, preset=TINY_PAPER, batch=4))


def test_such_a_checkpoint_asks_for_the_one_that_it_was_begun_from(
    grown8: tuple[Path, list[Report]],
    tmp_path: Path,
    pictures8: Pictures,
    options8: TrainingOptions,
) -> None:
    init = grown8[0] / "checkpoint.safetensors"
    _train(_trainer(tmp_path, pictures8, options8, init), steps=2)
    _write_old(read_checkpoint(tmp_path / "checkpoint.safetensors"))
    with pytest.raises(UsageError, match="was begun from a checkpoint; give the same --init"):
        _trainer(tmp_path, pictures8, options8)
    assert _trainer(tmp_path, pictures8, options8, init).position.part == "8 stable"


def test_divergence_stops_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    _train(_trainer(tmp_path, pictures8, options8), steps=3)
    path = tmp_path / "checkpoint.safetensors"
    before = path.read_bytes()
    wild = _trainer(tmp_path, pictures8, replace(options8, rate=1e30, save_every_s=0))
    with pytest.raises(TrainingError, match=r"diverged\. .* keeps the last good .* below 1e\+30"):
        _train(wild)
    assert path.read_bytes() == before
    _train(_trainer(tmp_path, pictures8, options8), steps=1)  # a lower rate goes on


def test_a_full_disk_is_one_clear_line_and_keeps_the_last_checkpoint(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    trainer = _trainer(tmp_path, pictures8, options8)
    _train(trainer, steps=2)
    before = trainer.path.read_bytes()
    with (
        _files_limited_to(10_000),
        pytest.raises(TrainingError, match=r"checkpoint\.safetensors cannot be written \(.*room"),
    ):
        _train(trainer, steps=1)
    assert trainer.path.read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"file/run cannot be written"):
        _trainer(tmp_path / "file" / "run", pictures8, options8)


def test_growth_keeps_pace_with_a_time_limit(
    tmp_path: Path, pictures8: Pictures, options8: TrainingOptions
) -> None:
    trainer = _trainer(tmp_path, pictures8, replace(options8, images=10**6, minutes=10))
    levels = []
    for minutes in (0, 3, 5, 9):  # of the ten: 3.75 at 4x4, 3.125 fading, 3.125 stable
        trainer.progress.minutes = minutes
        levels.append(trainer.position.part)
    assert levels == ["4 stable", "4 stable", "8 fading", "8 stable"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 12}, r"resolution is 12; allowed is one of \[4, 8, 16\]"),
        ({"images": 0}, "images is 0; it must be above 0"),
        ({"rate": float("nan")}, "rate is nan; it must be above 0"),
        ({"seed": -1}, "seed is -1; it must be 0 or above"),
    ],
)
def test_options_that_make_no_sense_are_named(
    options8: TrainingOptions, change: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        replace(options8, **change)  # type: ignore[arg-type]


def _trainer(
    folder: Path, pictures: Pictures, options: TrainingOptions, init: Path | None = None
) -> Trainer:
    return Trainer(find_start(folder, options, init), pictures)


def _train(trainer: Trainer, steps: int | None = None) -> list[Report]:
    reports = []
    with closing(trainer.run()) as running:
        for report in running:
            reports.append(report)
            if len(reports) == steps:
                break
    return reports


def _log(folder: Path) -> list[dict[str, object]]:
    return [json.loads(row) for row in (folder / "log.jsonl").read_text().splitlines()]


def _write_old(saved: Checkpoint, **more: str) -> None:
    """The file as it was written before steps, or settings and growth, were kept in it."""
    assert saved.progress
    progress = {k: v for k, v in vars(saved.progress).items() if k != "steps"}
    metadata = {
        "resolution": str(saved.config.resolution),
        "latent": str(saved.config.latent),
        "feature_maps": json.dumps(saved.config.feature_maps),
        "images_seen": str(saved.images_seen),
        "progress": json.dumps(progress),
        **more,
    }
    save_file(saved.tensors, saved.path, metadata)


@contextmanager
def _files_limited_to(size: int) -> Iterator[None]:
    """What writing meets on a full disk, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
