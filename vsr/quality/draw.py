"""Random draws from a seeded generator."""

from __future__ import annotations

import torch


def chance(share: float, rng: torch.Generator) -> bool:
    """True in this share of draws."""
    return float(torch.rand((), generator=rng)) < share


def between(low: float, high: float, rng: torch.Generator) -> float:
    """A uniform draw."""
    return low + (high - low) * float(torch.rand((), generator=rng))


def index(end: int, rng: torch.Generator) -> int:
    """A whole number from 0, below ``end``."""
    return int(torch.randint(end, (), generator=rng))
