"""Resizing, noise and sharpening as image networks are trained with (Real-ESRGAN).

N images, C colour, H, W size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.quality.blur_kernels import blur, gaussian

RESIZES = ("area", "bilinear", "bicubic")

LUMA = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue in grey."""

SHARPENING_SIGMA = 8.0
"""OpenCV's rule for a kernel of 51: 0.3 ((51 - 1) / 2 - 1) + 0.8."""

SHARPENING_THRESHOLD = 10 / 255


def resize(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Resize without antialiasing, as published training pipelines do.

    Args:
        images: (N, C, H, W).
        size: New height and width.
        mode: One of ``RESIZES``.

    Returns:
        (N, C, *size); bicubic may leave [0, 1].
    """
    if mode == "area":
        return F.interpolate(images, size=size, mode="area")
    return F.interpolate(images, size=size, mode=mode, align_corners=False)


def gaussian_noise(
    images: Tensor, sigma: Tensor, rng: torch.Generator, *, grey: bool = False
) -> Tensor:
    """Add Gaussian noise, new in each image.

    Args:
        images: (N, 3, H, W) in [0, 1].
        sigma: (N,), in units of [0, 1].
        rng: Source of all randomness.
        grey: The same noise in all colours.

    Returns:
        (N, 3, H, W), not clipped.
    """
    colours = 1 if grey else images.shape[1]
    noise = torch.randn((len(images), colours, *images.shape[-2:]), generator=rng)
    return images + noise.to(images) * sigma.to(images)[:, None, None, None]


def film_grain(images: Tensor, sigma: float, size_px: float, rng: torch.Generator) -> Tensor:
    """Add film grain: grey, coarser than pixels, strongest in the mid-tones, new in each image.

    Args:
        images: (N, 3, H, W) in [0, 1].
        sigma: Deviation in the mid-tones, in units of [0, 1].
        size_px: Sigma of the Gaussian that makes it coarse, in pixels; 0 leaves pixels independent.
        rng: Source of all randomness.

    Returns:
        (N, 3, H, W), not clipped.
    """
    grain = torch.randn((len(images), 1, *images.shape[-2:]), generator=rng)
    if size_px:
        side = 2 * math.ceil(3 * size_px) + 1
        kernel = gaussian(side, (size_px, size_px))
        grain = blur(grain, kernel[None]) / kernel.square().sum().sqrt()
    luma = images.mean(1, keepdim=True).clamp(0, 1)
    return images + grain.to(images) * sigma * 4 * luma * (1 - luma)


def poisson_noise(
    images: Tensor,
    strength: Tensor,
    rng: torch.Generator,
    *,
    grey: bool = False,
    photons: int | None = None,
) -> Tensor:
    """Add the noise of counted light, which grows with brightness.

    Args:
        images: (N, 3, H, W) in [0, 1]; rounded to 8 bits first.
        strength: (N,), factor of the noise.
        rng: Source of all randomness.
        grey: The noise of the grey image, the same in all colours.
        photons: Counted where a pixel is white; None for as many as an image has different values,
            rounded up to a power of two, as published: flat images become very noisy.

    Returns:
        (N, 3, H, W), not clipped.
    """
    exact = images.clamp(0, 1).mul(255).round().div(255)
    if grey:
        shares = images.new_tensor(LUMA).view(3, 1, 1)
        exact = (exact * shares).sum(1, keepdim=True).mul(255).round().div(255)
    counts = [photons or _num_levels(image) for image in exact]
    levels = images.new_tensor(counts)[:, None, None, None]
    noise = torch.poisson((exact * levels).cpu(), generator=rng).to(images) / levels - exact
    return images + noise * strength.to(images)[:, None, None, None]


def sharpen(images: Tensor, weight: float = 0.5, sigma: float = SHARPENING_SIGMA) -> Tensor:
    """Unsharp masking that spares what is flat: Real-ESRGAN's sharpened targets.

    Args:
        images: (N, C, H, W) in [0, 1], sides of 26 or more.
        weight: Share of the detail that is added.
        sigma: Standard deviation of the Gaussian that detail is measured against, in pixels; the
            published kernel of 51 pixels at the default, others in proportion.

    Returns:
        (N, C, H, W) in [0, 1].
    """
    side = 2 * round(25 * sigma / SHARPENING_SIGMA) + 1
    kernel = gaussian(side, (sigma, sigma))[None]
    detail = images - blur(images, kernel)
    where = blur((detail.abs() > SHARPENING_THRESHOLD).to(images), kernel)
    sharp = (images + weight * detail).clamp(0, 1)
    return where * sharp + (1 - where) * images


def _num_levels(image: Tensor) -> int:
    """The number of different 8-bit values, rounded up to a power of two."""
    count: int = torch.unique(image.mul(255).round()).numel()
    return 1 << (count - 1).bit_length()
