"""How training and evaluation make low resolution from ground truth."""

from __future__ import annotations

from fractions import Fraction

from torch import Tensor

from vsr.models.imresize import imresize, quantise


def bicubic_down(frames: Tensor, scale: int) -> Tensor:
    """Degradation "BI": MATLAB's antialiased bicubic, rounded to 8 bit.

    Args:
        frames: (..., H, W) in [0, 1]; sides divisible by ``scale``.
        scale: Ground-truth size over low-resolution size.

    Returns:
        (..., H / scale, W / scale) in [0, 1], on the 256 values of an 8-bit file.
    """
    return quantise(imresize(frames, Fraction(1, scale)))
