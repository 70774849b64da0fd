"""The optical flow network of ``compact``: block matching, corrected by small convolutions.

At every size from the coarsest to a quarter of the input's, each pixel's surroundings are compared
with those up to two pixels away in the neighbour image, moved along the flow found so far. The
soft minimum of the differences is a flow already, before anything is learnt; convolutions
that see the differences correct it. A last refinement, at half the input's size, compares
unshuffled images: every pixel, at a quarter of the positions; a second one sees better what the
first moved closer. Any size from 1x1 works.

N image pairs, C colour, D places compared, H, W input size; h, w a level's size.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import channels_last, conv3x3, hidden_conv3x3
from vsr.models.layers.propagation import Pyramid
from vsr.models.ops.fused import NEGATIVE_SLOPE, conv_leaky_relu
from vsr.models.ops.warp import doubled_places, sample, warp

RADIUS = 2
"""Pixels of a level in which a match is looked for, in every direction."""

NEIGHBOURHOOD = 5
"""Side of the square whose mean difference counts."""

PLACES = (2 * RADIUS + 1) ** 2
SHARPNESS = 16.0
"""Sharpness of the soft minimum before training; found by trial on synthetic motion."""

CONTRAST_FLOOR = 0.004
"""One 8-bit step: below it differences are noise, and no place is better than another."""

CONTRAST = 4.0
"""Differences of aligned images are small numbers, and all that is left to find is in them."""


class CoarseFlow(nn.Module):
    """Flow in pixels between two images.

    Args:
        num_feat: Features of every hidden convolution.
        levels: Sizes at which matches are looked for: 1/4, 1/8, and so on.
        refinements: Number of refinements of the flow at 1/2 of the input's size.
    """

    def __init__(self, *, num_feat: int = 32, levels: int = 3, refinements: int = 1) -> None:
        super().__init__()
        self.matching = nn.ModuleList(_Matching(num_feat) for _ in range(levels))
        self.finest = nn.ModuleList(_refinement(2 * 12 + 2, num_feat) for _ in range(refinements))

    def forward(self, reference_NCHW: Tensor, neighbour_NCHW: Tensor) -> Tensor:
        """Estimate where each pixel of the reference is in the neighbour.

        Args:
            reference_NCHW: RGB in [0, 1], float32, sides even.
            neighbour_NCHW: Its neighbour, of the same size and range.

        Returns:
            (N, 2, H, W), float32, pixels, x first.
        """
        return self.between(self.pyramid(reference_NCHW), self.pyramid(neighbour_NCHW))

    def pyramid(self, frames_NCHW: Tensor) -> Pyramid:
        """The unchanged frames, in cells, and averaged to 1/4, 1/8, and so on."""
        levels = [frames_NCHW, channels_last(F.pixel_unshuffle(frames_NCHW, 2))]
        smaller = _halved(frames_NCHW)
        for _ in self.matching:
            smaller = _halved(smaller)
            levels.append(smaller)
        return levels

    def between(self, reference: Pyramid, neighbour: Pyramid) -> Tensor:
        """Flow from each reference to its neighbour, coarse to fine."""
        flow = torch.zeros_like(reference[-1][:, :2])
        levels = zip(reference[2:], neighbour[2:], self.matching, strict=True)
        for image, other, match in reversed(list(levels)):
            flow = match(image, other, _enlarge(flow, image))
        frame, cells = reference[:2]
        flow = _enlarge(flow, cells)
        for refine in self.finest:
            aligned = sample(neighbour[0], doubled_places(flow, 2))
            flow = flow + _run(refine, [cells, CONTRAST * (aligned - cells), flow])
        return _enlarge(flow, frame)


class _Matching(nn.Module):
    """One level: the residual flow, by matching and by a learnt correction."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        self.correction = _refinement(PLACES + 2 + 2 + 3 + 3, num_feat)

    def forward(self, image_NChw: Tensor, other_NChw: Tensor, flow_N2hw: Tensor) -> Tensor:
        warped = warp(other_NChw, flow_N2hw, "border")
        difference = _differences(image_NChw, warped)
        found = _soft_minimum(difference, self.sharpness)
        seen = [difference, found, flow_N2hw, image_NChw, CONTRAST * (warped - image_NChw)]
        return flow_N2hw + found + _run(self.correction, seen)


def _differences(image_NChw: Tensor, other_NChw: Tensor) -> Tensor:
    """(N, D, h, w): how unlike each place's surroundings are, relative to all places' mean.

    Everything is channels-last and done by convolutions, which a CPU is fastest at: one picks the
    places, two depthwise ones are a box filter.
    """
    grey, other = image_NChw.mean(1, keepdim=True), other_NChw.mean(1, keepdim=True)
    around = F.pad(torch.cat([other, grey], 1), (RADIUS,) * 4, mode="replicate")
    unlike = F.conv2d(channels_last(around), _less_the_middle(grey.device)).abs_()
    column = grey.new_full((PLACES, 1, NEIGHBOURHOOD, 1), 1 / NEIGHBOURHOOD)
    radius = NEIGHBOURHOOD // 2
    mean = F.conv2d(unlike, column, padding=(radius, 0), groups=PLACES)
    mean = F.conv2d(mean, column.mT, padding=(0, radius), groups=PLACES)
    return mean / (mean.mean(1, keepdim=True) + CONTRAST_FLOOR)


def _less_the_middle(device: torch.device) -> Tensor:
    """(D, 2, 5, 5): each place of one image less the same pixel of another."""
    side = 2 * RADIUS + 1
    pick = torch.eye(PLACES, device=device).view(-1, 1, side, side)
    middle = pick[PLACES // 2].expand(PLACES, 1, side, side)
    return torch.cat([pick, -middle], 1)


def _soft_minimum(difference_NDhw: Tensor, sharpness: Tensor) -> Tensor:
    """(N, 2, h, w): the place of the least difference, x first; a mean where several are alike."""
    step = torch.arange(-RADIUS, RADIUS + 1.0, device=difference_NDhw.device)
    x, y = step.repeat(2 * RADIUS + 1), step.repeat_interleave(2 * RADIUS + 1)
    likeness = torch.softmax(difference_NDhw * -sharpness.float(), 1)
    return F.conv2d(likeness, torch.stack([x, y])[..., None, None])


def _refinement(num_in: int, num_feat: int) -> nn.Sequential:
    """Four convolutions to a flow residue, which starts as zero."""
    last = conv3x3(num_feat, 2)
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
    sizes = [num_in, num_feat, num_feat, num_feat]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [hidden_conv3x3(before, after), nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)]
    return nn.Sequential(*layers, last)


def _run(refine: nn.Module, seen: list[Tensor]) -> Tensor:
    """Convolutions in the weights' type, the flow they give in float32."""
    weights = next(refine.parameters())
    stacked = torch.cat([channels_last(image.to(weights.dtype)) for image in seen], 1)
    *hidden, last = (layer for layer in refine.children() if isinstance(layer, nn.Conv2d))
    for conv in hidden:
        stacked = conv_leaky_relu(conv, stacked)
    residue: Tensor = last(stacked)
    return residue.float()


def _halved(image_NCHW: Tensor) -> Tensor:
    """Means of 2 x 2 pixels; on an odd border of those there are."""
    return F.avg_pool2d(image_NCHW, 2, ceil_mode=True, count_include_pad=False)


def _enlarge(flow: Tensor, like: Tensor) -> Tensor:
    """A flow for twice the size; a half that was rounded up gives one row or column too many."""
    if flow.shape[-2:] == like.shape[-2:]:
        return flow
    double = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False) * 2
    return double[..., : like.shape[-2], : like.shape[-1]]
