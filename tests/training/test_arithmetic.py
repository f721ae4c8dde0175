from __future__ import annotations

import pytest
import torch

from twinserve.errors import UsageError
from twinserve.training.arithmetic import Precision, chosen_device

CPU = torch.device("cpu")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")


def test_on_a_cpu_auto_means_float32() -> None:
    assert Precision.AUTO.on(CPU) is Precision.F32
    assert Precision.BF16.on(CPU) is Precision.BF16


def test_layers_compute_in_what_was_chosen() -> None:
    layer, x = torch.nn.Linear(4, 4), torch.ones(1, 4)
    for precision, dtype in ((Precision.F32, torch.float32), (Precision.BF16, torch.bfloat16)):
        with precision.computing(CPU):
            assert layer(x).dtype == dtype


@without_gpu
def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused() -> None:
    assert chosen_device("auto") == chosen_device("cpu") == CPU
    with pytest.raises(UsageError, match="PyTorch sees no CUDA GPU; give --device cpu"):
        chosen_device("cuda")
