"""MATLAB's bicubic resizing."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vsr.models.layers.upsampling import bicubic_filter
from vsr.models.ops.imresize import cubic, imresize, quantise


def read(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)


@pytest.mark.parametrize("clip", ["calendar", "city", "foliage", "walk"])
def test_a_quarter_of_vid4_is_the_published_low_resolution(clip: str, shared: Path) -> None:
    folder = shared / "data" / "eval" / "vid4"
    for path in sorted((folder / "GT" / clip).iterdir())[::10]:
        small = (
            quantise(imresize(read(path).double() / 255, Fraction(1, 4))).mul(255).round().byte()
        )
        assert torch.equal(small, read(folder / "BIx4" / clip / f"{path.stem}.png"))


def test_a_constant_stays_constant_at_any_scale() -> None:
    for scale in (Fraction(1, 4), Fraction(2, 3), 1, 2, 3, 4):
        resized = imresize(torch.full((1, 3, 13, 9), 0.25), scale)
        torch.testing.assert_close(resized, torch.full_like(resized, 0.25))


def test_a_size_that_does_not_divide_is_rounded_up() -> None:
    assert imresize(torch.rand(3, 13, 9), Fraction(1, 4)).shape == (3, 4, 3)


def test_the_bicubic_filter_is_imresize_away_from_the_border() -> None:
    image = torch.rand(1, 3, 12, 14)
    cells = torch.nn.functional.conv2d(image, bicubic_filter(4), groups=3)
    enlarged = torch.nn.functional.pixel_shuffle(cells, 4)
    inner = imresize(image, 4)[..., 8:-8, 8:-8]
    torch.testing.assert_close(enlarged, inner, atol=1e-6, rtol=0)


def as_defined(row: list[float], scale: int) -> list[float]:
    """One row enlarged, output by output; the border is mirrored with its pixel repeated."""
    mirrored = row[::-1] + row + row[::-1]
    out = []
    for i in range(len(row) * scale):
        place = (i + 0.5) / scale - 0.5
        taps = range(math.floor(place) - 1, math.floor(place) + 3)
        weights = [float(cubic(torch.tensor(place - t, dtype=torch.float64))) for t in taps]
        out.append(sum(w * mirrored[len(row) + t] for t, w in zip(taps, weights, strict=True)))
    return out


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [2, 3, 7])
def test_enlarging_is_what_the_kernel_says(scale: int, size: int) -> None:
    row = torch.rand(size, dtype=torch.float64)
    expected = torch.tensor(as_defined(row.tolist(), scale), dtype=torch.float64)
    columns = imresize(row.expand(2, 3, 4, size), scale)
    torch.testing.assert_close(columns, expected.expand(2, 3, 4 * scale, -1))
    torch.testing.assert_close(imresize(row[:, None].expand(size, 4), scale)[:, 5], expected)


def test_enlarging_keeps_type_and_leaves_the_image_alone() -> None:
    image = torch.rand(2, 3, 6, 5)
    before = image.clone()
    exact = imresize(image, 4)
    assert torch.equal(image, before)
    half = imresize(image.to(torch.bfloat16), 4)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, atol=0.02, rtol=0)


def test_a_single_pixel_becomes_a_flat_cell() -> None:
    assert torch.equal(imresize(torch.full((3, 1, 1), 0.25), 4), torch.full((3, 4, 4), 0.25))
