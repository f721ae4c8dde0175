"""Tensors as a PyTorch file describes them: views of bytes, checked before a number is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinserve.errors import CheckpointError

MOST_DIMENSIONS = 8
LARGEST_SIDE = 2**31
FINITE = ("f2", "f4", "f8", "bfloat16")

# PyTorch's storage classes and what their elements are, in numpy's letters.
STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class ElementType:
    """The type of a storage's elements, by the name of PyTorch's class."""

    storage_class: str

    @property
    def letters(self) -> str:
        return STORAGES[self.storage_class]

    @property
    def size_bytes(self) -> int:
        return self.numpy("<").itemsize

    def numpy(self, byte_order: str) -> np.dtype[Any]:
        """The numpy type of the bytes on disk; bfloat16 is read as the integer of its bits."""
        letters = "u2" if self.letters == "bfloat16" else self.letters
        return np.dtype(letters).newbyteorder(byte_order)  # type: ignore[arg-type]


class Storage:
    """``length`` elements under a key; ``fill`` gives them their bytes once those are found."""

    def __init__(self, key: str, element: ElementType, length: int) -> None:
        self.key, self.element, self.length = key, element, length
        self._elements: NDArray[Any] | None = None

    @property
    def size_bytes(self) -> int:
        return self.length * self.element.size_bytes

    def fill(self, data: Any, offset: int, byte_order: str) -> None:
        """Take the elements from ``data`` at ``offset`` bytes; nothing is copied.

        Raises:
            CheckpointError: the data end before the storage does.
        """
        have = max(0, len(data) - offset)
        if self.size_bytes > have:
            raise CheckpointError(
                f"storage {self.key} claims {self.size_bytes:,} bytes where {have:,} are left"
            )
        kind = self.element.numpy(byte_order)
        self._elements = np.frombuffer(data, kind, self.length, offset)

    @property
    def elements(self) -> NDArray[Any]:
        if self._elements is None:
            raise CheckpointError(f"storage {self.key} is named, but the file holds no bytes of it")
        return self._elements


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A view of a storage; ``array`` copies its numbers out."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a view that leaves its storage or repeats it.

        Raises:
            CheckpointError: saying which.
        """
        if len(self.shape) != len(self.strides) or len(self.shape) > MOST_DIMENSIONS:
            raise CheckpointError(
                f"a tensor has {len(self.shape)} sizes and {len(self.strides)} strides"
            )
        if min((self.offset, *self.shape, *self.strides)) < 0:
            raise CheckpointError("a tensor has a negative offset, size or stride")
        if max(self.shape, default=0) > LARGEST_SIDE:
            raise CheckpointError(f"a tensor has a side of more than {LARGEST_SIDE:,} elements")
        if self.elements == 0:
            return
        last = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)
        )
        if last >= self.storage.length or self.elements > self.storage.length:
            raise CheckpointError(
                f"a tensor reaches outside storage {self.storage.key} of "
                f"{self.storage.length:,} elements"
            )

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.elements * self.storage.element.size_bytes

    @property
    def is_floating(self) -> bool:
        return self.storage.element.letters in FINITE

    def array(self) -> NDArray[np.float32]:
        """The numbers as float32, in row-major order."""
        elements = self.storage.elements
        if self.elements == 0:
            return np.zeros(0, np.float32)
        # A stride along a single element is never taken, and may be any number.
        steps = [s if size > 1 else 0 for s, size in zip(self.strides, self.shape, strict=True)]
        view = np.lib.stride_tricks.as_strided(
            elements[self.offset :],
            self.shape,
            [step * elements.itemsize for step in steps],
            writeable=False,
        )
        if self.storage.element.letters == "bfloat16":
            return (view.astype(np.uint32) << 16).view(np.float32)
        return np.array(view, np.float32, order="C")  # a copy: the file may change
