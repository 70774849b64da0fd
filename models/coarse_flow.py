"""The optical flow network of ``compact``: SPyNet's coarse-to-fine refinement with small kernels.

Coarse levels compare averaged images; the finest compares unshuffled ones at half the input size,
so that it sees every pixel at a quarter of the positions. Any size from 1x1 works.

N image pairs, C colour, H, W input size.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.fused import NEGATIVE_SLOPE, conv_leaky_relu
from vsr.models.layers import conv3x3
from vsr.models.propagation import Pyramid
from vsr.models.warping import warp


class CoarseFlow(nn.Module):
    """Flow in pixels between two images.

    Args:
        num_feat: Features of every hidden convolution.
        levels: Sizes at which the flow is refined: 1/2, 1/4, and so on.
    """

    def __init__(self, *, num_feat: int = 32, levels: int = 4) -> None:
        super().__init__()
        self.finest = _refinement(2 * 12 + 2, num_feat)
        self.coarser = nn.ModuleList(_refinement(2 * 3 + 2, num_feat) for _ in range(levels - 1))

    def forward(self, reference_NCHW: Tensor, neighbour_NCHW: Tensor) -> Tensor:
        """Estimate where each pixel of the reference is in the neighbour.

        Args:
            reference_NCHW: RGB in [0, 1], float32, sides even.
            neighbour_NCHW: The same.

        Returns:
            (N, 2, H, W), float32, pixels, x first.
        """
        return self.between(self.pyramid(reference_NCHW), self.pyramid(neighbour_NCHW))

    def pyramid(self, frames_NCHW: Tensor) -> Pyramid:
        """The frames as they came, unshuffled, and averaged to 1/4, 1/8, and so on."""
        smaller = F.avg_pool2d(frames_NCHW, 2)
        levels = [frames_NCHW, F.pixel_unshuffle(frames_NCHW, 2)]
        for _ in self.coarser:
            smaller = F.avg_pool2d(smaller, 2, ceil_mode=True, count_include_pad=False)
            levels.append(smaller)
        return levels

    def between(self, reference: Pyramid, neighbour: Pyramid) -> Tensor:
        """Flow from each reference to its neighbour, coarse to fine."""
        flow = torch.zeros_like(reference[-1][:, :2])
        coarser = zip(reference[2:], neighbour[2:], self.coarser, strict=True)
        for image, other, refine in reversed(list(coarser)):
            flow = _enlarge(flow, image)
            flow = flow + self._run(refine, [image, warp(other, flow, "border"), flow])
        frame, unshuffled = reference[:2]
        flow = _enlarge(flow, unshuffled)
        aligned = F.pixel_unshuffle(warp(neighbour[0], _enlarge(flow, frame), "border"), 2)
        flow = flow + self._run(self.finest, [unshuffled, aligned, flow])
        return _enlarge(flow, frame)

    def _run(self, refine: nn.Module, seen: list[Tensor]) -> Tensor:
        """Convolutions in the weights' type, the flow they give in float32."""
        weights = next(refine.parameters())
        stacked = torch.cat(seen, 1).to(weights.dtype, memory_format=torch.channels_last)
        *hidden, last = (layer for layer in refine.children() if isinstance(layer, nn.Conv2d))
        for conv in hidden:
            stacked = conv_leaky_relu(conv, stacked)
        residue: Tensor = last(stacked)
        return residue.float()


def _refinement(num_in: int, num_feat: int) -> nn.Sequential:
    """Four convolutions to a flow residue, which starts as zero."""
    last = conv3x3(num_feat, 2)
    nn.init.zeros_(last.weight)
    sizes = [num_in, num_feat, num_feat, num_feat]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [conv3x3(before, after), nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)]
    return nn.Sequential(*layers, last)


def _enlarge(flow: Tensor, like: Tensor) -> Tensor:
    """A flow for twice the size; a half that was rounded up gives one row or column too many."""
    if flow.shape[-2:] == like.shape[-2:]:
        return flow
    double = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False) * 2
    return double[..., : like.shape[-2], : like.shape[-1]]
