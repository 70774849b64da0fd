"""NIQE: how far a picture's statistics are from those of undistorted pictures; lower is better.

Mittal, Soundararajan and Bovik, "Making a completely blind image quality analyzer", IEEE Signal
Processing Letters 2013. Constants are the authors' (``models/weights/niqe.md``). As in the tables
of super-resolution: BT.601's studio-range luma, rounded; blocks of 96 pixels without overlap.

B blocks, H, W size.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from safetensors import safe_open
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.catalogue import SHIPPED
from vsr.models.ops.imresize import imresize
from vsr.quality.metrics import luma
from vsr.quality.scene_statistics import NEIGHBOURS, fit_asymmetric, gamma, normalised

BLOCK = 96
_SHIFTS = (*NEIGHBOURS, (1, -1))


def niqe(frame_3HW: Tensor) -> Tensor:
    """The NIQE of a frame, float64, on its device; NaN where all of it is flat.

    Args:
        frame_3HW: In [0, 1], sides of at least 96. What is beyond a multiple of 96 does not count.

    Raises:
        ConfigurationError: A side under 96.
    """
    height, width = (side // BLOCK * BLOCK for side in frame_3HW.shape[-2:])
    if not min(height, width):
        raise ConfigurationError(
            f"NIQE needs {BLOCK} pixels a side; {frame_3HW.shape[-1]}x{frame_3HW.shape[-2]} are "
            "too few: leave it out of --metrics"
        )
    plane_HW = luma(frame_3HW.double())[0, :height, :width].mul(255).round()
    halved_HW = imresize(plane_HW, 0.5)
    features_BF = torch.cat([_features(plane_HW, BLOCK), _features(halved_HW, BLOCK // 2)], 1)
    whole_BF = features_BF[~features_BF.isnan().any(1)]
    mean_F, covariance_FF = (values.to(features_BF) for values in _pristine())
    difference_F = mean_F - features_BF.nanmean(0)
    if len(whole_BF) < 2:
        return torch.full((), torch.nan, dtype=torch.float64, device=frame_3HW.device)
    pooled_FF = (covariance_FF + whole_BF.mT.cov()) / 2
    distance: Tensor = difference_F @ torch.linalg.pinv(pooled_FF) @ difference_F
    return distance.sqrt()


def _features(plane_HW: Tensor, side: int) -> Tensor:
    """(B, 18): of the blocks column by column, fits of their values and of four products."""
    blocks = normalised(plane_HW, border="replicate").unfold(0, side, side).unfold(1, side, side)
    blocks_BHW = blocks.transpose(0, 1).reshape(-1, side, side)
    shape, left, right = _scaled(blocks_BHW)
    features = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right = _scaled(blocks_BHW * blocks_BHW.roll(shift, (1, 2)))
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape)
        features += [shape, mean, left, right]
    return torch.stack(features, 1)


def _scaled(blocks_BHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape, left and right scale parameter of each block."""
    shape, left, right = fit_asymmetric(blocks_BHW.flatten(1))
    scale = (gamma(1 / shape) / gamma(3 / shape)).sqrt()
    return shape, left * scale, right * scale


@lru_cache(maxsize=1)
def _pristine() -> tuple[Tensor, Tensor]:
    """Mean and covariance of the features of undistorted pictures."""
    with safe_open(SHIPPED / "niqe.safetensors", "pt") as file:
        return file.get_tensor("mean"), file.get_tensor("covariance")
