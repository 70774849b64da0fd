"""BRISQUE: a picture's quality as people would score it, from its statistics; lower is better.

Mittal, Moorthy and Bovik, "No-reference image quality assessment in the spatial domain", IEEE
Transactions on Image Processing 2012. The regression is the authors', trained on LIVE's distorted
photographs (``models/weights/brisque.md``); 0 to 100 on those, further on others.

S support vectors, F features, H, W size.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from safetensors import safe_open
from torch import Tensor

from vsr.models.catalogue import SHIPPED
from vsr.models.ops.imresize import imresize
from vsr.quality.scene_statistics import (
    NEIGHBOURS,
    fit_asymmetric,
    fit_symmetric,
    gamma,
    normalised,
)

_SHIFTS = (*NEIGHBOURS, (-1, 1))
_GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)
"""MATLAB's ``rgb2gray``."""

_KERNEL, _OFFSET = 0.05, 155.845
"""Gamma of the radial kernel, and what is added to its sum."""


def brisque(frame_3HW: Tensor) -> Tensor:
    """The BRISQUE of a frame (3, H, W) in [0, 1], float64; NaN where all of it is flat."""
    weights = torch.tensor(_GREY, dtype=torch.float64, device=frame_3HW.device)
    plane_HW = torch.einsum("chw,c->hw", frame_3HW.double(), weights).mul(255)
    features_F = torch.cat([_features(plane_HW), _features(imresize(plane_HW, 0.5))])
    low_F, high_F, vectors_SF, shares_S = (values.to(features_F) for values in _regression())
    scaled_F = 2 * (features_F - low_F) / (high_F - low_F) - 1
    distance_S = (vectors_SF - scaled_F).square().sum(1)
    return (shares_S * torch.exp(-_KERNEL * distance_S)).sum() + _OFFSET


def _features(plane_HW: Tensor) -> Tensor:
    """(18,): the fit of the normalised plane and those of four products."""
    plane_HW = normalised(plane_HW, border="constant")
    shape, variance = fit_symmetric(plane_HW.view(1, -1))
    features = [shape, variance]
    for shift in _SHIFTS:
        shape, left, right = fit_asymmetric((plane_HW * plane_HW.roll(shift, (0, 1))).view(1, -1))
        scale = (gamma(1 / shape) / gamma(3 / shape)).sqrt()
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape) * scale
        features += [shape, mean, left.square(), right.square()]
    return torch.cat(features)


@lru_cache(maxsize=1)
def _regression() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lowest and highest features, support vectors and their shares."""
    with safe_open(SHIPPED / "brisque.safetensors", "pt") as file:
        names = ("low", "high", "vectors", "shares")
        low, high, vectors, shares = (file.get_tensor(name) for name in names)
    return low, high, vectors, shares
