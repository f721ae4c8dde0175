"""What a training starts from, and whether that goes with what is asked for.

All of it is decided before a picture is read: reading them can take half an hour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from twinserve.errors import UsageError
from twinserve.training.checkpoint import (
    Checkpoint,
    Setting,
    Settings,
    checkpoint_bytes,
    read_checkpoint,
    writing,
)
from twinserve.training.folder import check_room
from twinserve.training.options import TrainingOptions
from twinserve.training.presets import SMALL
from twinserve.training.schedule import Schedule, growth

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Start:
    """A folder with a checkpoint goes on from there; without, training starts from another
    checkpoint, grown by as many levels as it lacks, or from nothing.
    """

    folder: Path
    options: TrainingOptions
    schedule: Schedule
    level: int | None  # to which the networks had grown when this training began; None: not begun
    saved: Checkpoint | None
    resumed: bool

    @property
    def path(self) -> Path:
        return self.folder / CHECKPOINT

    def settings(self, pictures: int) -> Settings:
        """What must stay the same for a resumed training to go on as if never stopped."""
        return {**_settings(self.options, self.schedule, self.level), "pictures": pictures}

    def check_pictures(self, pictures: int) -> None:
        """Raises UsageError where this training was begun with another number of pictures."""
        if self.resumed and self.saved and self.saved.settings:
            began = {"pictures": self.saved.settings.get("pictures", pictures)}
            _compare(self.folder, began, {"pictures": pictures})


def find_start(folder: Path, options: TrainingOptions, init: Path | None = None) -> Start:
    """Find out what a training in ``folder`` starts from; makes the folder.

    Raises:
        UsageError: the folder or ``init`` does not go with the options.
        TrainingError: a checkpoint cannot be read, or the folder has no room for one.
    """
    path = folder / CHECKPOINT
    resumed = path.exists()
    saved, level = _begun(path, init) if resumed else _fresh(init)
    schedule = growth(options.preset, options.last_level, options.images, level)
    if resumed and saved:
        began = _began_with(saved, level)
        now = _settings(options, schedule, level)
        _compare(folder, {k: v for k, v in began.items() if k in now}, now)
    if saved:
        _check_config(saved, options)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # A checkpoint is written beside the one before it.
    check_room(folder, checkpoint_bytes(options.config) * (1 if resumed else 2), "The checkpoint")
    return Start(folder, options, schedule, level, saved, resumed)


def _fresh(init: Path | None) -> tuple[Checkpoint | None, int | None]:
    saved = read_checkpoint(init) if init else None
    return saved, saved.grown if saved else None


def _begun(path: Path, init: Path | None) -> tuple[Checkpoint, int | None]:
    """The checkpoint, and the level to which it had grown when its training began."""
    saved = read_checkpoint(path)
    if saved.settings is not None:
        level = saved.settings["start_level"]
        return saved, level if isinstance(level, int) else None
    # A checkpoint of before settings were kept: ask the file that training started from.
    if saved.progress and saved.progress.images_before and not init:
        raise UsageError(f"{path.parent} was begun from a checkpoint; give the same --init.")
    return saved, read_checkpoint(init).grown if init else None


def _began_with(saved: Checkpoint, level: int | None) -> Settings:
    """A checkpoint's settings; older ones say less, and knew the small preset only."""
    began: Settings = {
        "preset": SMALL.name,
        "resolution": saved.config.resolution,
        "start_level": level,
    }
    if saved.progress:
        began["seed"] = saved.progress.seed
    return began | (saved.settings or {})


def _settings(options: TrainingOptions, schedule: Schedule, level: int | None) -> Settings:
    sizes = options.minibatches
    return {
        "preset": options.preset.name,
        "resolution": options.resolution,
        "images": schedule.images,
        "minutes": options.minutes if math.isfinite(options.minutes) else None,
        "batch": sizes[0] if len(set(sizes)) == 1 else list(sizes),
        "seed": options.seed,
        "start_level": level,
    }


def _compare(folder: Path, began: Settings, now: Settings) -> None:
    changed = [name for name, value in began.items() if value != now[name]]
    if changed:
        then = ", ".join(f"{name} {_shown(began[name])}" for name in changed)
        asked = ", ".join(f"{name} {_shown(now[name])}" for name in changed)
        raise UsageError(
            f"{folder} was begun with {then} and is now asked for {asked}. Go on with the same "
            f"options, or begin in another folder with --init {folder / CHECKPOINT}."
        )


def _check_config(saved: Checkpoint, options: TrainingOptions) -> None:
    wanted = options.preset.config(saved.config.levels)
    if saved.config != wanted:
        raise UsageError(
            f"{saved.path} has latent vectors of {saved.config.latent}, feature maps "
            f"{saved.config.feature_maps} and groups of {saved.config.group}, this training wants "
            f"{wanted.latent}, {wanted.feature_maps} and {wanted.group}; start from another "
            "checkpoint, with another --preset, or from none."
        )


def _shown(value: Setting) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int | float) else str(value)
