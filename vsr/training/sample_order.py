"""An endless sequence of training samples of which each has a number, and a seed made from it.

So a run that was interrupted resumes with the samples that it would have seen, and the number of
worker processes changes nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch

STRIDE = 1_000_003
"""Difference between the seeds of two samples; a prime, so that runs of neighbouring seeds share
none soon."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the sequence a data set begins.

    Attributes:
        start: Number of the first sample.
        batch: Samples that a worker makes before the next worker's turn, as a ``DataLoader`` of
            that batch size wants them.
    """

    start: int = 0
    batch: int = 1


BEGINNING = Place()


def generators(seed: int, place: Place) -> Iterator[torch.Generator]:
    """The source of randomness of each sample that falls to this process."""
    worker = torch.utils.data.get_worker_info()
    first, step = (worker.id, worker.num_workers) if worker else (0, 1)
    for turn in itertools.count(first, step):
        for number in range(place.batch):
            sample = place.start + turn * place.batch + number
            yield torch.Generator().manual_seed(seed + STRIDE * sample)
