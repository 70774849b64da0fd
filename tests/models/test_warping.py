"""Sampling along optical flow."""

from __future__ import annotations

import pytest
import torch

from vsr.models.ops.cpu_sampling import Padding
from vsr.models.ops.space_to_depth import doubled_cells, into_image, to_image
from vsr.models.ops.warp import doubled_places, sample, warp, warp_cells


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


def test_half_precision_cells_are_sampled_where_float32_ones_are() -> None:
    width = 1920
    ramp = in_cells((torch.arange(width) % 64).float().expand(1, 4, 4, width))
    flow = torch.zeros(1, 2, 4, width)
    flow[:, 0] = 8
    with torch.inference_mode():
        exact, half = warp_cells(ramp, flow), warp_cells(ramp.bfloat16(), flow)
    assert (exact - half.float()).abs().max() < 0.05


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_rows_are_sampled_as_planes_are(padding: Padding) -> None:
    torch.manual_seed(0)
    feat, flow = torch.randn(2, 16, 5, 7), 4 * torch.randn(2, 2, 5, 7)
    flow[0, :, 0, 0] = 1e9
    flow[:, :, 1] = flow[:, :, 1].round()
    with torch.inference_mode():
        by_rows = warp(feat, flow, padding)
    # Gradients are recorded, for which there are only planes.
    torch.testing.assert_close(by_rows, warp(feat, flow, padding), atol=1e-5, rtol=0)


def test_a_flow_that_is_no_number_gives_what_is_no_number() -> None:
    flow = torch.zeros(1, 2, 4, 4)
    flow[0, 0, 1, 2] = torch.nan
    with torch.inference_mode():
        moved = warp(torch.ones(1, 8, 4, 4), flow)
    assert moved.isnan().any(1).nonzero().tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("gradients", [False, True])
def test_features_in_cells_move_as_the_image_they_are_cells_of(gradients: bool) -> None:
    torch.manual_seed(0)
    image, flow = torch.randn(2, 4, 6, 10), 2 * torch.randn(2, 2, 6, 10)
    with torch.inference_mode(not gradients):
        moved = warp_cells(in_cells(image), flow)
    torch.testing.assert_close(moved, in_cells(warp(image, flow)), atol=1e-5, rtol=0)


def in_cells(image_BKHW: torch.Tensor) -> torch.Tensor:
    """Cells of 2 x 2 pixels, pixel by pixel."""
    corners = [image_BKHW[..., y::2, x::2] for y in (0, 1) for x in (0, 1)]
    return torch.cat(corners, 1)


@pytest.mark.parametrize("cell", [2, 4])
def test_images_are_doubled_bilinearly(cell: int) -> None:
    image = torch.rand(2, 1, 6, 8)
    framed = torch.nn.functional.pad(image, (1,) * 4, mode="replicate")
    cells = doubled_cells(framed, cell).flatten(3).permute(0, 3, 1, 2)
    torch.testing.assert_close(to_image(cells), bilinear(image))


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("cell", [2, 3, 4])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_cells_are_laid_out_as_by_a_pixel_shuffle(
    cell: int, colours: int, layout: torch.memory_format
) -> None:
    cells = torch.rand(2, colours * cell**2, 3, 5).contiguous(memory_format=layout)
    image = torch.empty(2, colours, 3 * cell, 5 * cell)
    with torch.inference_mode():
        into_image(cells, image)
    assert torch.equal(image, torch.nn.functional.pixel_shuffle(cells, cell))


@pytest.mark.parametrize("cell", [2, 4])
def test_doubled_places_without_motion_enlarge_and_leave_as_it_is(cell: int) -> None:
    image = torch.rand(1, 1, 6, 8)
    places = doubled_places(torch.zeros(1, 2, 6, 8), cell)
    torch.testing.assert_close(to_image(sample(image, places)), bilinear(image))
    torch.testing.assert_close(to_image(sample(bilinear(image), places)), bilinear(image))


def bilinear(image_BKHW: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(image_BKHW, scale_factor=2.0, mode="bilinear")


def test_doubled_places_move_both_sizes_alike() -> None:
    image = torch.zeros(1, 1, 6, 8)
    image[0, 0, 3, 5] = 1
    flow = torch.zeros(1, 2, 6, 8)
    flow[:, 0], flow[:, 1] = 2, 1
    doubled = torch.nn.functional.interpolate(image, scale_factor=2.0, mode="nearest")
    for neighbour in (image, doubled):
        moved = to_image(sample(neighbour, doubled_places(flow, 4)))
        assert int(torch.nn.functional.avg_pool2d(moved, 2).argmax()) == 2 * 8 + 3


def test_colours_are_sampled_one_behind_the_other() -> None:
    image = torch.rand(2, 3, 6, 8)
    cells = sample(bilinear(image), doubled_places(torch.zeros(2, 2, 6, 8), 2))
    expected = torch.nn.functional.pixel_unshuffle(bilinear(image), 2)
    torch.testing.assert_close(cells, expected)


@pytest.mark.parametrize("threads", [2, 3, 4, 5])
def test_rows_that_threads_share_are_sampled_as_by_one(threads: int) -> None:
    image, flow = torch.rand(1, 2, 12, 8), torch.randn(1, 2, 12, 8)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = sample(image, doubled_places(flow, 4))
        torch.set_num_threads(threads)
        shared = sample(image, doubled_places(flow, 4))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone, shared)
