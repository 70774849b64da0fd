"""Image quality as the published tables measure it.

PSNR is that of each frame; tables take the mean over a clip's frames and then over clips. Y is
BT.601's studio-range luma of [0, 1] RGB, not rounded. SSIM uses an 11x11 Gaussian of sigma 1.5
where it fits, constants for 255 values, and is the mean over channels (Wang et al., 2004).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (65.481, 128.553, 24.966)
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5


def luma(frames: Tensor) -> Tensor:
    """(..., 3, H, W) in [0, 1] to (..., 1, H, W) in [16, 235] / 255."""
    weights = torch.tensor(LUMA, dtype=frames.dtype, device=frames.device)
    return (torch.einsum("...chw,c->...hw", frames, weights).unsqueeze(-3) + 16) / 255


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
        (...), at most 1.
    """
    x, y = (image.double().mul(255).flatten(0, -3)[:, None] for image in (restored, truth))
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return similarity.mean((-3, -2, -1)).reshape(restored.shape[:-2]).mean(-1)


def _blur(image_N1HW: Tensor) -> Tensor:
    """Gaussian mean where the window fits, one axis at a time."""
    x = torch.arange(SSIM_WINDOW, dtype=image_N1HW.dtype, device=image_N1HW.device)
    kernel = torch.exp(-((x - SSIM_WINDOW // 2) ** 2) / (2 * SSIM_SIGMA**2))
    kernel = kernel / kernel.sum()
    rows = F.conv2d(image_N1HW, kernel.view(1, 1, -1, 1))
    return F.conv2d(rows, kernel.view(1, 1, 1, -1))
