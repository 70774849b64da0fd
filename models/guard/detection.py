"""Detecting artefacts of a vivid restoration, in cells of a frame: invented texture and colour.

Texture is made up where the similarity of DeSRA (``local_variance``) is under a limit; that of the
greys is taken, a third of the work of three colours. What detail a vivid network may add depends on
what is there: DeSRA asks a segmentation for the kind of region, here the faithful result's own
deviation tells flat from textured. A blob of colour has no texture: it is where the mean colours of
both differ.

All of it is local, unlike DeSRA's regions (``published``), so that frames may be restored in tiles.
Limits were chosen on `realesrgan-x4plus` and `realesr-animevideov3` beside `compact-x4-faithful`
(docs/guard.md).

B images, C colour, H, W size of the frames, h, w of their cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.guard.local_variance import MARGIN, texture_similarity

CELL = 8
"""Side of a cell in pixels of the restored frames."""

STEP = 2
"""Every so many-th pixel's similarity counts: its window is wide enough for both to be alike."""

FLAT, TEXTURED = 2 / 255, 4 / 255
"""Deviations of the faithful result in a cell: up to the first it is flat, from the second on it
is textured."""

FLAT_LIMIT, TEXTURED_LIMIT = 0.85, 0.66
"""Similarity under which a cell is made up, flat or textured; between, in proportion."""

COLOUR_LIMIT = 10 / 255
"""Difference of a colour, beside that of the brightness, from which a cell is made up."""

HYSTERESIS = 0.08
"""Addition to the similarity's limit where an artefact was found in the frame before."""

RADIUS = MARGIN + 4 * CELL
"""Pixels on each side that the share of a pixel depends on: the window's, the cell's own, its
neighbours', those it is found from, and those that it is enlarged with."""


def found_share(vivid_BCHW: Tensor, faithful_BCHW: Tensor, before_Bhw: Tensor | None) -> Tensor:
    """Cells of frames whose content is made up.

    Args:
        vivid_BCHW: Result of the vivid network, (B, 3, H, W).
        faithful_BCHW: Result of the faithful network.
        before_Bhw: Share of the faithful result in the frame before; None at the start of a scene.

    Returns:
        (B, h, w), 1 where the content is made up, otherwise 0; h and w are H and W over ``CELL``,
        rounded up.
    """
    vivid_BHW, faithful_BHW = (f.mean(1).clamp_(0, 1) for f in (vivid_BCHW, faithful_BCHW))
    limit_Bhw = _limit(faithful_BHW)
    if before_Bhw is not None:
        # Without the cells that were added around: these would add others, frame by frame.
        inner_Bhw = -F.max_pool2d(-before_Bhw[:, None], 3, 1, 1)[:, 0]
        limit_Bhw = limit_Bhw + HYSTERESIS * inner_Bhw
    suspect_Bhw = _similarity(vivid_BHW, faithful_BHW) < limit_Bhw
    suspect_Bhw = suspect_Bhw | (_colour_difference(vivid_BCHW, faithful_BCHW) > COLOUR_LIMIT)
    most_Bhw = _mean_of_neighbours(suspect_Bhw.float()).gt(0.5).float()
    return F.max_pool2d(most_Bhw[:, None], 3, 1, 1)[:, 0]


def _similarity(vivid_BHW: Tensor, faithful_BHW: Tensor) -> Tensor:
    """(B, h, w): the mean of DeSRA's similarity of the greys in each cell, of every 2nd pixel."""
    around = (MARGIN,) * 4
    pairs = zip(
        F.pad(vivid_BHW[:, None], around, mode="replicate"),
        F.pad(faithful_BHW[:, None], around, mode="replicate"),
        strict=True,
    )
    judged = [texture_similarity(vivid, faithful, STEP) for vivid, faithful in pairs]
    return _cells(torch.stack(judged), CELL // STEP)


def _limit(faithful_BHW: Tensor) -> Tensor:
    """(B, h, w): the least similarity of cells that are not artefacts."""
    variance_Bhw = _cells(faithful_BHW.square()) - _cells(faithful_BHW).square()
    deviation_Bhw = _mean_of_neighbours(variance_Bhw.clamp(min=0).sqrt())
    texture_Bhw = ((deviation_Bhw - FLAT) / (TEXTURED - FLAT)).clamp(0, 1)
    return FLAT_LIMIT + (TEXTURED_LIMIT - FLAT_LIMIT) * texture_Bhw


def _colour_difference(vivid_BCHW: Tensor, faithful_BCHW: Tensor) -> Tensor:
    """(B, h, w): the largest of the colours' differences, the brightness' taken off."""
    vivid_Nhw, faithful_Nhw = (
        _cells(frames_BCHW.flatten(0, 1)) for frames_BCHW in (vivid_BCHW, faithful_BCHW)
    )
    difference_Nhw = vivid_Nhw - faithful_Nhw
    difference_BChw = difference_Nhw.view(*vivid_BCHW.shape[:2], *difference_Nhw.shape[1:])
    colour_BChw = difference_BChw - difference_BChw.mean(1, keepdim=True)
    return _mean_of_neighbours(colour_BChw.flatten(0, 1)).view_as(colour_BChw).abs().amax(1)


def _cells(plane_BHW: Tensor, side: int = CELL) -> Tensor:
    """(B, h, w): the mean of each cell of so many pixels a side, of what a frame has of it."""
    return _groups(_groups(plane_BHW, 1, side), 2, side)


def _groups(plane_BHW: Tensor, axis: int, side: int) -> Tensor:
    """Means of pixels that follow each other along an axis, the last of what is left."""
    length = plane_BHW.shape[axis]
    left = length % side
    means = [plane_BHW.unfold(axis, side, side).mean(-1)] if length >= side else []
    if left:
        means.append(plane_BHW.narrow(axis, length - left, left).mean(axis, keepdim=True))
    return torch.cat(means, axis) if len(means) > 1 else means[0]


def _mean_of_neighbours(cells_Bhw: Tensor) -> Tensor:
    """The mean of 3x3 cells, of those within the frame."""
    return F.avg_pool2d(cells_Bhw[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
