"""One direction of propagation of ``compact``: features, and a draft that every frame corrects.

B batch, K features; H, W input size; h, w half of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers import Trunk, conv3x3
from vsr.models.warping import doubled_grid, sample, warp

SHUFFLE = 2
"""The input is unshuffled by this much; sides are padded to its multiples."""

DRAFTED = (2 * SHUFFLE) ** 2
"""Channels of an unshuffled draft, and of anything grey at its size."""

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""

CONTRAST = 4.0
"""Differences are small numbers; this brings them to the size of the other inputs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One frame as the branches see it: grey, grey at twice the size, encoded; all padded."""

    grey_B1HW: Tensor
    doubled_B1HW: Tensor
    encoded_BKhw: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbour:
    """What a branch hands from one frame to the next."""

    feat_BKhw: Tensor
    grey_B1HW: Tensor
    draft_B1HW: Tensor


class Branch(nn.Module):
    """One direction of propagation.

    Args:
        num_shared: Features that come in besides what is aligned.
        num_feat: Features that are handed on.
        num_blocks: Residual blocks.
    """

    def __init__(self, num_shared: int, num_feat: int, num_blocks: int) -> None:
        super().__init__()
        num_in = num_shared + num_feat + 2 * DRAFTED + SHUFFLE**2
        self.trunk = Trunk(num_in, num_feat, num_blocks)
        self.draft = conv3x3(num_feat, DRAFTED)
        nn.init.zeros_(self.draft.weight)

    def forward(
        self, frame: Frame, shared: list[Tensor], neighbour: Neighbour, flow_B2HW: Tensor
    ) -> Neighbour:
        """Features and draft of this frame, given those of the one before it in this direction."""
        grid = doubled_grid(flow_B2HW)
        draft = sample(neighbour.draft_B1HW, grid)
        differences = [
            F.pixel_unshuffle(sample(neighbour.grey_B1HW, grid) - frame.doubled_B1HW, 2 * SHUFFLE),
            F.pixel_unshuffle(draft - frame.doubled_B1HW, 2 * SHUFFLE),
            F.pixel_unshuffle(frame.grey_B1HW - F.avg_pool2d(draft, 2), SHUFFLE),
        ]
        moved = [_align(neighbour.feat_BKhw, flow_B2HW), *(CONTRAST * d for d in differences)]
        dtype = shared[0].dtype
        seen = [image.to(dtype, memory_format=torch.channels_last) for image in moved]
        feat: Tensor = self.trunk(torch.cat([*shared, *seen], 1))
        correction = F.pixel_shuffle(self.draft(feat), 2 * SHUFFLE)
        return Neighbour(
            feat_BKhw=feat, grey_B1HW=frame.grey_B1HW, draft_B1HW=draft + correction.float()
        )


def _align(feat_BKhw: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Features moved as images of the input's size; float32, contiguous, as sampling likes them."""
    large = F.pixel_shuffle(feat_BKhw, SHUFFLE)
    large = large.to(torch.float32, memory_format=torch.contiguous_format)
    return F.pixel_unshuffle(warp(large, flow_B2HW), SHUFFLE)


def nobody(frame: Frame) -> Neighbour:
    """The neighbour of a frame that has none: no features, and the frame itself."""
    return Neighbour(
        feat_BKhw=torch.zeros_like(frame.encoded_BKhw),
        grey_B1HW=frame.grey_B1HW,
        draft_B1HW=frame.doubled_B1HW,
    )


def grey(frame_BCHW: Tensor) -> Tensor:
    """Brightness of frames (B, 3, H, W): (B, 1, H, W), float32."""
    colours = torch.split(frame_BCHW.float(), 1, dim=1)
    brightness = [share * colour for share, colour in zip(GREY, colours, strict=True)]
    return brightness[0] + brightness[1] + brightness[2]


def double(image_BKHW: Tensor) -> Tensor:
    """(B, K, 2 H, 2 W): bilinear."""
    return F.interpolate(image_BKHW, scale_factor=2, mode="bilinear", align_corners=False)
