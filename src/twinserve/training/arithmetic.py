"""Where the networks are computed, and in which arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum

import torch

from twinserve.errors import UsageError


class Precision(StrEnum):
    """``AUTO`` is bfloat16 on GPUs that have it, else float32.

    On CPUs it is float32: bfloat16 convolutions were measured to be slower than float32 there.
    """

    AUTO = "auto"
    F32 = "f32"
    BF16 = "bf16"

    def on(self, device: torch.device) -> Precision:
        """What is really used on a device."""
        if self is not Precision.AUTO:
            return self
        gpu = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return Precision.BF16 if gpu else Precision.F32

    def computing(self, device: torch.device) -> AbstractContextManager[object]:
        """Within it the layers of the networks compute in this precision; weights stay float32."""
        if self.on(device) is Precision.F32:
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)


def chosen_device(name: str, local_rank: int = 0) -> torch.device:
    """``auto`` (CUDA if there is one), ``cpu`` or ``cuda``; each process of a machine has its own.

    Raises:
        UsageError: CUDA is asked for and there is none, or fewer GPUs than processes.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    if not gpus:
        raise UsageError("device is cuda, but PyTorch sees no CUDA GPU; give --device cpu.")
    if local_rank >= gpus:
        raise UsageError(
            f"Process {local_rank} of this machine has no GPU of its own: there are {gpus}. "
            f"Start {gpus} processes, or give --device cpu."
        )
    return torch.device("cuda", local_rank)
