"""``unet``: our own small U-Net with channel attention, which restores each frame independently.

    e1 = trunk(u(x))     e2 = trunk(u(e1))     e3 = trunk(u(e2))          u unshuffles by 2
    d2 = blocks(e2 + s(conv(e3)))     d1 = blocks(e1 + s(conv(d2)))       s shuffles by 2
    y = shuffle(conv(d1)) + nearest(x)

The form is that of a multi-level wavelet network (Liu et al., "Multi-level Wavelet-CNN for Image
Restoration", CVPRW 2018) with residual channel attention (Zhang et al., "Image Super-Resolution
Using Very Deep Residual Channel Attention Networks", ECCV 2018), but for the Haar transforms: they
are orthonormal, so that a convolution behind one is a convolution of unshuffled pixels with other
weights. Attention is to means over the frame, which tell how badly it was coded; without it the
network hardly learned. It is also why a tile is restored a little differently from a whole frame.

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

from vsr.models.layers.blocks import channels_last, conv3x3, hidden_conv3x3, num_blocks_of
from vsr.models.layers.single_frame import SingleFrameNetwork
from vsr.models.network import NetworkFacts
from vsr.models.ops.fused import conv_leaky_relu
from vsr.models.ops.padding import pad_to_multiple

SIDE_MULTIPLE = 8
"""The sides of the frames that it works on are multiples of this: it halves them three times."""

SQUEEZE = 4
"""Features over those that attention is computed from."""


class UNet(SingleFrameNetwork):
    """Restoration of single frames.

    Args:
        scale: Output size over input size.
        num_feat: Features at half the input's size, a multiple of 4; twice and four times as many
            at a quarter and an eighth.
        num_blocks: Residual blocks at half the size, a quarter, an eighth; the first two numbers
            hold on the way down and on the way up.
    """

    def __init__(
        self, *, scale: int = 1, num_feat: int = 16, num_blocks: Sequence[int] = (1, 1, 2)
    ) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="unet", scale=scale, chunk=4, stateless=True)
        fine, middle, coarse = num_blocks
        self.fine = _Level(12, num_feat, fine)
        self.middle = _Level(4 * num_feat, 2 * num_feat, middle)
        self.coarse = _Level(8 * num_feat, 4 * num_feat, coarse)
        self.coarse_up = conv3x3(4 * num_feat, 8 * num_feat)
        self.middle_blocks = _blocks(2 * num_feat, middle)
        self.middle_up = conv3x3(2 * num_feat, 4 * num_feat)
        self.fine_blocks = _blocks(num_feat, fine)
        self.last = conv3x3(num_feat, 3 * (2 * scale) ** 2)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def restore(self, frames_NCHW: Tensor) -> Tensor:
        height, width = frames_NCHW.shape[-2:]
        padded = pad_to_multiple(frames_NCHW, SIDE_MULTIPLE)
        fine = self.fine((padded - 0.5).to(self.dtype))
        middle = self.middle(fine)
        middle = self.middle_blocks(_joined(middle, self.coarse_up(self.coarse(middle))))
        fine = self.fine_blocks(_joined(fine, self.middle_up(middle)))
        scale = self.facts.scale
        restored = F.pixel_shuffle(self.last(fine).float(), 2 * scale)
        restored = restored + F.interpolate(padded, scale_factor=scale)
        return restored[..., : scale * height, : scale * width]


class _Level(nn.Module):
    """Half the size of what comes in: unshuffled, one convolution, residual blocks."""

    def __init__(self, num_unshuffled: int, num_feat: int, num_blocks: int) -> None:
        super().__init__()
        self.conv = hidden_conv3x3(num_unshuffled, num_feat)
        self.blocks = _blocks(num_feat, num_blocks)

    def forward(self, feat_NKHW: Tensor) -> Tensor:
        cells = channels_last(F.pixel_unshuffle(feat_NKHW, 2))
        found: Tensor = self.blocks(conv_leaky_relu(self.conv, cells))
        return found


def _blocks(num_feat: int, num_blocks: int) -> nn.Sequential:
    return nn.Sequential(*(_AttentiveBlock(num_feat) for _ in range(num_blocks)))


class _AttentiveBlock(nn.Module):
    """conv, leaky ReLU, conv, each feature times what the means of all say; added to the input."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = hidden_conv3x3(num_feat, num_feat)
        self.conv2 = conv3x3(num_feat, num_feat)
        nn.init.kaiming_normal_(self.conv2.weight).data.mul_(0.1)
        self.squeeze = nn.Conv2d(num_feat, num_feat // SQUEEZE, 1)
        self.excite = nn.Conv2d(num_feat // SQUEEZE, num_feat, 1)

    def forward(self, feat_NKhw: Tensor) -> Tensor:
        residue = self.conv2(conv_leaky_relu(self.conv1, feat_NKhw))
        means = F.relu(self.squeeze(residue.mean((2, 3), keepdim=True)))
        share = 2 * torch.sigmoid(self.excite(means))
        return torch.addcmul(feat_NKhw, residue, share)


def _joined(feat_NKHW: Tensor, cells_NKhw: Tensor) -> Tensor:
    """Features, and those of half the size in cells of 2 x 2 pixels."""
    return channels_last(feat_NKHW + F.pixel_shuffle(cells_NKhw, 2))


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if not {"fine.conv.weight", "middle_up.weight"} <= weights.keys():
        return None
    return {
        "scale": math.isqrt(weights["last.weight"].shape[0] // 12),
        "num_feat": weights["fine.conv.weight"].shape[0],
        "num_blocks": tuple(
            num_blocks_of(weights, f"{level}.blocks.") for level in ("fine", "middle", "coarse")
        ),
    }
