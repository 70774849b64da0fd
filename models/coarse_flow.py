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

from vsr.models.layers import NEGATIVE_SLOPE, conv3x3
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
        half = F.avg_pool2d(reference_NCHW, 2)
        pyramid = self._pyramid(half, F.avg_pool2d(neighbour_NCHW, 2))
        flow = torch.zeros_like(pyramid[-1][0][:, :2])
        for (reference, neighbour), refine in zip(
            reversed(pyramid), reversed(list(self.coarser)), strict=True
        ):
            flow = _enlarge(flow, reference)
            seen = [reference, warp(neighbour, flow, "border"), flow]
            flow = flow + self._run(refine, seen)
        flow = _enlarge(flow, half)
        aligned = warp(neighbour_NCHW, _enlarge(flow, reference_NCHW), "border")
        halves = [F.pixel_unshuffle(image, 2) for image in (reference_NCHW, aligned)]
        flow = flow + self._run(self.finest, [*halves, flow])
        return _enlarge(flow, reference_NCHW)

    def _pyramid(self, reference: Tensor, neighbour: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Both images at a half, a quarter, and so on of the size given."""
        pair = (reference, neighbour)
        pyramid = []
        for _ in self.coarser:
            pair = (_halve(pair[0]), _halve(pair[1]))
            pyramid.append(pair)
        return pyramid

    def _run(self, refine: nn.Module, seen: list[Tensor]) -> Tensor:
        """Convolutions in the weights' type, the flow they give in float32."""
        weights = next(refine.parameters())
        stacked = torch.cat(seen, 1).to(weights.dtype, memory_format=torch.channels_last)
        residue: Tensor = refine(stacked)
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


def _halve(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)


def _enlarge(flow: Tensor, like: Tensor) -> Tensor:
    """A flow for twice the size; a half that was rounded up gives one row or column too many."""
    if flow.shape[-2:] == like.shape[-2:]:
        return flow
    double = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False) * 2
    return double[..., : like.shape[-2], : like.shape[-1]]
