"""Read, written without loss, read again: what came is what left."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import Clip, write_clip
from tests.streams.encoding import first_frame, transcode
from tests.streams.rich_media import run_ffmpeg
from vsr.streams import open_reader
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.types import Mastering

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"]
FORMATS += ["yuv420p12le", "yuv444p12le", "gray", "bgr0", "gbrp10le"]


def samples(path: Path) -> list[str]:
    """A hash of every frame's samples."""
    command = [
        find_ffmpeg(),
        "-v",
        "error",
        "-i",
        str(path),
        "-map",
        "0:v:0",
        "-f",
        "framemd5",
        "-",
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split(",")[-1].strip() for line in said.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_lossless_encoder_returns_every_sample(tmp_path: Path, pixel_format: str) -> None:
    """Noise and test patterns: any colour, in gamut or not, with chroma as sharp as can be."""
    picture = "-f lavfi -i testsrc2=size=95x71:rate=5:duration=1,noise=alls=60:allf=t"
    run_ffmpeg(tmp_path, f"{picture} -c:v ffv1 -pix_fmt {pixel_format} in.mkv")
    transcode(tmp_path / "in.mkv", tmp_path / "out.mkv", encoder="ffv1")
    assert first_frame(tmp_path / "out.mkv")[0].format.name == pixel_format
    assert samples(tmp_path / "out.mkv") == samples(tmp_path / "in.mkv")


@pytest.mark.parametrize("location", ["left", "center", "topleft"])
@pytest.mark.parametrize("tags", ["-colorspace bt709", "-colorspace bt2020nc -color_range pc"])
def test_every_siting_and_range_comes_back(tmp_path: Path, location: str, tags: str) -> None:
    picture = "-f lavfi -i testsrc2=size=96x72:rate=5:duration=1"
    words = f"{picture} -c:v libx264 -qp 0 -pix_fmt yuv420p {tags}"
    run_ffmpeg(tmp_path, f"{words} -chroma_sample_location {location} in.mp4")
    transcode(tmp_path / "in.mp4", tmp_path / "out.mp4", encode_args=("-qp", "0"))
    assert samples(tmp_path / "out.mp4") == samples(tmp_path / "in.mp4")


@pytest.mark.parametrize("location", ["left", "center", "topleft", "bottom"])
def test_the_siting_of_chroma_is_read_and_kept(tmp_path: Path, location: str) -> None:
    words = "-f lavfi -i testsrc2=size=96x72:rate=5:duration=1 -c:v libx264 -pix_fmt yuv420p"
    run_ffmpeg(tmp_path, f"{words} -vf setparams=chroma_location={location} in.mp4")
    transcode(tmp_path / "in.mp4", tmp_path / "out.mp4")
    for name in ("in.mp4", "out.mp4"):
        with open_reader(str(tmp_path / name)) as reader:
            assert reader.info.colour.chroma_location == location


PQ = {"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1}
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [("libx264", "mp4"), ("libx265", "mkv"), ("libsvtav1", "mp4"), ("ffv1", "mkv")],
)
def test_hdr10_keeps_its_depth_its_curve_and_its_metadata(
    tmp_path: Path, encoder: str, suffix: str
) -> None:
    write_clip(tmp_path / "raw.mkv", Clip(num_frames=5, pixel_format="yuv420p10le", colour=PQ))
    words = f"-mastering_display {DISPLAY} -content_light 1000,400 -i raw.mkv -c:v libx265"
    run_ffmpeg(tmp_path, f"{words} -preset ultrafast -x265-params log-level=error in.mkv")
    target = tmp_path / f"out.{suffix}"
    transcode(tmp_path / "in.mkv", target, encoder=encoder)
    with open_reader(str(tmp_path / "in.mkv")) as one, open_reader(str(target)) as other:
        assert one.info.mastering == graded()
        assert nearly(other.info.mastering) == nearly(graded())
        assert other.info.bit_depth == 10
        assert (other.info.colour.matrix, other.info.colour.transfer) == ("bt2020nc", "smpte2084")
        assert other.info.colour.chroma_location == one.info.colour.chroma_location


def nearly(mastering: Mastering) -> tuple[list[float], list[float], tuple[int, ...]]:
    """Rounded: AV1 stores binary fractions."""
    chromaticities = [round(float(value), 4) for value in mastering.chromaticities]
    return chromaticities, [round(float(v), 3) for v in mastering.luminance], mastering.light_levels


def graded() -> Mastering:
    x_and_y = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)
    return Mastering(
        chromaticities=tuple(Fraction(value, 50_000) for value in x_and_y),
        luminance=(Fraction(1, 200), Fraction(1000)),
        light_levels=(1000, 400),
    )


def test_hlg_keeps_its_depth_and_its_curve(tmp_path: Path) -> None:
    clip = Clip(num_frames=5, pixel_format="yuv420p10le", colour=PQ | {"color_trc": 18})
    transcode(write_clip(tmp_path / "in.mp4", clip), tmp_path / "out.mp4")
    frame, _ = first_frame(tmp_path / "out.mp4")
    assert (frame.format.name, frame.color_trc, frame.colorspace) == ("yuv420p10le", 18, 9)


def test_a_file_that_changes_is_asked_again_where_its_chroma_lies(tmp_path: Path) -> None:
    words = "-f lavfi -i testsrc2=size=96x72:rate=5:duration=1 -c:v libx264 -pix_fmt yuv420p"
    for location in ("topleft", "center"):
        run_ffmpeg(tmp_path, f"{words} -vf setparams=chroma_location={location} in.mp4")
        with open_reader(str(tmp_path / "in.mp4")) as reader:
            assert reader.info.colour.chroma_location == location
