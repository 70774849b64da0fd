"""SPyNet, the optical flow network of BasicVSR and IconVSR.

Ranjan and Black, "Optical Flow Estimation using a Spatial Pyramid Network", CVPR 2017, in the
re-implementation that the BasicSR and OpenMMLab checkpoints belong to. The published weights carry
a non-commercial research licence.

N image pairs, C colour, H, W size.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.propagation import Pyramid
from vsr.models.ops.warp import warp

LEVELS = 6
MULTIPLE = 2 ** (LEVELS - 1)
"""Sides are resized to multiples of this, so that every level halves exactly."""


class SPyNet(nn.Module):
    """Flow in pixels between two images; sides of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.basic_module = nn.ModuleList(_Level() for _ in range(LEVELS))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, reference_NCHW: Tensor, neighbour_NCHW: Tensor) -> Tensor:
        """Estimate where each pixel of the reference is in the neighbour.

        Args:
            reference_NCHW: RGB in [0, 1], float32.
            neighbour_NCHW: Its neighbour, of the same size and range.

        Returns:
            (N, 2, H, W), float32, pixels, x first.
        """
        return self.between(self.pyramid(reference_NCHW), self.pyramid(neighbour_NCHW))

    def pyramid(self, frames_NCHW: Tensor) -> Pyramid:
        """The normalised frames at all levels, coarsest first, and finally the unchanged ones."""
        size = [-(-side // MULTIPLE) * MULTIPLE for side in frames_NCHW.shape[-2:]]
        resized = F.interpolate(frames_NCHW, size, mode="bilinear", align_corners=False)
        levels = [(resized - self.get_buffer("mean")) / self.get_buffer("std")]
        for _ in range(LEVELS - 1):
            levels.append(F.avg_pool2d(levels[-1], 2, count_include_pad=False))
        return [*levels[::-1], frames_NCHW]

    def between(self, reference: Pyramid, neighbour: Pyramid) -> Tensor:
        """Flow from each reference to its neighbour, at the size of the frames."""
        flow = self._refine(reference[:-1], neighbour[:-1])
        size, resized = reference[-1].shape[-2:], flow.shape[-2:]
        flow = F.interpolate(flow, size, mode="bilinear", align_corners=False)
        # Numbers, not a tensor of them: sending one to a CUDA device would wait for it.
        x, y = flow.split(1, 1)  # type: ignore[no-untyped-call]
        return torch.cat([x * (size[1] / resized[1]), y * (size[0] / resized[0])], 1)

    def _refine(self, reference: Pyramid, neighbour: Pyramid) -> Tensor:
        # The reference code starts at half the coarsest size, which is nothing for a side of 32 px;
        # a zero flow is the same at any size.
        flow = torch.zeros_like(reference[0][:, :2])
        for level, (module, x, y) in enumerate(
            zip(self.basic_module, reference, neighbour, strict=True)
        ):
            if level:
                flow = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True) * 2
            flow = flow + module(torch.cat([x, warp(y, flow, "border"), flow], 1))
        return flow


class _Level(nn.Module):
    """Five 7x7 convolutions from two images and a flow to a residual flow."""

    def __init__(self) -> None:
        super().__init__()
        widths = [8, 32, 64, 32, 16, 2]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 7, padding=3), nn.ReLU(inplace=True)]
        self.basic_module = nn.Sequential(*layers[:-1])

    def forward(self, seen_N8HW: Tensor) -> Tensor:
        dtype = next(self.parameters()).dtype
        residue: Tensor = self.basic_module(
            seen_N8HW.to(dtype=dtype, memory_format=torch.channels_last)
        )
        return residue.float()
