"""Statistics of natural scenes that NIQE and BRISQUE measure: locally normalised luma and its fits.

A normalised plane of an undistorted picture is close to Gaussian; its products with neighbours
follow an asymmetric generalised Gaussian (AGGD) whose shape and deviations distortions change.

N planes or blocks, H, W size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 7, 7 / 6
"""Side and deviation in pixels of the Gaussian that the local mean and deviation are taken with."""

NEIGHBOURS = ((0, 1), (1, 0), (1, 1))
"""Shifts in rows and columns of the products; the fourth differs between the two scores."""

_LOWEST, _HIGHEST, _STEP = 0.2, 10.0, 0.001
"""Shapes of the fitted distributions."""


class AsymmetricFit(NamedTuple):
    """Fits of zero-mode asymmetric generalised Gaussians, (N,) each.

    Attributes:
        shape: 2 is a Gaussian, 1 a Laplacian.
        left: Root mean square of the negative values.
        right: That of the positive values.
    """

    shape: Tensor
    left: Tensor
    right: Tensor


def normalised(plane_HW: Tensor, *, border: Literal["replicate", "constant"]) -> Tensor:
    """A plane less its local mean, over its local deviation plus one.

    Args:
        plane_HW: Values of 0 to 255, float64.
        border: What lies outside: the border's pixels, or zeros.
    """
    planes = torch.stack([plane_HW, plane_HW.square()])[:, None]
    padded = F.pad(planes, (WINDOW // 2,) * 4, mode=border)
    kernel = _gaussian().to(plane_HW)
    mean, square = F.conv2d(F.conv2d(padded, kernel), kernel.mT)[:, 0]
    deviation = (square - mean.square()).abs().sqrt()
    result: Tensor = (plane_HW - mean) / (deviation + 1)
    return result


def fit_asymmetric(values_NM: Tensor) -> AsymmetricFit:
    """Fit an AGGD to each row by its moments (Lasmar et al. 2009); NaN where a side is empty."""
    left = _deviation(values_NM, values_NM < 0)
    right = _deviation(values_NM, values_NM > 0)
    ratio = left / right
    measured = values_NM.abs().mean(1).square() / values_NM.square().mean(1)
    wanted = measured * (ratio**3 + 1) * (ratio + 1) / (ratio.square() + 1).square()
    return AsymmetricFit(_shape_of(wanted), left, right)


def fit_symmetric(values_NM: Tensor) -> tuple[Tensor, Tensor]:
    """Shape and variance, (N,) each, of a generalised Gaussian around zero."""
    variance = values_NM.square().mean(1)
    return _shape_of(values_NM.abs().mean(1).square() / variance), variance


def gamma(x: Tensor) -> Tensor:
    """The gamma function of positive values."""
    return torch.lgamma(x).exp()


def _deviation(values_NM: Tensor, chosen_NM: Tensor) -> Tensor:
    total = torch.where(chosen_NM, values_NM.square(), 0).sum(1)
    return (total / chosen_NM.sum(1)).sqrt()


def _shape_of(ratio_N: Tensor) -> Tensor:
    """The listed shape whose squared mean of magnitudes over variance is closest; NaN of NaN."""
    shapes, ratios = (table.to(ratio_N.device) for table in _shapes())
    above = torch.searchsorted(ratios, ratio_N.contiguous()).clamp(1, len(ratios) - 1)
    closer = (ratios[above] - ratio_N).abs() < (ratio_N - ratios[above - 1]).abs()
    return torch.where(ratio_N.isnan(), torch.nan, shapes[torch.where(closer, above, above - 1)])


@lru_cache(maxsize=1)
def _shapes() -> tuple[Tensor, Tensor]:
    """Shapes in steps, and for each gamma(2/a)² / (gamma(1/a) gamma(3/a)), which grows."""
    count = round((_HIGHEST - _LOWEST) / _STEP) + 1
    shapes = _LOWEST + _STEP * torch.arange(count, dtype=torch.float64)
    log_ratio = 2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes)
    return shapes, log_ratio.exp()


@lru_cache(maxsize=1)
def _gaussian() -> Tensor:
    """(1, 1, 7, 1), float64, sum 1."""
    x = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    kernel = torch.exp(-x.square() / (2 * SIGMA**2))
    return (kernel / kernel.sum()).view(1, 1, WINDOW, 1)
