"""Sampling along optical flow."""

from __future__ import annotations

import torch

from vsr.models.warping import doubled_grid, sample, warp


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


def test_a_doubled_grid_without_motion_enlarges_and_leaves_as_it_is() -> None:
    image = torch.rand(1, 1, 5, 7)
    grid = doubled_grid(torch.zeros(1, 2, 5, 7))
    doubled = torch.nn.functional.interpolate(image, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(sample(image, grid), doubled)
    torch.testing.assert_close(sample(doubled, grid), doubled)


def test_a_doubled_grid_moves_both_sizes_alike() -> None:
    image = torch.zeros(1, 1, 6, 8)
    image[0, 0, 3, 5] = 1
    flow = torch.zeros(1, 2, 6, 8)
    flow[:, 0], flow[:, 1] = 2, 1
    grid = doubled_grid(flow)
    small = torch.nn.functional.avg_pool2d(sample(image, grid), 2)
    doubled = torch.nn.functional.interpolate(image, scale_factor=2.0, mode="nearest")
    large = torch.nn.functional.avg_pool2d(sample(doubled, grid), 2)
    for found in (small, large):
        assert int(found.argmax()) == 2 * 8 + 3
