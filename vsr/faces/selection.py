"""Selection of the faces to restore: those that are visible enough, and not sharp already.

A network for faces completes what it does not see from what it has learnt. That is welcome in a
blurred face and a lie in a tiny, turned or covered one, and a sharp face can only lose by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from vsr.faces.alignment import TEMPLATE, fit, mask
from vsr.faces.tracker import Track
from vsr.quality.metrics import luma

Reason = Literal["small", "sharp", "turned", "unsure", "no time"]
"""Why a face is left alone."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the faces that are restored.

    Attributes:
        smallest: Side of a face in pixels of the source, below which too little is known of it.
        sharpest: Sharpness of an aligned face, above which nothing is to be gained.
        turned: Distance of the nose from the middle between the eyes, in distances of the eyes.
        misfit: Mean distance of the points from a face's that looks ahead, in pixels of the
            template.
        score: Least probability of a face; what covers it lowers it.
    """

    smallest: float = 32.0
    sharpest: float = 0.12
    turned: float = 0.33
    misfit: float = 24.0
    score: float = 0.95


def reason_against(track: Track, face_3HW: Tensor, scale: float, limits: Limits) -> Reason | None:
    """The reason not to restore a face; None if it is to be restored.

    Args:
        track: The face.
        face_3HW: The aligned face.
        scale: Pixels of the frame for one of the source.
        limits: The limits.
    """
    if track.side < limits.smallest * scale:
        return "small"
    place = fit(track.points, TEMPLATE)
    left, right, nose, *_ = place(track.points)
    across = right - left
    if abs(((nose - (left + right) / 2) / across).real) > limits.turned:
        return "turned"
    if np.abs(place(track.points) - TEMPLATE).mean() > limits.misfit:
        return "turned"
    if track.score < limits.score or track.misses:
        return "unsure"
    return "sharp" if sharpness(face_3HW) > limits.sharpest else None


def sharpness(face_3HW: Tensor) -> float:
    """Finest detail of an aligned face in units of its contrast, 0 to about 0.5."""
    grey, weight = luma(face_3HW[None]), mask(face_3HW.device)
    coarse = F.avg_pool2d(grey, 5, 1, 2)
    total = weight.sum()
    mean = (grey * weight).sum() / total
    contrast = ((grey - mean).square() * weight).sum() / total
    detail = ((grey - coarse).square() * weight).sum() / total
    return float((detail / contrast.clamp(min=1e-5)).sqrt())
