"""``unet``: our own small wavelet U-Net, which restores each frame independently.

    e1 = trunk(w(x))     e2 = trunk(w(e1))     e3 = trunk(w(e2))            w, v: Haar transform,
    d2 = blocks(e2 + v(conv(e3)))     d1 = blocks(e1 + v(conv(d2)))         and back
    y = nearest(x) + v(conv(d1)) / 10

The form is that of a multi-level wavelet network (Liu et al., "Multi-level Wavelet-CNN for Image
Restoration", CVPRW 2018). A Haar transform in front of a convolution does not change what can be
computed, but what is learned: what an encoder does to a frame is small beside the frame itself, and
in pixels the brightness hides it. So details come in eight times as large as they are, and the
residue is made a tenth. docs/training.md has what that gained, and what other forms did.

N images, C colour, K features, H, W size of the frames.
Weights: Apache-2.0, see ``weights/``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import ResidualBlock, Trunk, conv3x3, num_blocks_of
from vsr.models.layers.single_frame import SingleFrameNetwork
from vsr.models.network import NetworkFacts
from vsr.models.ops.padding import pad_to_multiple

SIDE_MULTIPLE = 8
"""The sides of the frames that it works on are multiples of this: it halves them three times."""

DETAIL_GAIN = 8.0
"""Factor of the detail bands of the input, which are small beside the low one."""

RESIDUE = 0.1
"""Factor of what is added to the input."""


class UNet(SingleFrameNetwork):
    """Restoration of single frames.

    Args:
        scale: Output size over input size.
        num_feat: Features at half the input's size; twice and four times as many at a quarter and
            an eighth.
        num_blocks: Residual blocks at half the size, a quarter, an eighth; the first two numbers
            hold on the way down and on the way up.
    """

    def __init__(
        self, *, scale: int = 1, num_feat: int = 16, num_blocks: Sequence[int] = (1, 1, 2)
    ) -> None:
        super().__init__()
        self.facts = NetworkFacts(
            name="unet", scale=scale, chunk=4, stateless=True, receptive_radius=_radius(*num_blocks)
        )
        fine, middle, coarse = num_blocks
        self.fine = Trunk(12, num_feat, fine)
        self.middle = Trunk(4 * num_feat, 2 * num_feat, middle)
        self.coarse = Trunk(8 * num_feat, 4 * num_feat, coarse)
        self.coarse_up = conv3x3(4 * num_feat, 8 * num_feat)
        self.middle_blocks = _blocks(2 * num_feat, middle)
        self.middle_up = conv3x3(2 * num_feat, 4 * num_feat)
        self.fine_blocks = _blocks(num_feat, fine)
        self.last = conv3x3(num_feat, 12 * scale**2)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def restore(self, frames_NCHW: Tensor) -> Tensor:
        height, width = frames_NCHW.shape[-2:]
        padded = pad_to_multiple(frames_NCHW, SIDE_MULTIPLE)
        bands = haar(padded - 0.5)
        bands = torch.cat([bands[:, :3], DETAIL_GAIN * bands[:, 3:]], 1)
        fine = self.fine(bands.to(self.dtype))
        middle = self.middle(haar(fine))
        deep = self.coarse_up(self.coarse(haar(middle)))
        middle = self.middle_blocks(middle + inverse_haar(deep))
        fine = self.fine_blocks(fine + inverse_haar(self.middle_up(middle)))
        scale = self.facts.scale
        residue = F.pixel_shuffle(inverse_haar(self.last(fine).float()), scale)
        restored = F.interpolate(padded, scale_factor=scale) + RESIDUE * residue
        return restored[..., : scale * height, : scale * width]


def haar(image_NKHW: Tensor) -> Tensor:
    """The orthonormal Haar transform.

    Returns:
        (N, 4 K, H / 2, W / 2): the low band, then details along columns, along rows and both.
    """
    top, bottom = image_NKHW[..., 0::2, :], image_NKHW[..., 1::2, :]
    rows = torch.cat([top + bottom, top - bottom], 1)
    left, right = rows[..., 0::2], rows[..., 1::2]
    return torch.cat([left + right, left - right], 1) / 2


def inverse_haar(bands_NKhw: Tensor) -> Tensor:
    """The image, (N, K / 4, 2 h, 2 w), of bands in the order of ``haar``."""
    low, high = bands_NKhw.chunk(2, 1)
    rows = torch.stack([low + high, low - high], -1).flatten(-2)
    low, high = rows.chunk(2, 1)
    return torch.stack([low + high, low - high], -2).flatten(-3, -2) / 2


def _blocks(num_feat: int, num_blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(num_feat) for _ in range(num_blocks)))


def _radius(fine: int, middle: int, coarse: int) -> int:
    """Input pixels that an output pixel depends on, on each side.

    Every 3x3 convolution reaches a pixel of its own level further, which is 2, 4 or 8 input pixels:
    one in front of each level's blocks, one behind them, two a block. The last pixels are those of
    the largest cell.
    """
    reach = 2 * (2 + 4 * fine) + 4 * (2 + 4 * middle) + 8 * (2 + 2 * coarse)
    return reach + SIDE_MULTIPLE - 1


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if not {"fine.main.0.weight", "middle_up.weight"} <= weights.keys():
        return None
    return {
        "scale": math.isqrt(weights["last.weight"].shape[0] // 12),
        "num_feat": weights["fine.main.0.weight"].shape[0],
        "num_blocks": tuple(
            num_blocks_of(weights, f"{level}.main.2.") for level in ("fine", "middle", "coarse")
        ),
    }
