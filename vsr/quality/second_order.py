"""Degradation of one order: blur, resizing, noise and JPEG, drawn from ranges.

Two in a row are Real-ESRGAN's second-order degradation (Wang et al., ICCVW 2021); the defaults are
its first order. Unlike there, parameters can drift over a clip: footage changes smoothly, not from
frame to frame.

T frames, H, W size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.quality import blur_kernels
from vsr.quality.blur_kernels import blur
from vsr.quality.draw import between, chance, index
from vsr.quality.filters import RESIZES, gaussian_noise, poisson_noise, resize
from vsr.quality.jpeg import jpeg

Range = tuple[float, float]
"""Lowest and highest value of a uniform draw."""

KERNELS = (
    "gaussian",
    "elongated gaussian",
    "generalised",
    "elongated generalised",
    "plateau",
    "elongated plateau",
)
"""The order of ``Order.kernel_weights``."""

WIDE_KERNEL = 13
"""Side of the kernel from which on the low-pass filter may cut off lower frequencies."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Ranges that one order of degradation is drawn from, once for a clip.

    Attributes:
        blur_share: Share of clips that are blurred, 0 to 1.
        sinc_share: Share of blurs that are the ideal low-pass filter, which rings.
        kernel_weights: How often each of ``KERNELS`` is drawn for the others.
        kernel_sides: Smallest and largest side of a kernel; odd, 3 to 51.
        blur_sigma: Standard deviation of bells, in pixels.
        generalised_shape: Exponent of generalised Gaussians; half of the draws are below 1.
        plateau_shape: Exponent of plateaus; half of the draws are 1.
        enlarge_share: Share of clips that are enlarged.
        reduce_share: Share of clips that are reduced.
        scale: Smallest factor of a reduction, largest of an enlargement.
        noise_share: Share of clips with noise.
        gaussian_share: Share of noise that is Gaussian; the other is Poisson.
        noise_sigma: Standard deviation of Gaussian noise, in levels of 8 bits.
        poisson_strength: Strength of Poisson noise.
        grey_share: Share of noise that is the same in all colours.
        jpeg_share: Share of clips whose frames are compressed as JPEG.
        jpeg_quality: As of libjpeg, 1 to 100.
        drift: How far blur, noise and quality move through their range over a clip, 0 to 1.
    """

    blur_share: float = 1.0
    sinc_share: float = 0.1
    kernel_weights: tuple[float, ...] = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
    kernel_sides: tuple[int, int] = (7, 21)
    blur_sigma: Range = (0.2, 3.0)
    generalised_shape: Range = (0.5, 4.0)
    plateau_shape: Range = (1.0, 2.0)
    enlarge_share: float = 0.2
    reduce_share: float = 0.7
    scale: Range = (0.15, 1.5)
    noise_share: float = 1.0
    gaussian_share: float = 0.5
    noise_sigma: Range = (1.0, 30.0)
    poisson_strength: Range = (0.05, 3.0)
    grey_share: float = 0.4
    jpeg_share: float = 1.0
    jpeg_quality: Range = (30.0, 95.0)
    drift: float = 0.0

    def __post_init__(self) -> None:
        if len(self.kernel_weights) != len(KERNELS) or sum(self.kernel_weights) <= 0:
            raise ConfigurationError(
                f"kernel_weights has {len(self.kernel_weights)} values; give {len(KERNELS)}, "
                f"for {', '.join(KERNELS)}, not all 0"
            )
        for name in ("blur_sigma", "scale", "poisson_strength", "noise_sigma", "jpeg_quality"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ConfigurationError(
                    f"{name} is [{low}, {high}]; give two numbers above 0, the lower one first"
                )
        smallest, largest = self.kernel_sides
        if not 3 <= smallest <= largest <= 51 or not smallest % 2 == largest % 2 == 1:
            raise ConfigurationError(
                f"kernel_sides is [{smallest}, {largest}]; give two odd numbers from 3 to 51"
            )


def degrade_once(frames: Tensor, order: Order, rng: torch.Generator) -> Tensor:
    """Degrade a clip by one order.

    Args:
        frames: (T, 3, H, W) in [0, 1]; sides of 27 or more.
        order: Ranges to draw from.
        rng: Source of all randomness.

    Returns:
        (T, 3, h, w) in [0, 1]; another size where it was resized.
    """
    if chance(order.blur_share, rng):
        frames = blur(frames, draw_kernels(order, len(frames), rng))
    frames = _resized(frames, order, rng).clamp(0, 1)
    if chance(order.noise_share, rng):
        frames = _noisy(frames, order, rng).clamp(0, 1)
    if chance(order.jpeg_share, rng):
        quality = curve(order.jpeg_quality, len(frames), order.drift, rng)
        frames = jpeg(frames, quality)
    return frames


def draw_kernels(order: Order, num_frames: int, rng: torch.Generator) -> Tensor:
    """Draw a blur: (1, S, S) for all frames, or (T, S, S) where parameters drift."""
    low, high = (side // 2 for side in order.kernel_sides)
    side = 2 * (low + index(high - low + 1, rng)) + 1
    num_kernels = num_frames if order.drift else 1
    if chance(order.sinc_share, rng):
        lowest = math.pi / (3 if side < WIDE_KERNEL else 5)
        cutoffs = curve((lowest, math.pi), num_kernels, order.drift, rng)
        kernels = [blur_kernels.sinc(side, cutoff) for cutoff in cutoffs.tolist()]
    else:
        kernels = _bells(order, side, num_kernels, rng)
    return torch.stack(kernels)


def draw_sinc(num_frames: int, drift: float, rng: torch.Generator) -> Tensor:
    """Draw the last low-pass filter of Real-ESRGAN's degradation; as ``draw_kernels``."""
    side = 2 * (3 + index(8, rng)) + 1
    cutoffs = curve((math.pi / 3, math.pi), num_frames if drift else 1, drift, rng)
    return torch.stack([blur_kernels.sinc(side, cutoff) for cutoff in cutoffs.tolist()])


def curve(values: Range, num_frames: int, drift: float, rng: torch.Generator) -> Tensor:
    """A parameter of each frame, (T,): from one draw smoothly ``drift`` of the way to another."""
    begin, other = between(*values, rng), between(*values, rng)
    place = torch.linspace(0, 1, num_frames)
    return begin + drift * (other - begin) * place.square() * (3 - 2 * place)


def _bells(order: Order, side: int, num_kernels: int, rng: torch.Generator) -> list[Tensor]:
    weights = torch.tensor(order.kernel_weights)
    kind = KERNELS[int(torch.multinomial(weights, 1, generator=rng))]
    first = curve(order.blur_sigma, num_kernels, order.drift, rng).tolist()
    second = curve(order.blur_sigma, num_kernels, order.drift, rng).tolist()
    is_long = kind.startswith("elongated")
    angle = between(-math.pi, math.pi, rng) if is_long else 0.0
    sigmas = list(zip(first, second if is_long else first, strict=True))
    if kind.endswith("generalised"):
        shape = _around_one(order.generalised_shape, rng)
        return [blur_kernels.generalised_gaussian(side, s, angle, shape=shape) for s in sigmas]
    if kind.endswith("plateau"):
        shape = _around_one(order.plateau_shape, rng)
        return [blur_kernels.plateau(side, s, angle, shape=shape) for s in sigmas]
    return [blur_kernels.gaussian(side, s, angle) for s in sigmas]


def _around_one(shape: Range, rng: torch.Generator) -> float:
    """Half of the draws between the lowest and 1, half between 1 and the highest."""
    return between(shape[0], 1, rng) if chance(0.5, rng) else between(1, shape[1], rng)


def _resized(frames: Tensor, order: Order, rng: torch.Generator) -> Tensor:
    kind = float(torch.rand((), generator=rng))
    if kind < order.enlarge_share:
        factor = between(1, order.scale[1], rng)
    elif kind < order.enlarge_share + order.reduce_share:
        factor = between(order.scale[0], 1, rng)
    else:
        return frames
    height, width = (max(1, int(side * factor)) for side in frames.shape[-2:])
    return resize(frames, (height, width), RESIZES[index(len(RESIZES), rng)])


def _noisy(frames: Tensor, order: Order, rng: torch.Generator) -> Tensor:
    is_grey = chance(order.grey_share, rng)
    if chance(order.gaussian_share, rng):
        sigma = curve(order.noise_sigma, len(frames), order.drift, rng) / 255
        return gaussian_noise(frames, sigma, rng, grey=is_grey)
    strength = curve(order.poisson_strength, len(frames), order.drift, rng)
    return poisson_noise(frames, strength, rng, grey=is_grey)
