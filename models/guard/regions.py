"""Regions of a binary mask as DeSRA cleans them: holes filled, small ones dropped.

Connected components are found among runs, the stretches of set pixels in a row: a mask of a
million pixels has a few thousand of them, and numpy joins those in some rounds.

H, W size of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def erode(mask_NHW: Tensor, radius: int) -> Tensor:
    """Pixels whose whole square of side 2 radius + 1 is set, as far as it is in the picture."""
    return ~dilate(~mask_NHW, radius)


def dilate(mask_NHW: Tensor, radius: int) -> Tensor:
    """Pixels with a set one in the square of side 2 radius + 1 around them."""
    return _spread(_spread(mask_NHW, radius, -1), radius, -2)


def _spread(mask: Tensor, radius: int, axis: int) -> Tensor:
    """The mask or-ed with itself moved by up to ``radius`` along an axis, both ways."""
    spread, reached = mask.clone(), 0
    while reached < radius:
        # Squares of radius r leave no gap when moved by their side.
        further = min(2 * reached + 1, radius - reached)
        before = spread.clone()
        size = mask.shape[axis]
        if further < size:
            spread.narrow(axis, further, size - further).logical_or_(
                before.narrow(axis, 0, size - further)
            )
            spread.narrow(axis, 0, size - further).logical_or_(
                before.narrow(axis, further, size - further)
            )
        reached += further
    return spread


@dataclass(frozen=True, kw_only=True, eq=False)
class Runs:
    """Stretches of set pixels, row by row.

    Attributes:
        rows: Row of each.
        starts: Its first column.
        ends: One past its last column.
        labels: Number of the component that it belongs to, 8-connected.
    """

    rows: Integers
    starts: Integers
    ends: Integers
    labels: Integers


def label_runs(mask: Mask) -> Runs:
    """The runs of a mask (H, W), with the components they belong to."""
    framed = np.zeros((mask.shape[0], mask.shape[1] + 2), np.bool_)
    framed[:, 1:-1] = mask
    width = framed.shape[1] - 1
    changes = np.flatnonzero(framed[:, 1:] != framed[:, :-1])
    rows, starts = np.divmod(changes[::2], width)
    ends = changes[1::2] - rows * width
    # One row has room for its columns and a distance to the next, so that keys of rows stay apart.
    span = width + 2
    below = (rows + 1) * span
    first = np.searchsorted(rows * span + ends, below + starts)
    last = np.searchsorted(rows * span + starts, below + ends, side="right")
    counts = np.maximum(last - first, 0)
    above = np.repeat(np.arange(len(rows)), counts)
    offsets = np.arange(len(above)) - np.repeat(np.cumsum(counts) - counts, counts)
    labels = _components(len(rows), above, np.repeat(first, counts) + offsets)
    return Runs(rows=rows, starts=starts, ends=ends, labels=labels)


def _components(count: int, left: Integers, right: Integers) -> Integers:
    """Labels 0 to number of components - 1 of nodes joined by edges."""
    parents = np.arange(count)
    while True:
        low = np.minimum(parents[left], parents[right])
        np.minimum.at(parents, parents[left], low)
        np.minimum.at(parents, parents[right], low)
        while (parents[parents] != parents).any():
            parents = parents[parents]
        if (parents[left] == parents[right]).all():
            return np.unique(parents, return_inverse=True)[1]


def fill_holes(mask: Mask) -> Mask:
    """A mask with the components of its background set that do not touch the frame."""
    runs = label_runs(~mask)
    height, width = mask.shape
    at_frame = (
        (runs.rows == 0) | (runs.rows == height - 1) | (runs.starts == 0) | (runs.ends == width)
    )
    outside = np.zeros(len(runs.rows) + 1, np.bool_)
    outside[runs.labels[at_frame]] = True
    return _painted(mask, runs, ~outside[runs.labels], True)


def drop_small(mask: Mask, area: int) -> Mask:
    """A mask with the components alone that have more than ``area`` pixels."""
    runs = label_runs(mask)
    sizes = np.bincount(runs.labels, weights=runs.ends - runs.starts)
    return _painted(mask, runs, sizes[runs.labels] <= area, False)


def _painted(mask: Mask, runs: Runs, chosen: Mask, value: bool) -> Mask:
    """A copy with the pixels of some runs set to a value."""
    lengths = (runs.ends - runs.starts)[chosen]
    first = (runs.rows * mask.shape[1] + runs.starts)[chosen]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    painted = mask.copy()
    painted.ravel()[np.repeat(first, lengths) + within] = value
    return painted
