"""Image quality as the published tables measure it.

PSNR is that of each frame; tables take the mean over a clip's frames and then over clips. Y is
BT.601's studio-range luma of [0, 1] RGB, not rounded. SSIM uses an 11x11 Gaussian of sigma 1.5
where it fits, constants for 255 values, and is the mean over channels (Wang et al., 2004).

All channels of a frame are measured at once, on a CPU in bands of rows that stay in a core's cache:
many times faster than whole frames there. Float32 suffices because means are taken of values around
zero.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.errors import ConfigurationError

LUMA = (65.481, 128.553, 24.966)
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_MIDDLE = 128.0
"""Subtracted before squares are averaged: variances do not change, rounding errors shrink."""
_BAND_VALUES = 2**18
"""Values of one channel's band; larger ones leave the cache, smaller ones repeat more borders."""


def luma(frames: Tensor) -> Tensor:
    """(..., 3, H, W) in [0, 1] to (..., 1, H, W) in [16, 235] / 255."""
    weights = torch.tensor(LUMA, dtype=frames.dtype, device=frames.device)
    return (torch.einsum("...chw,c->...hw", frames, weights).unsqueeze(-3) + 16) / 255


def crop_border(frames: Tensor, pixels: int) -> Tensor:
    """(..., H, W) without its outermost rows and columns, as some tables leave them out."""
    if not pixels:
        return frames
    return frames[..., pixels:-pixels, pixels:-pixels]


def psnr(restored: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each frame, one error over all channels.

    Args:
        restored: (..., C, H, W) in [0, 1].
        truth: The same shape.

    Returns:
        (...); infinite where both are equal.
    """
    error = (restored.double() - truth.double()).square().mean((-3, -2, -1))
    return -10 * error.log10()


def ssim(restored: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of each frame, mean over channels.

    Args:
        restored: (..., C, H, W) in [0, 1], sides at least 11.
        truth: The same shape.

    Returns:
        (...), float64, at most 1.

    Raises:
        ConfigurationError: A side under 11.
    """
    pairs = zip(_frames(restored), _frames(truth), strict=True)
    scores = [_errors_and_similarities(x, y)[1].mean() for x, y in pairs]
    return torch.stack(scores).reshape(restored.shape[:-3])


def fidelity(restored: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """PSNR and SSIM of each frame, of RGB and of Y, in one pass over the pixels.

    Args:
        restored: (T, 3, H, W) in [0, 1], sides at least 11.
        truth: The same shape and device.

    Returns:
        ``psnr_rgb``, ``ssim_rgb``, ``psnr_y`` and ``ssim_y``, each (T,), float64; what ``psnr``
        and ``ssim`` give of the frames and of their ``luma``, but for rounding.
    """
    measured = [
        _errors_and_similarities(_with_luma(x), _with_luma(y))
        for x, y in zip(restored, truth, strict=True)
    ]
    errors_TC, similarities_TC = (torch.stack(values) for values in zip(*measured, strict=True))
    return {
        "psnr_rgb": -10 * errors_TC[:, :3].mean(1).log10(),
        "ssim_rgb": similarities_TC[:, :3].mean(1),
        "psnr_y": -10 * errors_TC[:, 3].log10(),
        "ssim_y": similarities_TC[:, 3],
    }


def _frames(images: Tensor) -> Tensor:
    return images.flatten(0, -4) if images.ndim > 3 else images[None]


def _with_luma(frame_3HW: Tensor) -> Tensor:
    return torch.cat([frame_3HW, luma(frame_3HW)])


def _errors_and_similarities(x_CHW: Tensor, y_CHW: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error of [0, 1] values, and SSIM, of each channel: (C,) each, float64."""
    channels, height, width = x_CHW.shape
    around = SSIM_WINDOW - 1
    if min(height, width) <= around:
        raise ConfigurationError(
            f"a frame of {width}x{height} is too small for SSIM; it needs {SSIM_WINDOW} a side"
        )
    banded = x_CHW.device.type == "cpu"
    rows = max(1, _BAND_VALUES // width // channels - around) if banded else height - around
    error = torch.zeros(channels, dtype=torch.float64, device=x_CHW.device)
    similarity = torch.zeros_like(error)
    for top in range(0, height - around, rows):
        band = slice(top, min(top + rows + around, height))
        x, y = (image[:, band].float().mul(255) - _MIDDLE for image in (x_CHW, y_CHW))
        # The borders of bands overlap; each row's error is counted by one of them.
        fresh = (x - y)[:, around if top else 0 :]
        error += fresh.square().sum(-1).sum(-1, dtype=torch.float64)
        similarity += _similarity(x, y).sum(-1).sum(-1, dtype=torch.float64)
    return error / (height * width * 255**2), similarity / (height - around) / (width - around)


def _similarity(x_CHW: Tensor, y_CHW: Tensor) -> Tensor:
    """The map (C, H - 10, W - 10) that SSIM is the mean of.

    Args:
        x_CHW: Values of 0 to 255, less ``_MIDDLE``.
        y_CHW: Values of the other frame, in the same range.
    """
    maps = torch.cat([x_CHW, y_CHW, x_CHW * x_CHW + y_CHW * y_CHW, x_CHW * y_CHW])
    mean_x, mean_y, squares, product = _blur(maps).chunk(4)
    covariance = torch.addcmul(product, mean_x, mean_y, value=-1)
    variances = torch.addcmul(squares, mean_x, mean_x, value=-1).addcmul_(mean_y, mean_y, value=-1)
    mean_x, mean_y = mean_x + _MIDDLE, mean_y + _MIDDLE
    means = mean_x * mean_y
    above = means.mul_(2).add_(_C1).mul_(covariance.mul_(2).add_(_C2))
    below = mean_x.square_().addcmul_(mean_y, mean_y).add_(_C1).mul_(variances.add_(_C2))
    return above.div_(below)


def _blur(maps_CHW: Tensor) -> Tensor:
    """Gaussian mean where the window fits, one axis at a time; depthwise and channels-last."""
    kernel = _gaussian(maps_CHW.device).repeat(len(maps_CHW), 1, 1, 1)
    maps = maps_CHW[None].contiguous(memory_format=torch.channels_last)
    rows = F.conv2d(maps, kernel, groups=len(maps_CHW))
    return F.conv2d(rows, kernel.mT, groups=len(maps_CHW))[0]


@lru_cache(maxsize=8)
def _gaussian(device: torch.device) -> Tensor:
    """(1, 1, 11, 1), sum 1."""
    x = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    kernel = torch.exp(-(x**2) / (2 * SSIM_SIGMA**2))
    return (kernel / kernel.sum()).float().view(1, 1, -1, 1).to(device)
