"""The picture of an encoded file: colour tags, depth, shape, size, encoder."""

import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.media import numbered_frames, read_numbers
from tests.streams.encoding import FAST, INFO, encode, first_frame, numbered_chunk, start
from vsr.streams import open_reader, open_writer
from vsr.streams.encode.encoders import choose_pixel_format, default_options
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.types import Chunk, Colour, StreamInfo

TAGGED = Colour(matrix="bt709", primaries="bt709", transfer="bt709", range="tv")
PQ = Colour(matrix="bt2020nc", primaries="bt2020", transfer="smpte2084", range="tv")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("colour", "numbers"),
    [
        (TAGGED, (1, 1, 1, 1)),
        (PQ, (9, 9, 16, 1)),
        (Colour(range="pc"), (6, 6, 6, 2)),
        (Colour(), (6, 6, 6, 1)),
    ],
)
def test_colour_tags_are_the_sources_or_made_explicit(
    tmp_path: Path, suffix: str, colour: Colour, numbers: tuple[int, ...]
) -> None:
    changes = {"colour": colour, "pixel_format": "yuv420p"}
    frame, context = first_frame(encode(tmp_path / f"out.{suffix}", changes=changes))
    found = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    assert found == numbers
    assert context.colorspace == numbers[0]


@pytest.mark.parametrize(
    ("encoder", "suffix", "in_process"),
    [
        ("mjpeg", "mov", False),
        ("mjpeg", "mkv", False),
        ("mjpeg", "avi", True),
        ("libvpx", "webm", False),
        ("libvpx", "webm", True),
        ("mpeg4", "avi", False),
        ("libx264", "mp4", False),
        ("prores_ks", "mov", False),
    ],
)
def test_colours_are_shown_as_they_were_whatever_the_codec_can_say(
    tmp_path: Path, encoder: str, suffix: str, *, in_process: bool
) -> None:
    """JPEG and VP8 have one matrix, which decoders take whatever the container says."""
    info = replace(INFO, colour=TAGGED, pixel_format="yuv420p")
    writer = start(tmp_path / f"out.{suffix}", info, encoder=encoder, in_process=in_process)
    red = torch.tensor([192, 32, 32]).div(255)
    frames = red[None, :, None, None].expand(5, 3, INFO.height, INFO.width)
    writer.write(Chunk(frames=frames, pts=tuple(range(5)), time_base=INFO.time_base))
    command = [find_ffmpeg(), "-v", "error", "-i", writer.finish(), "-frames:v", "1"]
    command += ["-vf", "crop=2:2:40:30", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
    shown = subprocess.run(command, check=True, capture_output=True).stdout
    assert all(abs(got - wanted) <= 3 for got, wanted in zip(shown, (192, 32, 32), strict=False))


def test_an_enlarged_untagged_film_keeps_the_matrix_of_its_own_size(tmp_path: Path) -> None:
    small = StreamInfo(height=180, width=320, time_base=Fraction(1, 25), pixel_format="yuv420p")
    writer = open_writer(str(tmp_path / "out.mp4"), small, height=720, width=1280, encode_args=FAST)
    writer.write(Chunk(frames=numbered_frames([1], 720, 1280), pts=(0,), time_base=small.time_base))
    frame, _ = first_frame(Path(writer.finish()))
    assert frame.colorspace == 6


def test_an_encoder_of_ten_bits_alone_gets_the_sources_matrix(tmp_path: Path) -> None:
    changes = {"colour": TAGGED, "pixel_format": "yuv420p"}
    frame, _ = first_frame(encode(tmp_path / "out.mov", changes=changes, encoder="prores_ks"))
    assert (frame.format.name, frame.colorspace) == ("yuv422p10le", 1)


@pytest.mark.parametrize(
    ("taken", "bit_depth", "chosen"),
    [
        (("yuv422p10le", "yuv444p10le"), 8, "yuv422p10le"),
        (("nv12", "qsv"), 8, "yuv420p"),
        (("nv12", "p010le", "qsv"), 10, "yuv420p10le"),
        (("vaapi",), 8, "yuv420p"),
        (("rgb8", "pal8", "gray"), 8, "rgb24"),
        (("rgb24", "rgba"), 10, "rgb24"),
    ],
)
def test_rgb_is_sent_to_encoders_of_rgb_alone(
    taken: tuple[str, ...], bit_depth: int, chosen: str
) -> None:
    found = choose_pixel_format("any", {}, bit_depth=bit_depth, taken=taken)
    assert found.name == chosen


def test_ten_bits_stay_ten_bits_where_the_encoder_can(tmp_path: Path) -> None:
    deep = {"bit_depth": 10, "pixel_format": "yuv420p10le"}
    can = encode(tmp_path / "out.mp4", changes=deep)
    cannot = encode(tmp_path / "out.avi", changes=deep, encoder="mpeg4")
    assert first_frame(can)[0].format.name == "yuv420p10le"
    assert first_frame(cannot)[0].format.name == "yuv420p"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_shape_of_pixels_survives(tmp_path: Path, suffix: str) -> None:
    wide = {"sample_aspect_ratio": Fraction(64, 45)}
    with open_reader(str(encode(tmp_path / f"out.{suffix}", changes=wide))) as reader:
        assert reader.info.sample_aspect_ratio == Fraction(64, 45)


def test_odd_sizes_are_padded_and_reported(tmp_path: Path) -> None:
    odd = StreamInfo(height=71, width=95, time_base=Fraction(1, 25))
    writer = start(tmp_path / "out.mp4", odd)
    assert "96x72" in writer.notes[0]
    writer.write(numbered_chunk(range(3), odd))
    frame, _ = first_frame(Path(writer.finish()))
    assert (frame.height, frame.width) == (72, 96)


@pytest.mark.parametrize(
    ("encoder", "suffix", "arguments"),
    [
        ("libx264", "mp4", ("-pix_fmt", "yuv444p")),
        ("libvpx-vp9", "webm", ("-deadline", "realtime")),
        ("ffv1", "mkv", ()),
    ],
)
def test_odd_sizes_stay_odd_where_they_can(
    tmp_path: Path, encoder: str, suffix: str, arguments: tuple[str, ...]
) -> None:
    odd = {"height": 71, "width": 95}
    target = tmp_path / f"out.{suffix}"
    path = encode(target, changes=odd, encoder=encoder, encode_args=arguments)
    frame, _ = first_frame(path)
    assert (frame.height, frame.width) == (71, 95)


@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [
        ("libx265", "mkv"),
        ("prores_ks", "mov"),
        ("libsvtav1", "mp4"),
        ("png", "mkv"),
        ("mjpeg", "avi"),
    ],
)
def test_other_encoders_take_the_frames(tmp_path: Path, encoder: str, suffix: str) -> None:
    size = {"height": 96, "width": 128}
    path = encode(tmp_path / f"out.{suffix}", changes=size, encoder=encoder)
    with open_reader(str(path)) as reader:
        assert [n for c in reader.chunks(8) for n in read_numbers(c.frames)] == list(range(5))


def test_arguments_override_the_defaults(tmp_path: Path) -> None:
    rough = encode(tmp_path / "rough.mp4", 20, encode_args=("-crf", "50", *FAST))
    fine = encode(tmp_path / "fine.mp4", 20, encode_args=("-crf", "1", *FAST))
    assert rough.stat().st_size < fine.stat().st_size


@pytest.mark.parametrize("words", [("-qp", "0"), ("-crf", "0")])
def test_a_quality_of_another_kind_takes_the_place_of_the_usual_one(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    usual = encode(tmp_path / "usual.mp4", 20)
    asked = encode(tmp_path / "asked.mp4", 20, encode_args=words)
    assert asked.stat().st_size > 1.2 * usual.stat().st_size
    assert not {"crf", "b:v"} & default_options("libx264", {"b:v": "2M"}).keys()


def test_the_encoder_may_be_named_in_the_arguments(tmp_path: Path) -> None:
    path = encode(tmp_path / "named.mkv", encode_args=("-c:v", "ffv1"))
    assert first_frame(path)[1].name == "ffv1"


def test_the_users_filters_are_kept(tmp_path: Path) -> None:
    wide = {"sample_aspect_ratio": Fraction(4, 3)}
    path = encode(tmp_path / "out.mp4", changes=wide, encode_args=("-vf", "hflip,vflip"))
    with open_reader(str(path)) as reader:
        turned = next(reader.chunks(5)).frames.flip(2, 3)
        assert reader.info.sample_aspect_ratio == Fraction(4, 3)
    assert read_numbers(turned) == list(range(5))
