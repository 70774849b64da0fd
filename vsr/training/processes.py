"""One training run in several processes, started by torchrun, of which each takes its own batches.

    torchrun --nproc-per-node 4 -m vsr train CONFIG --data FOLDER --out FOLDER

All begin with the same weights, and the means of their gradients keep these the same. Only the
first process validates and writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE_H = 2
"""Hours that the others wait while the first process validates."""


@dataclass(frozen=True)
class Rank:
    """One of several processes.

    Attributes:
        number: Number of this process; 0 is the one that writes.
        count: Number of processes.
    """

    number: int
    count: int


ALONE = Rank(number=0, count=1)


@contextmanager
def joined(device: torch.device) -> Iterator[Rank]:
    """Join the other processes of a run; a single one where torchrun did not start it.

    Args:
        device: Device of this process.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(hours=PATIENCE_H))
    try:
        yield Rank(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()


def local_device(device: str) -> str:
    """The device of this process, where ``auto`` or ``cuda`` leaves it open: a GPU each."""
    number = os.environ.get("LOCAL_RANK")
    if number is None or device not in ("auto", "cuda") or not torch.cuda.is_available():
        return device
    return f"cuda:{number}"


def average_gradients(parameters: Iterable[nn.Parameter], rank: Rank) -> None:
    """Replace gradients by their means over all processes.

    A parameter that one process had no use for in a step counts there as one with gradient 0.
    """
    if rank.count == 1:
        return
    learning = [p for p in parameters if p.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]
    joint = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(joint)
    means: tuple[Tensor, ...] = torch.split(joint / rank.count, [p.numel() for p in learning])
    for parameter, mean in zip(learning, means, strict=True):
        parameter.grad = mean.view_as(parameter)
