"""How coarsely each region of a frame was coded and how noisy it is, seen in its pixels.

A coarse quantiser takes fine detail and leaves coarse detail, and leaves steps on the grid of its
blocks: both are measured, which needs neither the file nor its codec. Noise is fine detail, too: it
is what the flattest blocks have.

The weights were fitted by least squares to the severity of coding (H.264's quantiser, 16 to 44, as
0 to 1) of 500 clips coded by libx264, libx265 and MPEG-4 or not at all. On 150 clips of four other
films, MPEG-2 among their codecs, the rank correlation of a place with its severity is 0.63: finer
than quantiser 26 hardly differs from uncoded (docs/guard.md). ``python -m scripts.fit_coarseness``
repeats such a fit, with clips of its own: it finds 0.196, 0.256 and 0.222, which order the cells of
its test by 0.52 where the weights in use do by 0.50.

B frames, H, W size, h, w of their cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.ops.grey import grey

CELL = 16
"""Side of a cell in pixels: a macroblock. Tiles of a frame begin at multiples of it."""

REACH = 96
"""Pixels on each side that the strength of a pixel depends on: a cell for the enlargement, twice
two for means and for the flattest block, and its own."""

BLOCK = 8
"""Grid on which steps are looked for: that of the transforms of MPEG-2, MPEG-4 and JPEG, and the
coarser one of H.264 and HEVC."""

AROUND = 2
"""Neighbouring cells on each side whose mean is taken."""

DETAIL_WEIGHT, GRID_WEIGHT, OFFSET = 0.20, 0.136, 0.36
"""Of the logarithms of coarse over fine detail, and of steps on the grid over all."""

BEST, WORST = 0.40, 0.65
"""Estimates from which on strength is above 0, and 1: the first tenth of footage coded at quantiser
28 to 33 is above the one, and half of that coded coarser than 38 above the other."""

QUIET, NOISY = 2.0, 3.0
"""Fine detail, in levels of 255, in the flattest block around from which on strength is above 0,
and 1: half of it is Gaussian noise of a standard deviation of 4 and 6 levels. Where no block is
flat, texture is taken for noise and restored fully."""

_LEAST = 0.1
"""Levels of 255 that are added to each measurement, so that nothing is divided by nothing."""


def strength(frame_BCHW: Tensor) -> Tensor:
    """How strongly each region of a frame is to be restored.

    It rises linearly from the best to the worst quality, as the complexity of AdaQual-Diff's
    prompts does (2504.12605, equation 3).

    Args:
        frame_BCHW: RGB in [0, 1], (B, 3, H, W).

    Returns:
        (B, H, W) in [0, 1], smooth over about 80 pixels.
    """
    height, width = frame_BCHW.shape[-2:]
    grey_B1HW = F.pad(
        255 * grey(frame_BCHW), (0, -width % CELL, 0, -height % CELL), mode="replicate"
    )
    coarse_B1hw = _risen(mean_around(_coarseness(grey_B1HW)), BEST, WORST)
    cells_B1hw = coarse_B1hw.maximum(mean_around(_risen(_noise(grey_B1HW), QUIET, NOISY)))
    strength_B1HW = F.interpolate(cells_B1hw, scale_factor=CELL, mode="bilinear")
    return strength_B1HW[:, 0, :height, :width]


def _coarseness(grey_B1HW: Tensor) -> Tensor:
    """(B, 1, h, w): estimated severity of coding of each cell, not clamped."""
    detail_B1hw, grid_B1hw = detail_and_grid(grey_B1HW)
    return DETAIL_WEIGHT * detail_B1hw + GRID_WEIGHT * grid_B1hw + OFFSET


def detail_and_grid(grey_B1HW: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of coarse over fine detail, and of steps on the grid over all, of each cell.

    Args:
        grey_B1HW: Grey in levels of 255; sides that are multiples of ``CELL``.

    Returns:
        (B, 1, h, w) each.
    """
    fine_B1hw = _cells(_diagonal(grey_B1HW), CELL)
    coarse_B1hw = _cells(_diagonal(F.avg_pool2d(grey_B1HW, 4)), CELL // 4)
    steps_B1HW = _steps(grey_B1HW)
    all_B1hw = _cells(steps_B1HW[0], CELL) + _cells(steps_B1HW[1], CELL)
    across_B1hw = F.avg_pool2d(steps_B1HW[0][..., BLOCK - 1 :: BLOCK], (CELL, CELL // BLOCK))
    down_B1hw = F.avg_pool2d(steps_B1HW[1][..., BLOCK - 1 :: BLOCK, :], (CELL // BLOCK, CELL))
    return _log_ratio(coarse_B1hw, fine_B1hw), _log_ratio(across_B1hw + down_B1hw, all_B1hw)


def _noise(grey_B1HW: Tensor) -> Tensor:
    """(B, 1, h, w): fine detail of the flattest block in each cell and its neighbours."""
    blocks_B1hw = F.avg_pool2d(_diagonal(grey_B1HW), BLOCK) / 2
    per_cell = CELL // BLOCK
    side, margin = (2 * AROUND + 1) * per_cell, AROUND * per_cell
    return -F.max_pool2d(-blocks_B1hw, side, per_cell, margin)


def mean_around(values_B1hw: Tensor) -> Tensor:
    """The mean of each cell and its neighbours, (B, 1, h, w)."""
    side = 2 * AROUND + 1
    return F.avg_pool2d(values_B1hw, side, 1, AROUND, count_include_pad=False)


def _risen(values: Tensor, low: float, high: float) -> Tensor:
    """0 up to a low value, 1 from a high one on, linear between."""
    return ((values - low) / (high - low)).clamp(0, 1)


def _diagonal(grey_B1HW: Tensor) -> Tensor:
    """Absolute diagonal differences of neighbours, (B, 1, H, W)."""
    more = F.pad(grey_B1HW, (0, 1, 0, 1), mode="replicate")
    upper, lower = more[..., :-1, :], more[..., 1:, :]
    return (upper[..., :-1] - upper[..., 1:] - lower[..., :-1] + lower[..., 1:]).abs()


def _steps(grey_B1HW: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute differences to the right and the lower neighbour, (B, 1, H, W) each."""
    more = F.pad(grey_B1HW, (0, 1, 0, 1), mode="replicate")
    here = more[..., :-1, :-1]
    return (more[..., :-1, 1:] - here).abs(), (more[..., 1:, :-1] - here).abs()


def _cells(values_B1HW: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(values_B1HW, side)


def _log_ratio(over: Tensor, under: Tensor) -> Tensor:
    return torch.log((over + _LEAST) / (under + _LEAST))
