"""Arrays in files: inputs for a network from ``.npy`` and ``.npz``, and its output to ``.npy``."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twinserve.bundle.engine import Engine
from twinserve.bundle.layers import Array
from twinserve.errors import UsageError


@dataclass(frozen=True)
class Inputs:
    """Latents (images, latent) and, for networks that take noise, maps (images, 1, h, w) each."""

    latents: Array
    noise: tuple[Array, ...] = ()

    def noise_of(self, place: int) -> list[Array]:
        """The noise of one image; empty where the file has none."""
        return [maps[place] for maps in self.noise]


def read_inputs(path: Path, engine: Engine) -> Inputs:
    """What ``path`` holds for this network: an array of latents, or a file with ``z`` and,
    optionally, ``noise_0``, ``noise_1`` and so on.

    Raises:
        UsageError: the file is not readable, or an array is missing or not of floats, finite and of
            the right shape; the message names it.
    """
    arrays = _arrays(path)
    if "z" not in arrays:
        raise UsageError(f"{path} holds no array z; it has {', '.join(arrays) or 'none'}.")
    count = len(arrays["z"]) if arrays["z"].ndim else 0
    latents = _checked(path, "z", arrays["z"], (count, engine.facts.latent))
    if not count:
        raise UsageError(f"{path} holds no latent vector.")
    names = [f"noise_{k}" for k in range(len(engine.noise_shapes))]
    given = [name for name in arrays if name.startswith("noise_")]
    if not given:
        return Inputs(latents)
    if sorted(given) != sorted(names):
        raise UsageError(
            f"{path} holds {', '.join(given)}; {engine.facts.name} takes "
            f"{', '.join(names) or 'no noise'}."
        )
    shapes = zip(names, engine.noise_shapes, strict=True)
    maps = (_checked(path, name, arrays[name], (count, *shape[1:])) for name, shape in shapes)
    return Inputs(latents, tuple(maps))


@contextmanager
def array_file(path: Path | None, shape: tuple[int, ...]) -> Iterator[Callable[[Array], None]]:
    """Write a float32 array of ``shape`` as it comes, one element of its first axis at a time, so
    that it need not fit in memory; without a path, nothing is written.

    The file appears once it is whole.

    Raises:
        UsageError: it cannot be written.
    """
    if path is None:
        yield lambda _: None
        return
    part = path.with_name(f"{path.name}.part")
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("wb")
    try:
        with file:
            np.lib.format.write_array_header_1_0(file, header)

            def write(values: Array) -> None:
                with _writing(path):
                    file.write(np.ascontiguousarray(values, "<f4").tobytes())

            yield write
            with _writing(path):
                file.flush()
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _arrays(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:  # numpy leaves one that it opens itself open if it fails
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"z": loaded}
            wanted = [name for name in loaded.files if name == "z" or name.startswith("noise_")]
            return {name: loaded[name] for name in wanted}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            f"{path} is not a .npy or .npz file of plain numbers ({str(error)[:120]})."
        ) from error


def _checked(path: Path, name: str, values: Any, shape: tuple[int, ...]) -> Array:
    if values.shape != shape:
        raise UsageError(
            f"{name} in {path} is {values.shape}; this model takes {_words(shape)}, images first."
        )
    if values.dtype.kind != "f":
        raise UsageError(f"{name} in {path} is of {values.dtype}; give float32.")
    if not np.isfinite(values).all():
        raise UsageError(f"{name} in {path} holds infinities or no numbers.")
    return np.ascontiguousarray(values, np.float32)


def _words(shape: tuple[int, ...]) -> str:
    return f"(images, {', '.join(map(str, shape[1:]))})"


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); choose another --raw."
        ) from error
