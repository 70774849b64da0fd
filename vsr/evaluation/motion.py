"""Temporal scores along the optical flow of ``models.ops.optical_flow``.

The flow is not learnt, so that no score depends on a network's weights. With F(a, b) the flow
from a to b, r restored and g ground truth:

tOF            mean over pixels of ‖F(r_t, r_t-1) - F(g_t, g_t-1)‖, in pixels (after TecoGAN, Chu
               et al. 2020, who take Farnebäck's flow)
warping error  mean over visible pixels and channels of (r_t - W(r_t-1))², where W samples along
               F(g_t, g_t-1) (after Lai et al. 2018, with the ground truth's flow). A pixel is
               visible where the flow stays inside the frame and
               |F + B|² <= 0.01 (|F|² + |B|²) + 0.5, B being F(g_t-1, g_t) sampled along F
               (Sundaram et al. 2010)

Both need two frames: the first of a clip has none.

N pairs, C colour, H, W size.
"""

from __future__ import annotations

from torch import Tensor

from vsr.models.ops.optical_flow import estimate_flow
from vsr.models.ops.warp import warp


def flow_difference(restored: Tensor, before: Tensor, flow_of_truth_N2HW: Tensor) -> Tensor:
    """The tOF of restored frames and those before them, (N, 3, H, W) each: (N,), pixels."""
    difference = estimate_flow(restored, before) - flow_of_truth_N2HW
    return difference.square().sum(1).sqrt().double().mean((-2, -1))


def warping_error(
    frames: Tensor, before: Tensor, flow_N2HW: Tensor, visible_N1HW: Tensor
) -> Tensor:
    """Mean squared change along a flow where it is visible: (N,) for (N, 3, H, W) in [0, 1]."""
    change = (frames - warp(before, flow_N2HW, "border")).square().mean(1, keepdim=True)
    counted = visible_N1HW.double().sum((-3, -2, -1)).clamp(min=1)
    return (change * visible_N1HW).double().sum((-3, -2, -1)) / counted
