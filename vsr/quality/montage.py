"""Pictures that set versions of the same frame side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import avg_pool2d

Panel = tuple[str, Tensor]
"""A title, and a frame (3, H, W), RGB in [0, 1]."""

PANEL_HEIGHT, PANEL_WIDTH = 720, 1280
"""Larger frames show their middle: two of them still make a video that players accept."""

CROP_HEIGHT, CROP_WIDTH = 180, 320
_MAGNIFIED = 2
_LABEL_SIZE = 20
_GAP = 6


def panel_size(height: int, width: int) -> tuple[int, int]:
    """Give the height and width that ``side_by_side`` shows of a frame; both are even."""
    return min(height // 2 * 2, PANEL_HEIGHT), min(width // 2 * 2, PANEL_WIDTH)


def side_by_side(panels: Sequence[Panel]) -> Tensor:
    """Put frames of one size beside each other, each with its title.

    Returns:
        (3, H, W of all panels), where H and W are those of ``panel_size``: larger frames are
        cropped to their middle, none is resized.
    """
    return torch.cat([label(_middle(frame), title) for title, frame in panels], dim=-1)


def detail_sheet(panels: Sequence[Panel], *, rows: int = 3) -> Tensor:
    """Show enlarged details, a column for each panel, where the first two panels differ most.

    Returns:
        (3, H, W), white between the details.
    """
    places = find_differences(panels[0][1], panels[1][1], count=rows)
    columns = [[_detail(frame, place) for place in places] for _, frame in panels]
    for column, (title, _) in zip(columns, panels, strict=True):
        column[0] = label(column[0], title)
    return _join([_join(column, axis=-2) for column in columns], axis=-1)


def find_differences(first: Tensor, second: Tensor, *, count: int) -> list[tuple[int, int]]:
    """Find where two frames differ most.

    Args:
        first: (3, H, W).
        second: The same shape.
        count: Places wanted; fewer are found where that many do not fit.

    Returns:
        Top and left of windows of CROP_HEIGHT x CROP_WIDTH that do not overlap, largest difference
        first.
    """
    error = (first - second).abs().mean(dim=0, keepdim=True)
    height, width = min(CROP_HEIGHT, error.shape[-2]), min(CROP_WIDTH, error.shape[-1])
    score = avg_pool2d(avg_pool2d(error, (height, 1), 1), (1, width), 1)[0]
    places: list[tuple[int, int]] = []
    while len(places) < count and score.max() >= 0:
        top, left = divmod(int(score.argmax()), score.shape[-1])
        places.append((top, left))
        rows, columns = (
            slice(max(0, top - height + 1), top + height),
            slice(max(0, left - width + 1), left + width),
        )
        score[rows, columns] = -1
    return places


def label(frame: Tensor, title: str) -> Tensor:
    """Give a copy of a frame with its title in the upper left corner."""
    text = _lettering(title).to(frame)[:, : frame.shape[-2], : frame.shape[-1]]
    labelled = frame.clone()
    corner = labelled[:, : text.shape[-2], : text.shape[-1]]
    corner.mul_(0.35).add_(0.65 * text)
    return labelled


def save_png(frame: Tensor, path: Path) -> None:
    """Write a frame, (3, H, W) in [0, 1], as an 8-bit PNG."""
    pixels = frame.clamp(0, 1).mul(255).round().byte().movedim(0, -1)
    Image.fromarray(pixels.cpu().numpy()).save(path)


@lru_cache(maxsize=16)
def _lettering(title: str) -> Tensor:
    font = ImageFont.load_default(_LABEL_SIZE)
    image = Image.new("RGB", (round(font.getlength(title)) + 20, _LABEL_SIZE + 14))
    ImageDraw.Draw(image).text((10, image.height / 2), title, font=font, anchor="lm")
    return torch.from_numpy(np.array(image)).movedim(-1, 0) / 255


def _middle(frame: Tensor) -> Tensor:
    height, width = frame.shape[-2:]
    rows, columns = panel_size(height, width)
    top, left = (height - rows) // 2, (width - columns) // 2
    return frame[:, top : top + rows, left : left + columns]


def _detail(frame: Tensor, place: tuple[int, int]) -> Tensor:
    """Cut out a window and repeat its pixels, so that they are seen as they are."""
    top, left = place
    window = frame[:, top : top + CROP_HEIGHT, left : left + CROP_WIDTH]
    return window.repeat_interleave(_MAGNIFIED, -1).repeat_interleave(_MAGNIFIED, -2)


def _join(pictures: Sequence[Tensor], *, axis: int) -> Tensor:
    shape = list(pictures[0].shape)
    shape[axis] = _GAP
    gap = pictures[0].new_ones(shape)
    parts = [part for picture in pictures for part in (gap, picture)]
    return torch.cat(parts[1:], dim=axis)
