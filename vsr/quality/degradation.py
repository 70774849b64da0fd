"""How training and evaluation make low resolution from ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.ops.imresize import imresize, quantise


@dataclass(frozen=True, kw_only=True)
class Blur:
    """A dialect of the degradation "BD": a Gaussian blur, then every s-th pixel.

    Attributes:
        sigma: Standard deviation of the Gaussian, in ground-truth pixels.
        taps: Samples of the Gaussian on each axis, sum 1; an even number centres it between pixels.
        centred: Whether a sample lies in the middle of its s x s block; else at its first pixel.
        border: Padding mode, as ``torch.nn.functional.pad`` names it.
    """

    sigma: float
    taps: int
    centred: bool
    border: str


BLURS = {
    "BD": Blur(sigma=1.6, taps=12, centred=True, border="replicate"),
    "BD-13": Blur(sigma=1.6, taps=13, centred=False, border="reflect"),
    "BD-1.5": Blur(sigma=1.5, taps=13, centred=False, border="reflect"),
}
"""The dialects in use, all rounded to 8 bit. ``BD`` is that of the published BasicVSR and IconVSR
tables (MATLAB's ``imfilter`` with "replicate" and ``lq(2:4:end-2)``), ``BD-13`` that of DUF,
``BD-1.5`` that of TecoGAN. On Vid4 they differ by more than a decibel, so a table names its own."""

_FINEST = 2**16 - 1
"""Multiples of which are the values of 8-bit files too."""

DEGRADATIONS = ("BI", *BLURS)
"""The names ``degrade`` takes."""


def degrade(frames: Tensor, scale: int, name: str) -> Tensor:
    """Low resolution as a published table has it.

    Args:
        frames: (..., C, H, W) in [0, 1]; sides divisible by ``scale``.
        scale: Ground-truth size over low-resolution size.
        name: One of ``DEGRADATIONS``.

    Returns:
        (..., C, H / scale, W / scale), float32, in [0, 1], on the 256 values of an 8-bit file. BI
        equals MATLAB's on every pixel.

    Raises:
        ConfigurationError: An unknown name, or a blur that is not defined for that scale.
    """
    # In float32 one value in 200,000 falls on the other side of a half: the values of files of 8 or
    # 16 bit are taken exactly.
    exact = frames.double().mul(_FINEST).round().div(_FINEST)
    if name == "BI":
        return bicubic_down(exact, scale).float()
    if name not in BLURS:
        raise ConfigurationError(
            f"degradation {name!r} is unknown; known are {', '.join(DEGRADATIONS)}"
        )
    return blur_down(exact, scale, BLURS[name]).float()


def bicubic_down(frames: Tensor, scale: int) -> Tensor:
    """Degradation "BI": MATLAB's antialiased bicubic, rounded to 8 bit.

    Args:
        frames: (..., H, W) in [0, 1]; sides divisible by ``scale``.
        scale: Ground-truth size over low-resolution size.

    Returns:
        (..., H / scale, W / scale) in [0, 1], on the 256 values of an 8-bit file.
    """
    return quantise(imresize(frames, Fraction(1, scale)))


def blur_down(frames: Tensor, scale: int, blur: Blur) -> Tensor:
    """Degradation "BD" in one of its dialects, rounded to 8 bit.

    Args:
        frames: (..., C, H, W) in [0, 1]; sides divisible by ``scale``.
        scale: Ground-truth size over low-resolution size.
        blur: The dialect.

    Returns:
        (..., C, H / scale, W / scale) in [0, 1], on the 256 values of an 8-bit file.

    Raises:
        ConfigurationError: The middle of a block is between pixels where the blur has one, or the
            other way round.
    """
    outside = blur.taps - scale if blur.centred else blur.taps - 1
    if outside % 2 or outside < 0:
        raise ConfigurationError(
            f"a centred blur of {blur.taps} taps is not defined for x{scale}; take x2 or x4, or BI"
        )
    before = outside // 2
    after = before if blur.centred else max(0, blur.taps - scale - before)
    images = frames.flatten(0, -4) if frames.ndim > 3 else frames[None]
    padded = F.pad(images, (before, after, before, after), mode=blur.border)
    kernel = _gaussian(blur).to(frames)[None, None].repeat(frames.shape[-3], 1, 1, 1)
    rows = F.conv2d(padded, kernel.mT, stride=(scale, 1), groups=frames.shape[-3])
    small = F.conv2d(rows, kernel, stride=(1, scale), groups=frames.shape[-3])
    return quantise(small).reshape(*frames.shape[:-2], *small.shape[-2:])


def _gaussian(blur: Blur) -> Tensor:
    """(1, taps), float64, sum 1."""
    x = torch.arange(blur.taps, dtype=torch.float64) - (blur.taps - 1) / 2
    kernel = torch.exp(-(x**2) / (2 * blur.sigma**2))
    return (kernel / kernel.sum())[None]
