"""Blur kernels of Real-ESRGAN's degradation (Wang et al., ICCVW 2021), and filtering with them.

Three families of bell, each round or elongated, and the ideal low-pass filter, whose rings are what
sharpening and strong compression leave around edges. All lie on whole pixels and sum to 1.

N images, S side of a kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

FINENESS = 8
"""Points along the side of a pixel at which shapes with a sharp edge are sampled."""


def gaussian(side: int, sigma: tuple[float, float], angle: float = 0.0) -> Tensor:
    """A Gaussian.

    Args:
        side: S, odd.
        sigma: Standard deviation along its first and its second axis, in pixels.
        angle: Rotation of the first axis, in radians.

    Returns:
        (S, S), float64, sum 1.
    """
    return _bell(side, sigma, angle, lambda m: torch.exp(-m / 2))


def generalised_gaussian(
    side: int, sigma: tuple[float, float], angle: float = 0.0, *, shape: float
) -> Tensor:
    """A bell exp(-m^shape / 2): pointed below a shape of 1, flat-topped above.

    Args:
        side: S, odd.
        sigma: See ``gaussian``.
        angle: See ``gaussian``.
        shape: Exponent; 1 is the Gaussian.

    Returns:
        (S, S), float64, sum 1.
    """
    return _bell(side, sigma, angle, lambda m: torch.exp(-m.pow(shape) / 2))


def plateau(side: int, sigma: tuple[float, float], angle: float = 0.0, *, shape: float) -> Tensor:
    """A bell 1 / (1 + m^shape): a plateau with long tails, as of a lens that is out of focus.

    Args:
        side: S, odd.
        sigma: See ``gaussian``.
        angle: See ``gaussian``.
        shape: Exponent; the larger, the steeper the edge of the plateau.

    Returns:
        (S, S), float64, sum 1.
    """
    return _bell(side, sigma, angle, lambda m: 1 / (1 + m.pow(shape)))


def disc(side: int, radius: float) -> Tensor:
    """A disc, as a lens out of focus makes of a point; each pixel counts by the area it covers.

    Args:
        side: S, odd.
        radius: In pixels; its standard deviation along an axis is half of it.

    Returns:
        (S, S), float64, sum 1.
    """
    fine = torch.arange(side * FINENESS, dtype=torch.float64)
    places = (fine + 0.5) / FINENESS - side / 2
    inside = (places[:, None].square() + places.square() <= radius**2).double()
    return _normalised(F.avg_pool2d(inside[None], FINENESS)[0])


def line(side: int, length: float, angle: float) -> Tensor:
    """A line, as a motion during the exposure makes of a point.

    Args:
        side: S, odd.
        length: In pixels, up to S - 2.
        angle: Of the motion, in radians.

    Returns:
        (S, S), float64, sum 1.
    """
    x, y = _offsets(side)
    steps = side * FINENESS
    along = ((torch.arange(steps).double() + 0.5) / steps - 0.5)[:, None, None] * length
    near = (1 - (x - along * math.cos(angle)).abs()).clamp(min=0)
    return _normalised((near * (1 - (y - along * math.sin(angle)).abs()).clamp(min=0)).sum(0))


def sinc(side: int, cutoff: float) -> Tensor:
    """The ideal circular low-pass filter, cut off at the kernel's border.

    Args:
        side: S, odd.
        cutoff: Highest frequency that passes, in radians per pixel, up to pi.

    Returns:
        (S, S), float64, sum 1.
    """
    x, y = _offsets(side)
    radius = torch.hypot(x, y)
    rings = cutoff * torch.special.bessel_j1(cutoff * radius) / (2 * math.pi * radius)
    centre = cutoff**2 / (4 * math.pi)
    return _normalised(torch.where(radius == 0, centre, rings))


def padded(kernel: Tensor, side: int) -> Tensor:
    """The kernel (S, S) in the middle of ``side`` x ``side`` zeros; ``side`` is odd."""
    around = (side - kernel.shape[-1]) // 2
    return F.pad(kernel, (around,) * 4)


def blur(images: Tensor, kernels: Tensor) -> Tensor:
    """Filter each image with its own kernel; borders are reflected.

    Args:
        images: (N, C, H, W), sides larger than half of S.
        kernels: (N, S, S), or (1, S, S) for all images.

    Returns:
        (N, C, H, W).
    """
    count, colours, height, width = images.shape
    around = kernels.shape[-1] // 2
    framed = F.pad(images, (around,) * 4, mode="reflect")
    if len(kernels) == 1:
        kernel = kernels[:, None].to(images).expand(colours, -1, -1, -1)
        return F.conv2d(framed, kernel, groups=colours)
    each = kernels.to(images).repeat_interleave(colours, 0)[:, None]
    stacked = framed.reshape(1, count * colours, *framed.shape[-2:])
    return F.conv2d(stacked, each, groups=count * colours).view(count, colours, height, width)


def _bell(
    side: int, sigma: tuple[float, float], angle: float, profile: Callable[[Tensor], Tensor]
) -> Tensor:
    """A profile over the squared Mahalanobis distance m from the middle."""
    x, y = _offsets(side)
    along = (math.cos(angle) * x + math.sin(angle) * y) / sigma[0]
    across = (math.cos(angle) * y - math.sin(angle) * x) / sigma[1]
    return _normalised(profile(along.square() + across.square()))


def _offsets(side: int) -> tuple[Tensor, Tensor]:
    """Columns and rows from the middle, (S, S) each."""
    axis = torch.arange(side, dtype=torch.float64) - side // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def _normalised(kernel: Tensor) -> Tensor:
    return kernel / kernel.sum()
