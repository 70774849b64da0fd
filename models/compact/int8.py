"""The int8 form of ``compact``: both branches and the tail, for CPUs with int8 instructions.

Features that are passed on, from frame to frame and from branch to branch, are levels (``int8``);
moved along the flow they are weighted sums of levels, which need only be rounded. Flow, drafts and
pixels are not quantised: places and brightness need more than 8 bits. How large features get is
measured once, after training (``vsr models measure``), and kept with the weights.

B batch, K features; H, W input size; h, w half of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vsr.models.compact.branch import (
    CONTRAST,
    SHUFFLE,
    Branch,
    Frame,
    PropagatedFrame,
    warped_residuals,
)
from vsr.models.compact.calibration import BranchRanges, Ranges
from vsr.models.compact.tail import Tail
from vsr.models.layers.blocks import ResidualBlock, Trunk
from vsr.models.ops.int8_conv import (
    HIGHEST,
    HIGHEST_POSITIVE,
    ZERO,
    Int8Conv,
    signed,
    to_levels,
    unsigned,
)
from vsr.models.ops.space_to_depth import into_image, pixel_shuffled, to_image
from vsr.models.ops.warp import warp_cells


class Int8Branch(nn.Module):
    """A branch whose features are levels.

    Args:
        branch: The trained branch.
        shared: Ranges of the features that come in besides what is aligned.
        ranges: Ranges of the branch.
    """

    def __init__(self, branch: Branch, shared: list[Tensor], ranges: BranchRanges) -> None:
        super().__init__()
        features = ranges.features_K / HIGHEST
        steps_D = ranges.differences_D / HIGHEST
        steps_in = torch.cat([*(s / HIGHEST for s in shared), features, steps_D])
        self.trunk = _Int8Trunk(branch.trunk, steps_in, features, ranges.hidden_MK)
        self.draft = Int8Conv(branch.draft, features)
        self.register_buffer("per_difference", (CONTRAST / steps_D).view(1, -1, 1, 1))

    def forward(
        self, frame: Frame, shared: list[Tensor], neighbour: PropagatedFrame, flow_B2HW: Tensor
    ) -> PropagatedFrame:
        """Compute what ``Branch`` does, in int8."""
        draft, differences = warped_residuals(frame, neighbour, flow_B2HW)
        moved = to_levels(warp_cells(neighbour.feat_BKhw, flow_B2HW))
        sizes = [difference.shape[1] for difference in differences]
        scales = torch.split(self.get_buffer("per_difference"), sizes, 1)
        seen = [to_levels(d.mul_(scale)) for d, scale in zip(differences, scales, strict=True)]
        feat = self.trunk(unsigned(torch.cat([*shared, moved, *seen], 1)))
        draft = self.draft.add_to(feat, draft)
        return PropagatedFrame(
            feat_BKhw=signed(feat), grey_B1HW=frame.grey_B1HW, draft_B1HW=to_image(draft)
        )


class _Int8Trunk(nn.Module):
    """Unsigned levels to unsigned levels; the sum of the residual blocks has the same steps."""

    def __init__(
        self, trunk: Trunk, steps_in: Tensor, features_K: Tensor, hidden_MK: Tensor
    ) -> None:
        super().__init__()
        first, _, blocks = trunk.main
        assert isinstance(first, nn.Conv2d)
        assert isinstance(blocks, nn.Sequential)
        self.first = Int8Conv(first, steps_in, features_K)
        self.blocks = nn.ModuleList(
            _Int8Block(block, features_K, hidden_K / HIGHEST_POSITIVE)
            for block, hidden_K in zip(blocks, hidden_MK, strict=True)
        )

    def forward(self, levels_BKhw: Tensor) -> Tensor:
        feat: Tensor = self.first.relu_levels(levels_BKhw, zero=ZERO)
        for block in self.blocks:
            feat = block(feat)
        return feat


class _Int8Block(nn.Module):
    def __init__(self, block: nn.Module, features_K: Tensor, hidden_K: Tensor) -> None:
        super().__init__()
        assert isinstance(block, ResidualBlock)
        self.conv1 = Int8Conv(block.conv1, features_K, hidden_K)
        self.conv2 = Int8Conv(block.conv2, hidden_K, features_K, zero=0)

    def forward(self, levels_BKhw: Tensor) -> Tensor:
        return self.conv2.add_to_levels(self.conv1.relu_levels(levels_BKhw), levels_BKhw)


class Int8Tail(nn.Module):
    """The tail, from levels.

    Args:
        tail: The trained tail.
        ranges: Ranges of the whole network.
    """

    def __init__(self, tail: Tail, ranges: Ranges) -> None:
        super().__init__()
        doubled, hidden = ranges.doubled_K / HIGHEST_POSITIVE, ranges.hidden_K / HIGHEST_POSITIVE
        features = ranges.forward_branch.features_K / HIGHEST
        self.up = Int8Conv(tail.up, features, doubled.repeat(SHUFFLE**2))
        self.hidden = Int8Conv(tail.hidden, doubled, hidden, zero=0)
        self.last = Int8Conv(tail.last, hidden, zero=0)
        self.base = tail.base

    def forward(self, feat_BKhw: Tensor, frame_BCHW: Tensor, into_BCHW: Tensor) -> None:
        """Compute what ``Tail`` does, in int8."""
        doubled = pixel_shuffled(self.up.relu_levels(unsigned(feat_BKhw)))
        hidden = self.hidden.relu_levels(doubled)
        into_image(self.last.add_to(hidden, self.base(frame_BCHW)), into_BCHW)
