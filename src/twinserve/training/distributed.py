"""Several processes that train one model together, as ``torchrun`` starts them.

Each computes its share of every minibatch: of N processes, process r takes pictures r, r + N, ...
So their groups for the minibatch deviation are the very groups of one process wherever the group
size divides a process's share. Gradients are summed over all; weights stay the same everywhere, as
every process makes the same update.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from twinserve.errors import TrainingError
from twinserve.training.arithmetic import chosen_device

SILENCE = timedelta(minutes=10)  # after this, a process that does not answer is given up
PREPARATION = timedelta(days=1)  # the first process may decode pictures for hours
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Team:
    """This process among those that train together; alone by default."""

    rank: int = 0
    size: int = 1
    processes_here: int = 1  # on this machine
    device: torch.device = CPU

    @property
    def leads(self) -> bool:
        """The one process that writes and speaks."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Which pictures of a minibatch are this process's."""
        return slice(self.rank, None, self.size)

    def share_of(self, count: int) -> int:
        """How many of the first ``count`` pictures of a minibatch are this process's."""
        return len(range(self.rank, count, self.size))

    def sum_gradients(self, network: nn.Module) -> None:
        """Replace each gradient by its sum over the processes.

        Raises:
            TrainingError: another process has ended.
        """
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        if self.size == 1 or not gradients:
            return
        # One message for all: hundreds of small ones would cost more than what they carry.
        together = torch.cat([gradient.flatten() for gradient in gradients])
        with _others_alive():
            dist.all_reduce(together)
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, summed in zip(gradients, torch.split(together, sizes), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def sums(self, *values: float) -> list[float]:
        """Each value summed over the processes, equal in all of them to the last bit.

        Raises:
            TrainingError: another process has ended.
        """
        together = torch.tensor(values, dtype=torch.float64)
        if self.size > 1:
            with _others_alive():
                dist.all_reduce(together)
        summed: list[float] = together.tolist()
        return summed

    def wait_for_all(self) -> None:
        """Return when every process has come here, be it after hours.

        Raises:
            TrainingError: another process has ended.
        """
        if self.size > 1:
            with _others_alive():
                patient = dist.new_group(backend="gloo", timeout=PREPARATION)
                dist.all_reduce(torch.zeros(1), group=patient)


ALONE = Team()


@contextmanager
def joined(device: str) -> Iterator[Team]:
    """Join the processes that ``torchrun`` started, or stay alone where it did not.

    ``device`` is ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: the device is not there.
        TrainingError: the other processes cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(device=chosen_device(device))
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = chosen_device(device, local_rank)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    # What steers the training is summed on the CPU: a GPU would have to be waited for.
    with _others_alive():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo", timeout=SILENCE
        )
    yield Team(dist.get_rank(), size, int(os.environ.get("LOCAL_WORLD_SIZE", size)), chosen)
    dist.destroy_process_group()  # not after an error: it would wait for processes that are gone


@contextmanager
def _others_alive() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:  # torch's own errors derive from RuntimeError
        reason = " ".join(str(error).split())
        raise TrainingError(
            f"Another process of this training has ended or does not answer ({_short(reason)}). "
            "What was saved stays; the same command goes on from there."
        ) from error


def _short(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
