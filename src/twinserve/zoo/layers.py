"""A network's tensors by name: each accounted for, then turned into layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from twinserve.bundle.layers import Array, Layer
from twinserve.errors import CheckpointError
from twinserve.zoo.reader import Checkpoint

Shapes = dict[str, tuple[int, ...]]

MOST_LEVELS = 10
WIDEST = 8192


class Parts:
    """The tensors of one network of a checkpoint, every one of them wanted and of its shape.

    ``shapes`` names each tensor as the reference implementation does today. Older files leave out
    ``.module`` before ``.weight`` and ``.bias``, or put ``module.`` before everything; both are
    the same tensors (``loadStateDictCompatible`` of the reference).

    Raises:
        CheckpointError: naming, all at once, every tensor that is missing, surplus or of another
            shape, is not of floating point, or holds something else than finite numbers.
    """

    def __init__(self, checkpoint: Checkpoint, network: str, shapes: Shapes) -> None:
        self._where = f"{network} of {checkpoint.path}"
        tensors = checkpoint.network(network)
        found: dict[str, str] = {}
        faults = []
        for name in tensors:
            short = _short(name)
            if short in found or short not in map(_short, shapes):
                if not short.endswith("num_batches_tracked"):  # a count that nothing depends on
                    faults.append(f"{name} is surplus")
            else:
                found[short] = name
        for name, shape in shapes.items():
            if _short(name) not in found:
                faults.append(f"{name} is missing")
            elif (tensor := tensors[found[_short(name)]]).shape != shape:
                faults.append(f"{name} is {_sized(tensor.shape)}, wanted {_sized(shape)}")
            elif not tensor.is_floating:
                faults.append(f"{name} is of {tensor.storage.element.storage_class}, not of floats")
        self._refuse(faults)
        size = sum(tensors[name].size_bytes for name in found.values())
        if size > checkpoint.path.stat().st_size:
            raise CheckpointError(
                f"The tensors of {self._where} are views of each other, {size:,} bytes in all; "
                f"no published checkpoint is built like that."
            )
        self._arrays = {name: tensors[found[_short(name)]].array() for name in shapes}
        self._refuse(
            f"{name} holds infinities or no numbers"
            for name, array in self._arrays.items()
            if not np.isfinite(array).all()
        )

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def layer(self, name: str, equalised: bool, multiplier: float = 1.0) -> Layer:
        """A layer with its run-time constant multiplied in, into the bias as well: the reference
        scales a layer's output (``ConstrainedLayer``), by sqrt(2 / fan-in) times a learning-rate
        multiplier (He et al., ICCV 2015)."""
        plain = self.plain_layer(name, equalised)
        constant = np.float32(plain.scale * multiplier)
        return Layer(plain.weight * constant, plain.bias * constant)

    def plain_layer(self, name: str, equalised: bool) -> Layer:
        """The same with its constant left behind the bias, where the reference has it."""
        weight, bias = self[f"{name}.module.weight"], self[f"{name}.module.bias"]
        return Layer(weight, bias, he(weight.shape) if equalised else 1.0)

    def _refuse(self, faults: Iterator[str] | list[str]) -> None:
        if named := sorted(faults):
            raise CheckpointError(f"{self._where} does not fit: {'; '.join(named)}.")


class Config:
    """A checkpoint's configuration, each field checked as it is asked for."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._path, self._values = checkpoint.path, checkpoint.config

    def integer(self, name: str, lowest: int = 1, highest: int = WIDEST) -> int:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise self._refusal(name, value, f"a whole number from {lowest} to {highest}")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        values = self._get(name)
        whole = isinstance(values, list) and all(type(value) is int for value in values)
        if not whole or len(values) > MOST_LEVELS or not all(0 < v <= WIDEST for v in values):
            raise self._refusal(name, values, f"a list of up to {MOST_LEVELS} widths")
        return tuple(values)

    def share(self, name: str) -> float:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._refusal(name, value, "a share from 0 to 1")
        return float(value)

    def number(self, name: str) -> float:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refusal(name, value, "a number")
        if abs(value) > WIDEST or not math.isfinite(value):
            raise self._refusal(name, value, "a small number")
        return float(value)

    def must_be(self, name: str, *allowed: object) -> Any:
        """The value, which is one of those that the bundled architectures know."""
        value = self._get(name)
        if not any(value == known and type(value) is type(known) for known in allowed):
            raise self._refusal(name, value, " or ".join(map(repr, allowed)))
        return value

    def label_sizes(self) -> tuple[int, ...]:
        """Number of classes of each label that the latent ends with, in order; often none.

        ``attribKeysOrder`` holds, for each label, its ``order`` and its possible ``values``.
        """
        total = self.integer("categoryVectorDim", 0)
        labels = self._values.get("attribKeysOrder")
        if total == 0:
            return ()
        sizes = _label_sizes(labels) if isinstance(labels, dict) else None
        if sizes is None or sum(sizes) != total:
            raise self._refusal("attribKeysOrder", labels, f"labels of {total} classes in all")
        return sizes

    def _get(self, name: str) -> Any:
        if name not in self._values:
            raise CheckpointError(
                f"{self._path} cannot be imported: its config has no {name}, which says how large "
                f"the network is."
            )
        return self._values[name]

    def _refusal(self, name: str, value: object, allowed: str) -> CheckpointError:
        return CheckpointError(
            f"{self._path} cannot be imported: its config says {name} = {_plain(value)}; what can "
            f"be imported has {allowed}."
        )


def he(shape: tuple[int, ...]) -> float:
    """sqrt(2 / fan-in) of a weight (out, in, ...)."""
    return math.sqrt(2 / math.prod(shape[1:]))


def layer_shapes(name: str, *shape: int) -> Shapes:
    """The two tensors of an equalised layer whose weight is ``shape``."""
    return {f"{name}.module.weight": shape, f"{name}.module.bias": shape[:1]}


def looks_like(names: Iterable[str], *beginnings: str) -> bool:
    """Whether a tensor's name begins like one of these, in any of the spellings."""
    return any(_short(name).startswith(beginnings) for name in names)


def _short(name: str) -> str:
    """A tensor's name in the shortest spelling."""
    return ".".join(part for part in name.split(".") if part != "module")


def _sized(shape: tuple[int, ...]) -> str:
    return str(shape) if shape else "a single number"


def _label_sizes(labels: dict[str, Any]) -> tuple[int, ...] | None:
    sizes: dict[int, int] = {}
    for label in labels.values():
        match label:
            case {"order": int(order), "values": list() | tuple() as values} if values:
                sizes[order] = len(values)
    if sorted(sizes) != list(range(len(labels))):
        return None
    return tuple(sizes[order] for order in sorted(sizes))


def _plain(value: object) -> str:
    """A value in few words, however deep it is."""
    if isinstance(value, str | float | bool) or value is None:
        return repr(value)[:60]
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a very large number"
    if isinstance(value, list) and len(value) <= 12 and all(type(v) is int for v in value):
        return f"[{', '.join(_plain(v) for v in value)}]"
    return f"a {type(value).__name__}"
