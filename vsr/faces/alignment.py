"""Alignment of faces to the published template, and the way back into the frame.

A similarity (turn, scale, shift) is a pair of complex numbers: x + iy goes to factor (x + iy) +
shift. Coordinates are those of pixel centres.

C colour, H, W size of an image, h, w of what is sampled.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.face_loading import FACE_SIZE

Points = np.ndarray[Any, np.dtype[np.complex128]]

SIZE = FACE_SIZE
"""Side of an aligned face, in pixels."""

TEMPLATE: Points = np.array(
    [
        192.98138 + 239.94708j,
        318.90277 + 240.19360j,
        256.63416 + 314.01935j,
        201.26117 + 371.41043j,
        313.08905 + 371.15118j,
    ]
)
"""Eyes, nose and corners of the mouth in an aligned face, as GFPGAN was trained on."""

OUTSIDE = (132 / 255, 133 / 255, 135 / 255)
"""RGB beyond the border of a frame, as published."""

CENTRE, RADII, EDGE = (256.0, 262.0), (212.0, 244.0), 64.0
"""The part of an aligned face that is pasted: an ellipse about this point, whose weight falls to
zero over ``EDGE`` pixels inside of these radii."""

_MARGIN = 2
"""Pixels around a part of an image that is sampled."""


@dataclass(frozen=True)
class Similarity:
    """A turn, a scale and a shift.

    Attributes:
        factor: Scale and turn as a complex number.
        shift: Image of the point 0.
    """

    factor: complex
    shift: complex

    def __call__(self, points: Points) -> Points:
        """Images of points."""
        return self.factor * points + self.shift

    def after(self, first: Similarity) -> Similarity:
        """The composition: this similarity after another one."""
        return Similarity(self.factor * first.factor, self.factor * first.shift + self.shift)

    def inverse(self) -> Similarity:
        """The inverse similarity."""
        return Similarity(1 / self.factor, -self.shift / self.factor)


def fit(before: Points, after: Points) -> Similarity:
    """The similarity that brings points closest to others, in the mean of squared distances."""
    centred = before - before.mean()
    factor = np.vdot(centred, after) / np.vdot(centred, centred)
    return Similarity(complex(factor), complex(after.mean() - factor * before.mean()))


def placement(points: Points) -> Similarity:
    """Placement of an aligned face in a frame: from pixels of the template to those of the frame.

    Args:
        points: Five points of a face in the frame.
    """
    return fit(TEMPLATE, points)


def aligned(frame_3HW: Tensor, place: Similarity) -> Tensor:
    """An aligned face (3, 512, 512) of a frame; beyond the frame it is ``OUTSIDE``."""
    outside = frame_3HW.new_tensor(OUTSIDE)[:, None, None]
    return sample(frame_3HW, place, (SIZE, SIZE), outside)


def sample(
    image_CHW: Tensor, place: Similarity, size: tuple[int, int], outside: Tensor | float = 0.0
) -> Tensor:
    """Sample an image bilinearly along a similarity, without aliasing where it is reduced.

    Args:
        image_CHW: The image, float.
        place: From pixels of the result to pixels of the image.
        size: Rows and columns of the result.
        outside: Value beyond the image, of all colours or (C, 1, 1).

    Returns:
        (C, h, w), float32.
    """
    height, width = size
    corners = np.array([0, width - 1, 1j * (height - 1), width - 1 + 1j * (height - 1)])
    left, top, right, bottom = _around(place(corners), image_CHW.shape[-2:])
    if right <= left or bottom <= top:
        return (image_CHW.new_zeros(len(image_CHW), *size) + outside).float()
    part = image_CHW[:, top:bottom, left:right].float() - outside
    reduced = _reduced(part, abs(place.factor))
    steps = [side / whole for side, whole in zip(reduced.shape[1:], part.shape[1:], strict=True)]
    grid = _grid(place, size, (left, top), steps, reduced)
    sampled = F.grid_sample(reduced[None], grid[None], padding_mode="zeros", align_corners=False)
    return sampled[0] + outside


def _around(points: Points, size: torch.Size) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of an image about points."""
    height, width = size
    margin = _MARGIN + 1
    left, top = math.floor(points.real.min()) - margin, math.floor(points.imag.min()) - margin
    right, bottom = math.ceil(points.real.max()) + margin, math.ceil(points.imag.max()) + margin
    return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def _reduced(part_CHW: Tensor, factor: float) -> Tensor:
    """An image reduced by a factor of more than 1, the mean of what each pixel covers."""
    if factor <= 1:
        return part_CHW
    size = [max(1, round(side / factor)) for side in part_CHW.shape[1:]]
    return F.interpolate(part_CHW[None], size, mode="bilinear", antialias=True)[0]


def _grid(
    place: Similarity,
    size: tuple[int, int],
    corner: tuple[int, int],
    steps: list[float],
    image_CHW: Tensor,
) -> Tensor:
    """Sampling positions (h, w, 2) in a part of an image that was reduced."""
    height, width = size
    options = {"dtype": torch.float64, "device": image_CHW.device}
    x = torch.arange(width, **options)  # type: ignore[call-overload]
    y = torch.arange(height, **options)[:, None]  # type: ignore[call-overload]
    turn, lift, shift = place.factor.real, place.factor.imag, place.shift
    across = (turn * x - lift * y + shift.real - corner[0] + 0.5) * steps[1]
    down = (lift * x + turn * y + shift.imag - corner[1] + 0.5) * steps[0]
    rows, columns = image_CHW.shape[1:]
    return torch.stack([across * (2 / columns) - 1, down * (2 / rows) - 1], -1).float()


def paste(frame_3HW: Tensor, change_3HW: Tensor, place: Similarity) -> None:
    """Add the change of an aligned face to a frame, in place.

    Pixels that the network did not change stay unchanged in the frame, to the bit: only the
    change is sampled, not the face.

    Args:
        frame_3HW: The frame, float; changed.
        change_3HW: Restored less aligned face, (3, 512, 512); zero where nothing is to change.
        place: Placement of the aligned face in the frame.
    """
    square = np.array([0, SIZE - 1, 1j * (SIZE - 1), (SIZE - 1) * (1 + 1j)])
    left, top, right, bottom = _around(place(square), frame_3HW.shape[-2:])
    if right <= left or bottom <= top:
        return
    back = place.inverse().after(Similarity(1, complex(left, top)))
    change = sample(change_3HW, back, (bottom - top, right - left))
    frame_3HW[:, top:bottom, left:right] += change.to(frame_3HW.dtype)


@functools.cache
def mask(device: torch.device) -> Tensor:
    """Weight (1, 512, 512) of the pasted face: 1 inside, falling softly to 0 before its border."""
    at = torch.arange(SIZE, device=device, dtype=torch.float32)
    x, y = (at - CENTRE[0]) / RADII[0], (at[:, None] - CENTRE[1]) / RADII[1]
    inside = (1 - torch.sqrt(x * x + y * y)) * min(RADII) / EDGE
    ramp = inside.clamp(0, 1)
    return (ramp * ramp * (3 - 2 * ramp))[None]
