"""The colour conversion against itself: what goes in comes out."""

from dataclasses import replace
from itertools import product
from math import prod

import pytest
import torch
from torch import Tensor

from tests.streams.samples import HEIGHT, WIDTH, known, noise, planes_of, soft_picture, tags
from vsr.streams.colour import tags as colour_tags
from vsr.streams.colour import yuv_native as compiled_yuv
from vsr.streams.colour.chroma import (
    NARROW,
    SITINGS,
    WIDE,
    IntegerTypes,
    Siting,
    double_columns,
    double_rows,
    find_gain,
    find_integers,
    halve_columns,
    halve_rows,
)
from vsr.streams.colour.convert import from_rgb, to_rgb
from vsr.streams.colour.scratch import Scratch
from vsr.types import Colour

CPU = torch.device("cpu")
FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p12le", "yuv444p16le"]


@pytest.mark.parametrize("name", [*FORMATS, "gbrp", "gbrp10le", "rgb24", "rgb48le", "yuvj420p"])
@pytest.mark.parametrize("size", [(96, 128), (71, 95)])
def test_a_soft_picture_comes_back(name: str, size: tuple[int, int]) -> None:
    pixel_format, colour = known(name), tags()
    picture = soft_picture(*size)
    samples = from_rgb(picture, pixel_format, colour)
    again = to_rgb(planes_of(samples, pixel_format, *size), pixel_format, colour)
    assert ((again - picture).abs() * 255).mean() < 0.5


def test_grey_is_luma() -> None:
    picture = soft_picture()
    samples = from_rgb(picture, known("gray10le"), tags(colour_range="pc"))
    weights = torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)
    luma = (picture * weights).sum(1)
    again = to_rgb([samples.view(1, HEIGHT, WIDTH)], known("gray10le"), tags(colour_range="pc"))
    assert (again[:, 0] - luma).abs().max() < 1 / 1000
    assert torch.equal(again[:, 0], again[:, 2])


@pytest.mark.parametrize("colour_range", ["tv", "pc"])
def test_pure_colours_have_the_codes_of_the_standard(colour_range: str) -> None:
    colours = {"black": (0, 0, 0), "white": (1, 1, 1), "red": (1, 0, 0), "blue": (0, 0, 1)}
    codes = {
        "tv": {"black": (16, 128, 128), "white": (235, 128, 128), "red": (63, 102, 240)}
        | {"blue": (32, 240, 118)},
        "pc": {"black": (0, 128, 128), "white": (255, 128, 128), "red": (54, 99, 255)}
        | {"blue": (18, 255, 116)},
    }
    for name, rgb in colours.items():
        picture = torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, 2, 2)
        samples = from_rgb(picture, known("yuv444p"), tags(colour_range=colour_range))
        assert tuple(samples.view(3, 4)[:, 0].tolist()) == codes[colour_range][name]


def test_values_beyond_the_codes_are_clamped() -> None:
    wild = torch.tensor([-1.0, 2.0, 0.5]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert from_rgb(wild, known("gbrp"), tags()).view(3, 16)[:, 0].tolist() == [255, 128, 0]
    for name, peak in (("yuv420p", 255), ("yuv444p10le", 1023)):
        samples = from_rgb(4 * wild, known(name), tags())
        assert samples.view(1, -1)[0, 0] == peak
        assert samples.to(torch.int32).max() <= peak


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_frames_are_taken(dtype: torch.dtype) -> None:
    picture = soft_picture().to(dtype)
    assert torch.equal(
        from_rgb(picture, known("yuv420p"), tags()),
        from_rgb(picture.float(), known("yuv420p"), tags()),
    )


def test_a_chunk_is_converted_like_its_frames() -> None:
    chunk = torch.rand(5, 3, 34, 46)
    together = from_rgb(chunk, known("yuv420p"), tags())
    alone = torch.cat([from_rgb(frame[None], known("yuv420p"), tags()) for frame in chunk])
    assert torch.equal(together, alone)


def enlarged(
    planes: Tensor, size: tuple[int, int], *, cosited: bool, integers: IntegerTypes = WIDE
) -> Tensor:
    """Twice the rows and columns of whole numbers."""
    codes = planes.to(integers.pair)
    wider = double_columns(codes, size[1], integers, Scratch(CPU), cosited=cosited)
    bordered = torch.cat([wider[:, :1], wider, wider[:, -1:]], 1)
    doubled = double_rows(bordered, size[0], Scratch(CPU), cosited=cosited)
    return doubled.float() / find_gain((1, 1), Siting(cosited, cosited))


def halved(planes: Tensor, *, cosited: bool) -> Tensor:
    """Half the rows and columns."""
    rows = halve_rows(planes, Scratch(CPU), cosited=cosited)
    return halve_columns(rows, Scratch(CPU), cosited=cosited)


@pytest.mark.parametrize("cosited", [True, False])
def test_a_slope_stays_a_slope(cosited: bool) -> None:
    slope = 16 * torch.arange(64.0).expand(2, 64, 64)
    for picture in (slope, slope.mT):
        again = enlarged(halved(picture, cosited=cosited), (64, 64), cosited=cosited)
        torch.testing.assert_close(again[..., 4:-4, 4:-4], picture[..., 4:-4, 4:-4])


@pytest.mark.parametrize("cosited", [True, False])
@pytest.mark.parametrize("size", [(64, 96), (65, 93), (1, 1)])
def test_enlarged_chroma_comes_back(cosited: bool, size: tuple[int, int]) -> None:
    height, width = size
    codes = torch.randint(256, (2, -(-height // 2), -(-width // 2))).float()
    wide = enlarged(codes, size, cosited=cosited)
    assert torch.equal(enlarged(codes, size, cosited=cosited, integers=NARROW), wide)
    torch.testing.assert_close(halved(wide, cosited=cosited), codes)


@pytest.mark.parametrize("location", list(SITINGS))
@pytest.mark.parametrize("shifts", [(1, 1), (0, 1), (0, 0)])
def test_integers_hold_the_sharpest_chroma(location: str, shifts: tuple[int, int]) -> None:
    """Samples that alternate between the ends of their range overshoot the most."""
    siting = SITINGS[location]
    gain = find_gain(shifts, siting)
    for bits in (8, 10, 12, 16):
        peak = (1 << bits) - 1
        largest = peak * prod(
            1.25 for n, cosited in zip(shifts, siting, strict=True) if n and not cosited
        )
        assert gain * largest <= torch.iinfo(find_integers(peak, gain).sample).max


def test_a_wrong_siting_shifts_by_half_a_sample() -> None:
    slope = torch.linspace(0, 63, 64).expand(1, 64, 64)
    left, centre = (
        halve_columns(slope.clone(), Scratch(CPU), cosited=cosited) for cosited in (True, False)
    )
    torch.testing.assert_close((centre - left)[..., 1:-1], torch.full((1, 64, 30), 0.5))


@pytest.mark.parametrize(
    ("name", "location"),
    [*product([*FORMATS[:-1], "yuv420p12le", "yuv422p10le"], SITINGS)]
    + [(name, "left") for name in (FORMATS[-1], "gray", "gbrp10le")],  # of full size: no siting
)
@pytest.mark.parametrize("colour_range", ["tv", "pc"])
def test_any_samples_come_back_to_the_bit(name: str, colour_range: str, location: str) -> None:
    """Noise: most of its colours lie outside of RGB, and its chroma is as sharp as can be."""
    pixel_format, colour = known(name), tags("bt709", colour_range, location)
    samples = noise(pixel_format, 71, 95)
    planes = planes_of(samples, pixel_format, 71, 95)
    again = from_rgb(to_rgb(planes, pixel_format, colour, headroom=True), pixel_format, colour)
    assert torch.equal(again.view(torch.uint8), samples.view(torch.uint8))


def test_the_strips_of_a_tall_picture_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_yuv, "BUILT", False)
    for name in ("yuv420p", "yuv422p", "yuv444p"):
        for location in ("left", "topleft"):
            pixel_format, colour = known(name), tags(location=location)
            samples = noise(pixel_format, 71, 95)
            planes = planes_of(samples, pixel_format, 71, 95)
            whole = to_rgb(planes, pixel_format, colour)
            back = from_rgb(whole, pixel_format, colour)
            with monkeypatch.context() as patch:
                patch.setattr("vsr.streams.colour.convert.STRIP_PIXELS", 6 * 95)
                assert torch.equal(to_rgb(planes, pixel_format, colour), whole)
                assert torch.equal(from_rgb(whole, pixel_format, colour), back)


def test_readers_clamp_unless_asked_for_headroom() -> None:
    pixel_format, colour = known("yuv444p"), tags()
    planes = [torch.tensor([[[8, 250]]], dtype=torch.uint8)] + 2 * [
        torch.full((1, 1, 2), 128, dtype=torch.uint8)
    ]
    assert to_rgb(planes, pixel_format, colour)[0, 0, 0].tolist() == [0, 1]
    kept = to_rgb(planes, pixel_format, colour, headroom=True)
    assert kept.min() < -0.03
    assert kept.max() > 1.06


@pytest.mark.parametrize(
    ("height", "width", "matrix"),
    [(480, 640, "smpte170m"), (576, 720, "smpte170m"), (720, 960, "bt709"), (534, 1280, "bt709")],
)
def test_an_untagged_stream_is_taken_as_players_do(height: int, width: int, matrix: str) -> None:
    full = colour_tags.complete(Colour(), known("yuv420p"), height=height, width=width)
    assert (full.matrix, full.range, full.chroma_location) == (matrix, "tv", "left")


def test_tags_are_kept_and_unknown_matrices_replaced() -> None:
    hdr = Colour(matrix="bt2020nc", primaries="bt2020", transfer="smpte2084", range="tv")
    kept = colour_tags.complete(hdr, known("yuv420p10le"), height=480, width=640)
    assert kept == replace(hdr, chroma_location="topleft")
    odd = colour_tags.complete(Colour(matrix="ycgco"), known("yuv444p"), height=480, width=640)
    assert odd.matrix == "smpte170m"


def test_pictures_become_limited_range_bt709() -> None:
    out = colour_tags.for_output(Colour(), known("rgb24"), height=180, width=320)
    assert (out.matrix, out.range) == ("bt709", "tv")
