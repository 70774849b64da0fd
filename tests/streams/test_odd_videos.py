"""Reading videos that are cut off, damaged, interlaced or changing, and the notes about them."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.media import Clip, read_number, read_numbers, write_clip
from tests.streams.oddities import damage, write_interlaced, write_song
from tests.streams.rich_media import run_ffmpeg
from vsr.errors import DecodeError, OpenError
from vsr.streams import open_reader
from vsr.streams.decode.video_reader import VideoReader
from vsr.types import Passed


@pytest.mark.parametrize("suffix", ["mkv", "flv", "avi"])
def test_a_file_cut_off_gives_what_is_there_and_then_an_error(tmp_path: Path, suffix: str) -> None:
    codec = "mpeg4" if suffix == "avi" else "libx264"
    rate = Fraction(1, 25) if suffix == "avi" else Fraction(1, 12800)
    clip = Clip(num_frames=100, codec=codec, time_base=rate, options={"g": "10"})
    whole = write_clip(tmp_path / f"whole.{suffix}", clip).read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole[: len(whole) // 2])
    seen: list[int] = []
    with VideoReader(str(cut)) as reader:
        with pytest.raises(DecodeError, match="cut off"):
            seen.extend(n for chunk in reader.chunks(1) for n in [read_number(chunk.frames[0])])
        assert reader.ended_early
    assert 20 < len(seen) < 80
    assert seen[:-1] == list(range(len(seen) - 1))


def test_damaged_packets_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", Clip(num_frames=60))
    broken = damage(path, tmp_path / "broken.mkv", {33, 34})
    with VideoReader(str(broken)) as reader:
        chunks = list(reader.chunks(4))
        assert reader.corrupt_frames == 2
    numbers = [n for chunk in chunks for n in read_numbers(chunk.frames)]
    pts = [time for chunk in chunks for time in chunk.pts]
    assert pts == sorted(set(pts))
    assert numbers[:33] == list(range(33))
    assert numbers[-20:] == list(range(40, 60))


def test_a_stream_of_nothing_but_damage_is_given_up(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", Clip(num_frames=256, height=48, width=64))
    broken = damage(path, tmp_path / "broken.mkv", range(2, 256))
    with VideoReader(str(broken)) as reader, pytest.raises(DecodeError, match="do not decode"):
        list(reader.chunks(8))


def test_a_change_of_size_is_scaled_and_marked_as_a_scene(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "a.h264", Clip(num_frames=6))
    large = write_clip(tmp_path / "b.h264", Clip(num_frames=6, height=144, width=192))
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoReader(str(joined)) as reader:
        chunks = list(reader.chunks(4))
        assert reader.size_changes == 1
    with VideoReader(str(joined), passed=Passed(frames=8)) as reader:
        assert sum(map(len, reader.chunks(4))) == 4
        assert reader.size_changes == 1
    assert [n for chunk in chunks for n in read_numbers(chunk.frames)] == [*range(6), *range(6)]
    assert [chunk.frames.shape[2:] for chunk in chunks] == [chunks[0].frames.shape[2:]] * 3
    assert [chunk.scene_starts for chunk in chunks] == [frozenset(), frozenset({2}), frozenset()]


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    picture = Clip(num_frames=1, codec="mjpeg", pixel_format="yuvj420p", options={})
    song = write_song(tmp_path / "song.mp3", write_clip(tmp_path / "cover.jpg", picture))
    with pytest.raises(OpenError, match="no video stream"):
        open_reader(str(song))


def combing(frames: torch.Tensor) -> float:
    """How much neighbouring lines of an upright pattern differ."""
    return float((frames[:, :, 1:] - frames[:, :, :-1]).abs().mean())


@pytest.mark.parametrize("suffix", ["mp4", "h264"])
def test_interlaced_frames_come_out_progressive_with_their_times(
    tmp_path: Path, suffix: str
) -> None:
    path = write_interlaced(tmp_path / f"fields.{suffix}", num_frames=12)
    with VideoReader(str(path)) as reader, VideoReader(str(path), deinterlace="off") as raw:
        chunks, raw_chunks = list(reader.chunks(5)), list(raw.chunks(5))
    assert [chunk.pts for chunk in chunks] == [chunk.pts for chunk in raw_chunks]
    assert combing(chunks[1].frames) < combing(raw_chunks[1].frames) / 5


def test_digital_cinema_has_the_colours_it_was_made_of(tmp_path: Path) -> None:
    run_ffmpeg(
        tmp_path,
        "-f lavfi -i color=0x306090:size=1280x720:duration=0.04 -pix_fmt xyz12le"
        " -c:v libopenjpeg made.mxf",
    )
    # The encoder does not say that it is a profile of cinema, which is how decoders know of XYZ.
    start_of_header = bytes.fromhex("ff4fff51002f")
    made = (tmp_path / "made.mxf").read_bytes()
    path = tmp_path / "cinema.mxf"
    path.write_bytes(made.replace(start_of_header + b"\0\0", start_of_header + b"\0\3"))
    with open_reader(path) as reader:
        pixel = next(reader.chunks(1)).frames[0, :, 360, 640]
    torch.testing.assert_close(pixel, torch.tensor([48, 96, 144]) / 255, rtol=0, atol=0.02)
