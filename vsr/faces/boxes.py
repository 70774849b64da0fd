"""Boxes: overlap and suppression of repeated ones.

A box is left, top, right, bottom in pixels. N, M boxes.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]

Overlap = Literal["union", "smaller"]
"""Divisor of a shared area: the area of the union of both boxes, or of the smaller one."""


def suppress(boxes_N4: Array, scores_N: Array, limit: float, overlap: Overlap = "union") -> Any:
    """Non-maximum suppression: indices of the boxes that remain.

    Args:
        boxes_N4: Boxes.
        scores_N: Their scores.
        limit: Overlap above which the box with the lower score is removed.
        overlap: Measure of the overlap.

    Returns:
        Indices, the best box first.
    """
    waiting = np.argsort(-scores_N, kind="stable")
    kept = []
    while waiting.size:
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        shared = overlaps(boxes_N4[best : best + 1], boxes_N4[waiting], overlap)[0]
        waiting = waiting[shared <= limit]
    return np.array(kept, dtype=np.int64)


def overlaps(first_N4: Array, second_M4: Array, overlap: Overlap = "union") -> Array:
    """Overlap of each box with each other one, (N, M), 0 to 1."""
    low = np.maximum(first_N4[:, None, :2], second_M4[None, :, :2])
    high = np.minimum(first_N4[:, None, 2:], second_M4[None, :, 2:])
    shared = (high - low).clip(min=0).prod(-1)
    sizes = [(boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(-1) for boxes in (first_N4, second_M4)]
    first, second = sizes[0][:, None], sizes[1][None]
    whole = np.minimum(first, second) if overlap == "smaller" else first + second - shared
    divided: Array = shared / np.maximum(whole, 1e-6)
    return divided
