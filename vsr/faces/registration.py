"""Motion of a face from one frame to the next: the similarity that the pictures themselves show.

A small grey picture of the aligned face is looked for in the next frame, about where it is
expected: first as a whole (normalised correlation), which finds motions of up to half of a face's
size, then to fractions of a pixel by Gauss-Newton steps on turn, scale and shift (inverse
compositional Lucas-Kanade, Baker and Matthews 2004). No landmark is involved, and so no jitter of a
detector.

H, W side of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.faces.alignment import CENTRE, RADII, SIZE, Similarity, sample
from vsr.quality.metrics import luma

PATCH, WINDOW = 64, 128
"""Sides of the picture of a face and of what it is looked for in, of the same pixels."""

STEP = SIZE // PATCH
"""Pixels of the template for one of a patch."""

STEPS = 12
"""Gauss-Newton steps; they end earlier once a step is shorter than ``SETTLED``."""

SETTLED = 0.005
"""Pixels of a patch: 0.04 pixels of the template."""

_PATCH_TO_TEMPLATE = Similarity(STEP, complex(STEP - 1, STEP - 1) / 2)
_WINDOW_TO_TEMPLATE = Similarity(
    STEP, _PATCH_TO_TEMPLATE.shift - STEP * complex(1, 1) * (WINDOW - PATCH) / 2
)
_CORE = slice(PATCH // 8, -(PATCH // 8))
"""The rows and columns of a patch that hold the face, without what is behind it."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """The motion of a face.

    Attributes:
        place: Placement of the aligned face in the new frame.
        likeness: Correlation of the face then and now, 1 for the same picture.
    """

    place: Similarity
    likeness: float


def patch_of(frame_3HW: Tensor, place: Similarity) -> Tensor:
    """The grey picture (64, 64) of a face, on the CPU."""
    return _grey(frame_3HW, place.after(_PATCH_TO_TEMPLATE), PATCH)


def register(patch_HW: Tensor, frame_3HW: Tensor, expected: Similarity) -> Motion:
    """Find a face in a frame.

    Args:
        patch_HW: Picture of the face in an earlier frame.
        frame_3HW: RGB in [0, 1].
        expected: Expected placement of the aligned face.
    """
    place = expected.after(_WINDOW_TO_TEMPLATE)
    window = _grey(frame_3HW, place, WINDOW)
    found, likeness = _aligned(patch_HW, window, _nearest(patch_HW, window))
    return Motion(place=place.after(found).after(_PATCH_TO_TEMPLATE.inverse()), likeness=likeness)


def _grey(frame_3HW: Tensor, place: Similarity, side: int) -> Tensor:
    picture = sample(frame_3HW, place, (side, side), 0.5).nan_to_num().clamp(0, 1)
    return luma(picture[None])[0, 0].cpu()


def _nearest(patch_HW: Tensor, window_HW: Tensor) -> Similarity:
    """The shift from patch to window with the largest normalised correlation."""
    core = patch_HW[_CORE, _CORE]
    kernel = (core - core.mean())[None, None]
    image = window_HW[None, None]
    energy = F.avg_pool2d(image.square(), core.shape[0], 1)
    spread = (energy - F.avg_pool2d(image, core.shape[0], 1).square()).clamp(min=1e-5).sqrt()
    likeness = (F.conv2d(image, kernel) / spread)[0, 0]
    row, column = divmod(int(likeness.argmax()), likeness.shape[1])
    inset = _CORE.start
    return Similarity(1, complex(column - inset, row - inset))


def _aligned(patch_HW: Tensor, window_HW: Tensor, start: Similarity) -> tuple[Similarity, float]:
    """The similarity from patch to window about a start, and the likeness that it reaches."""
    weight = _weight()
    down, across = torch.gradient(patch_HW)
    offset = torch.arange(PATCH, dtype=torch.float32) - (PATCH - 1) / 2
    x, y = offset.expand(PATCH, PATCH), offset[:, None].expand(PATCH, PATCH)
    slopes = torch.stack([across * x + down * y, down * x - across * y, across, down])
    normal = torch.einsum("iyx,jyx,yx->ij", slopes, slopes, weight) + 1e-4 * torch.eye(4)
    centre = Similarity(1, complex(1, 1) * (PATCH - 1) / 2)
    warp, target = start, _standardised(patch_HW, weight)
    contrast = _contrast(patch_HW, weight)
    for _ in range(STEPS):
        seen = sample(window_HW[None], warp, (PATCH, PATCH))[0]
        residue = (_standardised(seen, weight) - target) * contrast
        slope = torch.einsum("iyx,yx,yx->i", slopes, residue, weight)
        grow, turn, right, low = torch.linalg.solve(normal, slope).tolist()
        step = Similarity(complex(1 + grow, turn), complex(right, low))
        warp = warp.after(centre).after(step.inverse()).after(centre.inverse())
        if abs(step.shift) + abs(step.factor - 1) * PATCH / 2 < SETTLED:
            break
    seen = sample(window_HW[None], warp, (PATCH, PATCH))[0]
    likeness = (_standardised(seen, weight) * target * weight).sum() / weight.sum()
    return warp, float(likeness)


def _weight() -> Tensor:
    """Weight (64, 64) of the pixels of a patch: the face, softly, and not what is behind it."""
    at = torch.arange(PATCH) * STEP + (STEP - 1) / 2
    x, y = (at - CENTRE[0]) / RADII[0], (at[:, None] - CENTRE[1]) / RADII[1]
    return torch.exp(-2 * (x * x + y * y))


def _contrast(patch_HW: Tensor, weight_HW: Tensor) -> Tensor:
    mean = (patch_HW * weight_HW).sum() / weight_HW.sum()
    return (((patch_HW - mean).square() * weight_HW).sum() / weight_HW.sum()).sqrt().clamp(min=1e-3)


def _standardised(patch_HW: Tensor, weight_HW: Tensor) -> Tensor:
    """A patch less its mean, over its contrast: lights that change do not count."""
    mean = (patch_HW * weight_HW).sum() / weight_HW.sum()
    return (patch_HW - mean) / _contrast(patch_HW, weight_HW)
