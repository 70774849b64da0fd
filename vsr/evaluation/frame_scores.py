"""Scores of single frames by name: our own NIQE and BRISQUE, LPIPS and DISTS, and pyiqa's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from vsr.evaluation.learnt_scores import LEARNT, LearntScore
from vsr.evaluation.perceptual import PerceptualScore
from vsr.quality.brisque import brisque
from vsr.quality.niqe import niqe

OWN: Mapping[str, Callable[[Tensor], Tensor]] = {"niqe": niqe, "brisque": brisque}
"""Scores that need nothing installed, and no ground truth."""


class FrameScore(Protocol):
    """A score of single frames."""

    @property
    def name(self) -> str:
        """The name that users type, which is also its key in results."""
        ...

    def __call__(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Score frames, (T, 3, H, W) in [0, 1]: (T,), float64."""
        ...


class OwnScore:
    """One of ``OWN``.

    Attributes:
        name: Name of the score.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, restored: Tensor, truth: Tensor) -> Tensor:
        return torch.stack([OWN[self.name](frame) for frame in restored])


def open_score(name: str, device: torch.device) -> FrameScore:
    """Load a score.

    Args:
        name: One of ``OWN``, of ``LEARNT``, or a name of pyiqa.
        device: Device of the frames.

    Raises:
        MissingDependency: A library that it needs is not installed, or does not load.
        ConfigurationError: No such score.
        DownloadError: Its weights are not cached and cannot be downloaded.
    """
    if name in OWN:
        return OwnScore(name)
    return LearntScore(name, device) if name in LEARNT else PerceptualScore(name, device)
