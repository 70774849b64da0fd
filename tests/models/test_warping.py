"""Sampling along optical flow."""

from __future__ import annotations

import torch

from vsr.models.warping import warp


def test_a_flow_points_at_where_the_pixel_is_in_the_neighbour() -> None:
    feat = torch.zeros(1, 1, 5, 7)
    feat[0, 0, 3, 5] = 1
    flow = torch.zeros(1, 2, 5, 7)
    flow[:, 0], flow[:, 1] = 2, 1
    assert warp(feat, flow)[0, 0, 2, 3] == 1


def test_outside_is_zero_or_the_border_as_asked() -> None:
    feat = torch.ones(1, 1, 4, 4)
    flow = torch.full((1, 2, 4, 4), 10.0)
    assert (warp(feat, flow) == 0).all()
    assert (warp(feat, flow, "border") == 1).all()


def test_half_precision_features_are_sampled_where_float32_ones_are() -> None:
    width = 1920
    ramp = (torch.arange(width) % 64).float().expand(1, 1, 2, width)
    flow = torch.full((1, 2, 2, width), 0.0)
    flow[:, 0] = 8
    half = warp(ramp.bfloat16(), flow)
    assert half.dtype == torch.bfloat16
    # The ramp rises by 1 a pixel, so that a difference is an offset in pixels.
    assert (warp(ramp, flow) - half.float()).abs().max() < 0.05
