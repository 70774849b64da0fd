"""The discriminator of adversarial training: Real-ESRGAN's U-Net with spectral norm.

It judges every pixel by itself, from features of the whole neighbourhood (Wang et al.,
"Real-ESRGAN", ICCVW 2021). Names of its weights are those of the published code.

B batch, K features, H, W size.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from vsr.errors import ConfigurationError

SLOPE = 0.2
"""Slope of the activation for negative numbers."""

MULTIPLE = 8
"""Sides of the pictures are divisible by this."""


class UNetDiscriminator(nn.Module):
    """A U-Net of three levels.

    Args:
        num_feat: Features at full size, doubled with every level.
    """

    def __init__(self, num_feat: int = 64) -> None:
        super().__init__()
        widths = [num_feat * 2**level for level in range(4)]
        self.conv0 = nn.Conv2d(3, num_feat, 3, 1, 1)
        self.conv1, self.conv2, self.conv3 = (
            spectral_norm(nn.Conv2d(wide, 2 * wide, 4, 2, 1, bias=False)) for wide in widths[:3]
        )
        self.conv4, self.conv5, self.conv6 = (
            spectral_norm(nn.Conv2d(2 * wide, wide, 3, 1, 1, bias=False)) for wide in widths[2::-1]
        )
        self.conv7, self.conv8 = (
            spectral_norm(nn.Conv2d(num_feat, num_feat, 3, 1, 1, bias=False)) for _ in range(2)
        )
        self.conv9 = nn.Conv2d(num_feat, 1, 3, 1, 1)

    def forward(self, frames_B3HW: Tensor) -> Tensor:
        """Judge frames.

        Returns:
            (B, 1, H, W): logits; large where a pixel is taken for real.
        """
        return self.judge(frames_B3HW)[0]

    def judge(self, frames_B3HW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``forward``, and the features of all four levels on the way down.

        Raises:
            ConfigurationError: Sides that are no multiples of ``MULTIPLE``.
        """
        height, width = frames_B3HW.shape[-2:]
        if height % MULTIPLE or width % MULTIPLE:
            raise ConfigurationError(
                f"a discriminator was given {width}x{height}; give sides that are multiples of "
                f"{MULTIPLE} (patch times scale)"
            )
        levels = [_activated(self.conv0(frames_B3HW))]
        for down in (self.conv1, self.conv2, self.conv3):
            levels.append(_activated(down(levels[-1])))
        feat = levels[-1]
        ups = (self.conv4, self.conv5, self.conv6)
        for up, level in zip(ups, reversed(levels[:-1]), strict=True):
            larger = F.interpolate(feat, scale_factor=2, mode="bilinear", align_corners=False)
            feat = _activated(up(larger)) + level
        feat = _activated(self.conv8(_activated(self.conv7(feat))))
        logits: Tensor = self.conv9(feat)
        return logits, levels


def _activated(feat_BKHW: Tensor) -> Tensor:
    return F.leaky_relu(feat_BKHW, SLOPE)
