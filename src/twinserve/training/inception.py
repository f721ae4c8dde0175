"""Fréchet Inception distance with the user's own Inception network: Heusel et al., "GANs Trained by
a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017.

The network is an ONNX or OpenVINO IR file, run in float32 by OpenVINO. Nothing pickled is read.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from twinserve.bundle.cpu import thread_count
from twinserve.bundle.openvino_runtime import openvino
from twinserve.errors import UsageError
from twinserve.training.filters import grey_levels

SIDE = 299  # pixels
FEATURES = 2048
BATCH = 8  # where the file leaves it open
SUFFIXES = (".onnx", ".xml")
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Features = NDArray[np.float32]


class Scale(StrEnum):
    """Values of the pictures that a file's first layer expects.

    Files in the wild differ here, and nothing in them tells: who exported one knows.
    """

    BYTES = "0..255"
    UNIT = "0..1"
    SIGNED = "-1..1"
    IMAGENET = "imagenet"

    def of(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) with values 0 to 255, to these values."""
        match self:
            case Scale.BYTES:
                return pictures
            case Scale.UNIT:
                return pictures / 255
            case Scale.SIGNED:
                return pictures / 127.5 - 1
        mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
        return (pictures / 255 - mean) / torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1)


class Inception:
    """The network of a file: pictures in, pool features out.

    Raises:
        UsageError: the file is no network from (N, 3, 299, 299) to (N, 2048).
    """

    def __init__(self, path: Path, scale: Scale) -> None:
        self.path = path
        self.scale = scale
        model = _read(path)
        self.batch = _fixed_batch(model, path)
        self._output = _features_of(model, path)
        self._type = model.input(0).get_element_type().to_dtype()
        self._request = _compiled(model, path).create_infer_request()

    def content_hash(self) -> str:
        """SHA-256 of the file, and of the weights beside it where it is OpenVINO IR."""
        digest = hashlib.sha256(self.path.read_bytes())
        weights = self.path.with_suffix(".bin")
        if self.path.suffix == ".xml" and weights.exists():
            digest.update(weights.read_bytes())
        return digest.hexdigest()

    def features(self, pictures: NDArray[np.uint8]) -> Features:
        """(N, 3, H, W) bytes, N at most ``batch`` -> (N, FEATURES)."""
        enlarged = _resized(grey_levels(pictures))
        filled = np.zeros((self.batch, 3, SIDE, SIDE), self._type)
        filled[: len(pictures)] = self.scale.of(enlarged).numpy()
        made = self._request.infer({0: filled})[self._output]
        return np.array(made.reshape(self.batch, FEATURES)[: len(pictures)], np.float32)


def frechet_distance(ours: Features, theirs: Features) -> float:
    """Between Gaussians fitted to two sets (N, D) and (M, D), N and M at least 2.

    |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)); Dowson and Landau, 1982. With S = R^T R,
    the last trace is the sum of the singular values of R1 R2^T, and R comes from the features
    themselves. So no root of a product is taken, which has no real one where rounding made it
    indefinite; and sets smaller than D, whose covariances lack rank, simply have a lower R.
    """
    sets = [torch.tensor(features, dtype=torch.float64) for features in (ours, theirs)]
    means = [features.mean(dim=0) for features in sets]
    roots = [_root(features - mean) for features, mean in zip(sets, means, strict=True)]
    common = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    traces = sum(root.square().sum() for root in roots)
    return max(0.0, float((means[0] - means[1]).square().sum() + traces - 2 * common))


def _root(centred: Tensor) -> Tensor:
    """R (at most N, D) with R^T R the covariance of the rows (N, D)."""
    rows, columns = centred.shape
    root: Tensor = centred if rows <= columns else torch.linalg.qr(centred, mode="r").R
    return root / math.sqrt(rows - 1)


def _resized(pictures: Tensor) -> Tensor:
    """Bilinear to 299x299, averaging where that is smaller than the pictures."""
    return F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", antialias=True)


def _read(path: Path) -> Any:
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path} ends in {path.suffix!r}; the Inception network is read from ONNX (.onnx) or "
            "OpenVINO IR (.xml with its .bin)."
        )
    try:
        return openvino().Core().read_model(path)
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(f"{path} cannot be read as a network: {reason}") from error


def _fixed_batch(model: Any, path: Path) -> int:
    """Give the input a shape (batch, 3, 299, 299), if the file allows it; returns the batch."""
    inputs = [port.get_partial_shape() for port in model.inputs]
    wanted = openvino().PartialShape([-1, 3, SIDE, SIDE])
    if len(inputs) != 1 or not inputs[0].compatible(wanted):
        shown = ", ".join(map(str, inputs))
        raise UsageError(f"{path} takes {shown}; the one input must be (N, 3, {SIDE}, {SIDE}).")
    batch = inputs[0][0]
    size = int(batch.get_length()) if batch.is_static else BATCH
    _tried(path, lambda: model.reshape([size, 3, SIDE, SIDE]))
    return size


def _features_of(model: Any, path: Path) -> int:
    """Which output has FEATURES numbers a picture."""
    batch = int(model.input(0).get_shape()[0])
    shapes = [port.get_partial_shape() for port in model.outputs]
    for k, shape in enumerate(shapes):
        if shape.is_static and [*shape.to_shape()] in ([batch, FEATURES], [batch, FEATURES, 1, 1]):
            return k
    shown = ", ".join(map(str, shapes)) or "nothing"
    raise UsageError(
        f"{path} gives {shown} for {batch} pictures; one output must be (N, {FEATURES}): the pool "
        "features, not the classes behind them."
    )


def _compiled(model: Any, path: Path) -> Any:
    options = {
        "INFERENCE_NUM_THREADS": thread_count(),
        # Shorter numbers would move the distance by more than models differ.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return _tried(path, lambda: openvino().Core().compile_model(model, "CPU", options))


def _tried(path: Path, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(f"{path} cannot be run: {reason}") from error
