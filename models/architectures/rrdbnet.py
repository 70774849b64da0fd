"""RRDBNet: the generator of ESRGAN and Real-ESRGAN, which restores each frame independently.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018; Wang
et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", ICCVW
2021. Parameters are named as in BasicSR (github.com/XPixelGroup/BasicSR); the layouts of ESRGAN's
own code are renamed on reading. Real-ESRGAN's repository, weights included, is BSD-3-Clause;
ESRGAN's is Apache-2.0.

    dense   x + 0.2 conv5([x, x1, x2, x3, x4]),  x_i = lrelu(conv_i([x, x1 ... x_{i-1}]))
    block   x + 0.2 dense3(dense2(dense1(x)))
    y       tail(first(u) + conv(blocks(first(u)))),  u = pixel_unshuffle(x)

The tail works at four times the trunk's size and holds most of the memory, yet an output pixel of
it depends on two rows of features around its own: it runs in bands of rows, with the same result.

N images, C colour, K features, H, W size of the frames, h, w of the trunk's features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import channels_last, conv3x3, num_blocks_of
from vsr.models.layers.single_frame import SingleFrameNetwork
from vsr.models.network import NetworkFacts
from vsr.models.ops.fused import conv_leaky_relu
from vsr.models.ops.padding import pad_to_multiple

UPSAMPLING = 4
"""Output size over the size of the trunk's features, whatever the scale."""

NEGATIVE_SLOPE = 0.2
"""Slope of every leaky ReLU of the network."""

RESIDUAL_SCALE = 0.2
"""Factor of a residue before it is added to what it belongs to."""

TAIL_RADIUS = 2
"""Rows and columns of features on each side that an output pixel of the tail depends on."""

BAND_PIXELS = 2**16
"""Pixels of features that the tail enlarges together: 64 features of float32 then take 256 MiB at
the output's size, and at a width of 1920 the rows computed twice are an eighth."""


class RRDBNet(SingleFrameNetwork):
    """Restoration of single frames, x4, x2 or x1.

    Args:
        scale: Output size over input size: 4, 2 or 1. The trunk sees frames pixel-unshuffled by
            4 / scale.
        num_feat: Features of the trunk.
        num_block: Residual-in-residual dense blocks.
        num_grow: Features that each convolution of a dense block adds.
    """

    def __init__(
        self, *, scale: int = 4, num_feat: int = 64, num_block: int = 23, num_grow: int = 32
    ) -> None:
        super().__init__()
        self.cell = UPSAMPLING // scale
        radius = self.cell * (15 * num_block + 2 + TAIL_RADIUS)
        self.facts = NetworkFacts(
            name="rrdbnet", scale=scale, chunk=4, stateless=True, receptive_radius=radius
        )
        self.conv_first = conv3x3(3 * self.cell**2, num_feat)
        self.body = nn.Sequential(*(_Block(num_feat, num_grow) for _ in range(num_block)))
        self.conv_body = conv3x3(num_feat, num_feat)
        self.conv_up1 = conv3x3(num_feat, num_feat)
        self.conv_up2 = conv3x3(num_feat, num_feat)
        self.conv_hr = conv3x3(num_feat, num_feat)
        self.conv_last = conv3x3(num_feat, 3)

    def restore(self, frames_NCHW: Tensor) -> Tensor:
        height, width = frames_NCHW.shape[-2:]
        padded = pad_to_multiple(frames_NCHW, self.cell, reflect=True)
        cells = F.pixel_unshuffle(padded, self.cell).to(self.dtype)
        feat = self.conv_first(channels_last(cells))
        feat = feat + self.conv_body(self.body(feat))
        scale = self.facts.scale
        return self._enlarge(feat)[..., : scale * height, : scale * width]

    def _enlarge(self, feat_NKhw: Tensor) -> Tensor:
        """(N, 3, 4 h, 4 w), float32: the tail, band by band."""
        num_images, _, height, width = feat_NKhw.shape
        rows = max(8 * TAIL_RADIUS, BAND_PIXELS // (num_images * width))
        bands = [self._band(feat_NKhw, i, min(i + rows, height)) for i in range(0, height, rows)]
        return torch.cat(bands, 2) if len(bands) > 1 else bands[0]

    def _band(self, feat_NKhw: Tensor, first: int, end: int) -> Tensor:
        """The output of the features' rows [first, end)."""
        above = max(first - TAIL_RADIUS, 0)
        feat = channels_last(feat_NKhw[..., above : end + TAIL_RADIUS, :])
        for conv in (self.conv_up1, self.conv_up2):
            feat = conv_leaky_relu(conv, F.interpolate(feat, scale_factor=2), NEGATIVE_SLOPE)
        pixels: Tensor = self.conv_last(conv_leaky_relu(self.conv_hr, feat, NEGATIVE_SLOPE))
        return pixels[..., UPSAMPLING * (first - above) : UPSAMPLING * (end - above), :].float()


class _Block(nn.Module):
    """A residual-in-residual dense block."""

    def __init__(self, num_feat: int, num_grow: int) -> None:
        super().__init__()
        self.rdb1 = _DenseBlock(num_feat, num_grow)
        self.rdb2 = _DenseBlock(num_feat, num_grow)
        self.rdb3 = _DenseBlock(num_feat, num_grow)

    def forward(self, feat_NKhw: Tensor) -> Tensor:
        residue = self.rdb3(self.rdb2(self.rdb1(feat_NKhw)))
        return torch.add(feat_NKhw, residue, alpha=RESIDUAL_SCALE)


class _DenseBlock(nn.Module):
    """Five convolutions, each of which sees the results of all before it."""

    def __init__(self, num_feat: int, num_grow: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(num_feat, num_grow)
        self.conv2 = conv3x3(num_feat + num_grow, num_grow)
        self.conv3 = conv3x3(num_feat + 2 * num_grow, num_grow)
        self.conv4 = conv3x3(num_feat + 3 * num_grow, num_grow)
        self.conv5 = conv3x3(num_feat + 4 * num_grow, num_feat)
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            # Small residues at the start keep deep trunks stable (ESRGAN, section 3.1).
            nn.init.kaiming_normal_(conv.weight).data.mul_(0.1)
            nn.init.zeros_(conv.bias) if conv.bias is not None else None

    def forward(self, feat_NKhw: Tensor) -> Tensor:
        seen = feat_NKhw
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat([seen, conv_leaky_relu(conv, seen, NEGATIVE_SLOPE)], 1)
        return torch.add(feat_NKhw, self.conv5(seen), alpha=RESIDUAL_SCALE)


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if not {"conv_body.weight", "body.0.rdb1.conv1.weight"} <= weights.keys():
        return None
    num_feat, num_in = weights["conv_first.weight"].shape[:2]
    return {
        "scale": UPSAMPLING // round((num_in / 3) ** 0.5),
        "num_feat": num_feat,
        "num_block": num_blocks_of(weights, "body."),
        "num_grow": weights["body.0.rdb1.conv1.weight"].shape[0],
    }
