"""One direction of propagation of ``compact``: features, and a draft that every frame corrects.

B batch, K features; H, W input size; h, w half of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import Trunk, conv3x3
from vsr.models.ops.fused import conv_relu
from vsr.models.ops.space_to_depth import doubled_cells, to_image
from vsr.models.ops.warp import doubled_places, sample, warp_cells

SHUFFLE = 2
"""Features are kept for each cell of so many input pixels by as many; sides are its multiples."""

CELL = 2 * SHUFFLE
"""Side of a cell in images of twice the input's size."""

NUM_DIFFERENCES = 2 * CELL**2 + SHUFFLE**2
"""Channels that say how a frame differs from what was moved to it."""

CONTRAST = 4.0
"""Differences are small numbers; this brings them to the size of the other inputs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One padded frame as input of the branches.

    Attributes:
        grey_B1HW: Brightness of the frame.
        cells_B4hw: Brightness in cells.
        doubled_B16hw: Brightness at twice the size, in cells.
        encoded_BKhw: Features of the frame.
    """

    grey_B1HW: Tensor
    cells_B4hw: Tensor
    doubled_B16hw: Tensor
    encoded_BKhw: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class PropagatedFrame:
    """Features and draft that a branch passes to the next frame."""

    feat_BKhw: Tensor
    grey_B1HW: Tensor
    draft_B1HW: Tensor


class Branch(nn.Module):
    """One direction of propagation.

    Args:
        num_shared: Features that come in besides what is aligned.
        num_feat: Features that are passed on.
        num_blocks: Residual blocks.
    """

    def __init__(self, num_shared: int, num_feat: int, num_blocks: int) -> None:
        super().__init__()
        num_in = num_shared + num_feat + NUM_DIFFERENCES
        self.trunk = Trunk(num_in, num_feat, num_blocks, conv_relu)
        self.draft = conv3x3(num_feat, CELL**2)
        nn.init.zeros_(self.draft.weight)

    def forward(
        self, frame: Frame, shared: list[Tensor], neighbour: PropagatedFrame, flow_B2HW: Tensor
    ) -> PropagatedFrame:
        """Features and draft of this frame, given those of the one before it in this direction."""
        draft, differences = warped_residuals(frame, neighbour, flow_B2HW)
        moved = [warp_cells(neighbour.feat_BKhw, flow_B2HW), *(CONTRAST * d for d in differences)]
        seen = [image.to(shared[0].dtype) for image in moved]
        feat: Tensor = self.trunk(torch.cat([*shared, *seen], 1))
        draft = draft + self.draft(feat).float()
        return PropagatedFrame(
            feat_BKhw=feat, grey_B1HW=frame.grey_B1HW, draft_B1HW=to_image(draft)
        )


def warped_residuals(
    frame: Frame, neighbour: PropagatedFrame, flow_B2HW: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """The neighbour's draft where the flow points, (B, 16, h, w), and how the frame differs.

    The differences: the neighbour itself from the frame, the draft from the frame, (B, 16, h, w)
    each, and the frame from the draft at the frame's own size, (B, 4, h, w).
    """
    places = doubled_places(flow_B2HW, CELL)
    draft = sample(neighbour.draft_B1HW, places)
    return draft, [
        sample(neighbour.grey_B1HW, places) - frame.doubled_B16hw,
        draft - frame.doubled_B16hw,
        frame.cells_B4hw - _halved(draft),
    ]


def initial_neighbour(frame: Frame) -> PropagatedFrame:
    """The neighbour of a frame that has none: no features, and the frame itself."""
    return PropagatedFrame(
        feat_BKhw=torch.zeros_like(frame.encoded_BKhw),
        grey_B1HW=frame.grey_B1HW,
        draft_B1HW=to_image(frame.doubled_B16hw),
    )


def doubled(image_B1HW: Tensor) -> Tensor:
    """(B, 16, h, w), float32: brightness at twice the size, bilinearly, in cells."""
    framed = F.pad(image_B1HW, (1,) * 4, mode="replicate")
    return doubled_cells(framed, CELL).flatten(3).permute(0, 3, 1, 2)


def _halved(cells_B16hw: Tensor) -> Tensor:
    """(B, 4, h, w): means of 2 x 2 pixels, in cells; a convolution is faster than pooling."""
    which = torch.eye(SHUFFLE**2, device=cells_B16hw.device).view(-1, SHUFFLE, 1, SHUFFLE, 1)
    kernel = which.expand(-1, -1, 2, -1, 2).reshape(-1, CELL**2, 1, 1) / 4
    return F.conv2d(cells_B16hw, kernel)
