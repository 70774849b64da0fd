"""The compiled conversion against torch's: the same results, and nothing changed beside them."""

from __future__ import annotations

import os
from itertools import product
from math import inf, nan

import pytest
import torch
from torch import Tensor

from tests.streams.samples import known, noise, planes_of, tags
from vsr.streams.colour import yuv_native as compiled_yuv
from vsr.streams.colour.convert import from_rgb, to_rgb
from vsr.streams.colour.pixel_format import PixelFormat
from vsr.streams.colour.yuv_native import can_read, can_write
from vsr.types import Colour

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuvj420p"]
MATRICES = ["bt709", "smpte170m", "bt2020nc"]
SITINGS = ["left", "center", "bottomleft"]
SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (5, 4), (71, 95), (2, 1921), (64, 64)]
KINDS = [*product(FORMATS, ["bt709"], ["tv", "pc"], SITINGS)] + [
    ("yuv420p", matrix, "tv", "left") for matrix in MATRICES[1:]
]
PLACED_KINDS = [("bt709", "tv", siting) for siting in SITINGS]
PICTURES = [
    (name, *kind, size) for name, kind, size in product(FORMATS[:3], PLACED_KINDS, SIZES)
] + [(*kind, (71, 95)) for kind in KINDS if kind[0] == "yuvj420p" or kind[1:3] != ("bt709", "tv")]
"""Every size with every siting of chroma; range and matrix, which only choose the coefficients that
each sample is multiplied by, at one odd size."""


@pytest.fixture(autouse=True)
def built() -> None:
    if compiled_yuv.BUILT:
        return
    if os.environ.get("CI"):
        pytest.fail("the compiled part is missing: CI has a compiler, so that its build has failed")
    pytest.skip("the compiled part was not built: there was no compiler at the installation")


@pytest.fixture
def by_torch(monkeypatch: pytest.MonkeyPatch) -> ByTorch:
    return ByTorch(monkeypatch)


class ByTorch:
    """Both conversions as they are where nothing was compiled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def to_rgb(
        self, planes: list[Tensor], pixel_format: PixelFormat, colour: Colour, *, headroom: bool
    ) -> Tensor:
        with self._monkeypatch.context() as patch:
            patch.setattr(compiled_yuv, "BUILT", False)
            return to_rgb(planes, pixel_format, colour, headroom=headroom)

    def from_rgb(self, frames: Tensor, pixel_format: PixelFormat, colour: Colour) -> Tensor:
        with self._monkeypatch.context() as patch:
            patch.setattr(compiled_yuv, "BUILT", False)
            return from_rgb(frames, pixel_format, colour)


@pytest.mark.parametrize(("name", "matrix", "colour_range", "location", "size"), PICTURES)
def test_planes_become_the_same_rgb(
    by_torch: ByTorch,
    name: str,
    matrix: str,
    colour_range: str,
    location: str,
    size: tuple[int, int],
) -> None:
    pixel_format, colour = known(name), tags(matrix, colour_range, location)
    planes = planes_of(noise(pixel_format, *size), pixel_format, *size)
    assert can_read(planes, pixel_format, colour, torch.empty(2, 3, *size))
    for headroom in (False, True):
        ours = to_rgb(planes, pixel_format, colour, headroom=headroom)
        theirs = by_torch.to_rgb(planes, pixel_format, colour, headroom=headroom)
        assert (ours - theirs).abs().max() <= 1e-6


@pytest.mark.parametrize(("name", "matrix", "colour_range", "location", "size"), PICTURES)
def test_rgb_becomes_the_same_codes(
    by_torch: ByTorch,
    name: str,
    matrix: str,
    colour_range: str,
    location: str,
    size: tuple[int, int],
) -> None:
    """Of values far beyond what there are codes for, too."""
    pixel_format, colour = known(name), tags(matrix, colour_range, location)
    frames = torch.randn(2, 3, *size)
    ours = from_rgb(frames, pixel_format, colour)
    theirs = by_torch.from_rgb(frames, pixel_format, colour)
    assert can_write(frames, pixel_format, colour, ours)
    assert (ours.int() - theirs.int()).abs().max() <= 1


@pytest.mark.parametrize(("name", "matrix", "colour_range", "location"), KINDS)
def test_hardly_a_code_depends_on_rounding(
    by_torch: ByTorch, name: str, matrix: str, colour_range: str, location: str
) -> None:
    """Where a processor has no FMA, floats end in another bit than torch's now and then."""
    pixel_format, colour = known(name), tags(matrix, colour_range, location)
    frames = torch.rand(1, 3, 270, 480)
    ours = from_rgb(frames, pixel_format, colour)
    theirs = by_torch.from_rgb(frames, pixel_format, colour)
    assert (ours != theirs).sum() < 1e-4 * ours.numel()


@pytest.mark.parametrize("name", FORMATS)
def test_planes_may_lie_in_wider_memory(name: str) -> None:
    """As a decoder's do; whatever else is there has no part in the result."""
    pixel_format, colour, size = known(name), tags(), (35, 47)
    planes = planes_of(noise(pixel_format, *size), pixel_format, *size)
    padded = []
    for number, plane in enumerate(planes):
        count, rows, columns = plane.shape
        memory = torch.randint(256, (count, rows + 2, columns + 13 + number), dtype=torch.uint8)
        inside = memory[:, 1 : rows + 1, 5 : columns + 5]
        padded.append(inside.copy_(plane))
    assert can_read(padded, pixel_format, colour, torch.empty(2, 3, *size))
    assert torch.equal(to_rgb(padded, pixel_format, colour), to_rgb(planes, pixel_format, colour))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(35, 47), (1, 1), (2, 2)])
def test_nothing_is_written_beside_the_result(name: str, size: tuple[int, int]) -> None:
    pixel_format, colour = known(name), tags()
    planes = planes_of(noise(pixel_format, *size), pixel_format, *size)
    memory = torch.full((4, 3, *size), 7.0)
    rgb = to_rgb(planes, pixel_format, colour, headroom=True, out=memory[1:3])
    assert (memory[0] == 7).all()
    assert (memory[3] == 7).all()
    count = sum(torch.Size(shape).numel() for shape in pixel_format.plane_shapes(*size))
    samples = torch.full((4, count), 99, dtype=torch.uint8)
    from_rgb(rgb, pixel_format, colour, out=samples[1:3])
    assert (samples[0] == 99).all()
    assert (samples[3] == 99).all()
    assert torch.equal(samples[1:3], torch.cat([plane.flatten(1) for plane in planes], 1))


def test_frames_may_be_a_part_of_larger_ones() -> None:
    pixel_format, colour = known("yuv420p"), tags()
    larger = torch.rand(2, 3, 50, 70)
    part = larger[:, :, 3:38, 5:52]
    assert can_write(part, pixel_format, colour, from_rgb(part, pixel_format, colour))
    assert torch.equal(
        from_rgb(part, pixel_format, colour), from_rgb(part.contiguous(), pixel_format, colour)
    )


def test_one_broken_number_stays_where_it_is() -> None:
    """Values without a code get some code; other values do not change."""
    pixel_format, colour, size = known("yuv420p"), tags(), (32, 64)
    frames = torch.rand(1, 3, *size)
    whole = planes_of(from_rgb(frames, pixel_format, colour), pixel_format, *size)
    for number in (nan, inf, -inf, 1e30):
        broken = frames.clone()
        broken[0, 0, 16, 20] = number
        others = planes_of(from_rgb(broken, pixel_format, colour), pixel_format, *size)
        for plane, other, column, row in zip(whole, others, (20, 10, 10), (16, 8, 8), strict=True):
            same = plane == other
            same[:, row, column - 1 : column + 2] = True
            assert same.all()


@pytest.mark.parametrize(
    ("name", "location"),
    [("yuv420p", "topleft"), ("yuv420p", "top")]
    + [(name, "left") for name in ("yuv420p10le", "gray", "gbrp", "rgb24")],
)
def test_other_pictures_are_converted_by_torch(name: str, location: str) -> None:
    pixel_format, colour, size = known(name), tags(location=location), (8, 10)
    frames = torch.rand(1, 3, *size)
    samples = from_rgb(frames, pixel_format, colour)
    planes = planes_of(samples, pixel_format, *size)
    assert not can_read(planes, pixel_format, colour, frames)
    assert not can_write(frames, pixel_format, colour, samples)


def test_rows_halfway_matter_only_where_rows_are_halved() -> None:
    pixel_format, colour, size = known("yuv422p"), tags(location="topleft"), (8, 10)
    frames = torch.rand(1, 3, *size)
    samples = from_rgb(frames, pixel_format, colour)
    assert can_write(frames, pixel_format, colour, samples)
    assert can_read(planes_of(samples, pixel_format, *size), pixel_format, colour, frames)


def test_other_memory_is_left_to_torch() -> None:
    pixel_format, colour, size = known("yuv420p"), tags(), (8, 10)
    frames = torch.rand(1, 3, *size)
    samples = from_rgb(frames, pixel_format, colour)
    planes = planes_of(samples, pixel_format, *size)
    assert not can_write(frames.half(), pixel_format, colour, samples)
    assert not can_write(frames.to("meta"), pixel_format, colour, samples)
    assert not can_write(frames.mT.contiguous().mT, pixel_format, colour, samples)
    assert not can_write(frames[:, :, :0], pixel_format, colour, samples)
    assert not can_read(planes, pixel_format, colour, frames.double())
    assert not can_read(planes, pixel_format, colour, frames.mT.contiguous().mT)
    assert not can_read(planes, pixel_format, colour, torch.empty(1, 3, 8, 12))
    assert not can_read([planes[0], *planes[:2]], pixel_format, colour, frames)
    assert not can_read([p.short() for p in planes], pixel_format, colour, frames)
    turned = [plane.mT.contiguous().mT for plane in planes]
    assert not can_read(turned, pixel_format, colour, frames)


def test_it_is_what_converts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not torch, whose strips would be asked for."""

    def refuse(*arguments: object) -> None:
        raise AssertionError

    pixel_format, colour, size = known("yuv420p"), tags(), (8, 10)
    monkeypatch.setattr("vsr.streams.colour.convert.InStrips", refuse)
    frames = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).repeat(1, 1, *size)
    samples = from_rgb(frames, pixel_format, colour)
    read = to_rgb(planes_of(samples, pixel_format, *size), pixel_format, colour)
    torch.testing.assert_close(read, frames, atol=0.01, rtol=0)
