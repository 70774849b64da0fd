"""Building blocks that several networks share.

B batch, K features, M residual blocks, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from vsr.models.ops.fused import NEGATIVE_SLOPE, conv_add, conv_leaky_relu, conv_relu


def conv3x3(num_in: int, num_out: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(num_in, num_out, 3, padding=1)


def hidden_conv3x3(num_in: int, num_out: int) -> nn.Conv2d:
    """The same in front of a leaky ReLU, begun so that signals keep their size (He et al., 2015).

    PyTorch's own initialisation halves them at every layer, which slows learning.
    """
    conv = conv3x3(num_in, num_out)
    nn.init.kaiming_normal_(conv.weight, a=NEGATIVE_SLOPE)
    nn.init.zeros_(conv.bias) if conv.bias is not None else None
    return conv


class ResidualBlock(nn.Module):
    """conv, ReLU, conv, added to the input; no normalisation."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(num_feat, num_feat)
        self.conv2 = conv3x3(num_feat, num_feat)
        for conv in (self.conv1, self.conv2):
            # Small residues at the start keep deep recurrent trunks stable (ESRGAN, section 3.1).
            nn.init.kaiming_normal_(conv.weight).data.mul_(0.1)
            nn.init.zeros_(conv.bias) if conv.bias is not None else None

    def forward(self, feat_BKHW: Tensor) -> Tensor:
        return conv_add(self.conv2, conv_relu(self.conv1, feat_BKHW), feat_BKHW)


class TrunkRanges(nn.Module):
    """Activation ranges of a trunk, for its int8 form.

    Attributes:
        features_K: Range of what the residual blocks add up.
        hidden_MK: Range within each block.
        agreement_db: PSNR of the network's frames in int8 against those in float32, over the
            footage that ranges were measured on; 0 where it was not measured.
    """

    features_K: Tensor
    hidden_MK: Tensor
    agreement_db: Tensor

    def __init__(self, num_feat: int, num_block: int) -> None:
        super().__init__()
        self.register_buffer("features_K", torch.ones(num_feat))
        self.register_buffer("hidden_MK", torch.ones(num_block, num_feat))
        self.register_buffer("agreement_db", torch.zeros(()))


class Trunk(nn.Module):
    """A convolution to the features' width, then residual blocks; named as in BasicSR.

    Args:
        num_in: Features that come in, concatenated.
        num_feat: Features that leave.
        num_block: Residual blocks.
        rectify: A convolution with what follows it, for the first one.
        has_ranges: Whether it is known how large its features get.
    """

    def __init__(
        self,
        num_in: int,
        num_feat: int,
        num_block: int,
        rectify: Callable[[nn.Conv2d, Tensor], Tensor] = conv_leaky_relu,
        *,
        has_ranges: bool = False,
    ) -> None:
        super().__init__()
        self.rectify = rectify
        blocks = nn.Sequential(*(ResidualBlock(num_feat) for _ in range(num_block)))
        # The activation runs with the convolution; its place keeps the published numbering.
        self.main = nn.ModuleList([hidden_conv3x3(num_in, num_feat), nn.Identity(), blocks])
        self.ranges = TrunkRanges(num_feat, num_block) if has_ranges else None

    def forward(self, feat_BKHW: Tensor) -> Tensor:
        first, _, blocks = self.main
        assert isinstance(first, nn.Conv2d)
        out: Tensor = blocks(self.rectify(first, channels_last(feat_BKHW)))
        return out


def channels_last(image_BKHW: Tensor) -> Tensor:
    """The layout in which convolutions in reduced precision are fast; copies only if it has to."""
    return image_BKHW.contiguous(memory_format=torch.channels_last)


def num_blocks_of(weights: Mapping[str, Tensor], prefix: str) -> int:
    """Count the numbered modules under a prefix: the highest number + 1."""
    numbers = [int(key[len(prefix) :].split(".")[0]) for key in weights if key.startswith(prefix)]
    return max(numbers, default=-1) + 1
