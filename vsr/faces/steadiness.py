"""Steadiness of restored faces: what a network adds is carried along the flow.

A network sees every frame by itself, and draws each lash a little differently. The change that it
makes to an aligned face is therefore blended with that of the frame before, moved as the face has
moved since (its mouth, its lids: the alignment has removed the rest). Only the change is blended;
the picture under it is always that of the frame itself, so that nothing trails behind.

C colour, H, W side of an aligned face, h, w of its small picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.ops.optical_flow import estimate_flow
from vsr.models.ops.warp import warp

SMALL = 128
"""Side of the pictures whose flow is estimated."""

CARRIED = 0.8
"""Part of the change that comes from the frame before where both pictures agree."""

TOLERANCE = 0.04
"""Difference of both pictures, in [0, 1], at which a third of that is left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Memory:
    """Memory of a face from frame to frame.

    Attributes:
        small_3hw: Small picture of the aligned face before restoration.
        change_3HW: Restored less aligned face, blended.
    """

    small_3hw: Tensor
    change_3HW: Tensor


def steady(face_3HW: Tensor, change_3HW: Tensor, before: Memory | None) -> Memory:
    """Blend the change of a face with that of the frame before.

    Args:
        face_3HW: Aligned face before restoration.
        change_3HW: Output of the network less the face itself.
        before: Memory of the frame before; None for the first.

    Returns:
        The blended change, and the memory for the next frame.
    """
    # A frame may have values that are no numbers; the memory must not.
    face_3HW, change_3HW = face_3HW.nan_to_num(), change_3HW.nan_to_num()
    small = F.interpolate(face_3HW[None], (SMALL, SMALL), mode="area")
    if before is None:
        return Memory(small_3hw=small[0], change_3HW=change_3HW)
    earlier = before.small_3hw[None]
    flow = estimate_flow(small, earlier)
    unlike = (small - warp(earlier, flow, "border")).abs().mean(1, keepdim=True)
    unlike = F.avg_pool2d(F.pad(unlike, (2, 2, 2, 2), mode="replicate"), 5, 1)
    agreed = CARRIED * torch.exp(-(unlike / TOLERANCE).square())
    size = face_3HW.shape[-2:]
    both = F.interpolate(torch.cat([flow, agreed], 1), size, mode="bilinear", align_corners=False)
    moved = warp(before.change_3HW[None], both[:, :2] * (size[0] / SMALL), "border")[0]
    carried = both[0, 2:]
    return Memory(small_3hw=small[0], change_3HW=change_3HW.lerp(moved, carried))
