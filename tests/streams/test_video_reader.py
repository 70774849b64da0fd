"""Reading a video file keeps time, orientation, depth, sound, and all undamaged frames."""

import logging
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import (
    Clip,
    audio_packets,
    fingerprint,
    read_numbers,
    write_clip,
)
from vsr.streams import open_reader
from vsr.streams.decode.video_reader import VideoReader
from vsr.types import Chunk

UNEVEN = (0, 512, 700, 2048, 2049, 4000, 9000, 9001, 12800, 20000)


def read(reader: VideoReader) -> tuple[list[int], list[int]]:
    """Numbers and pts of all frames."""
    chunks: list[Chunk] = list(reader.chunks(4))
    numbers = [n for chunk in chunks for n in read_numbers(chunk.frames)]
    return numbers, [pts for chunk in chunks for pts in chunk.pts]


def test_uneven_times_are_the_sources_own(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "vfr.mp4", Clip(num_frames=10, pts=UNEVEN))
    with VideoReader(str(path)) as reader:
        numbers, pts = read(reader)
        assert reader.info.time_base == Fraction(1, 12800)
    assert (numbers, tuple(pts)) == (list(range(10)), UNEVEN)


def test_reordered_frames_come_in_the_order_they_are_shown(tmp_path: Path) -> None:
    options = {"preset": "medium", "bf": "3", "b-pyramid": "normal", "g": "30"}
    path = write_clip(tmp_path / "b.mp4", Clip(num_frames=30, options=options))
    with VideoReader(str(path)) as reader:
        numbers, pts = read(reader)
    assert numbers == list(range(30))
    assert pts == [512 * i for i in range(30)]


def test_a_late_start_survives(tmp_path: Path) -> None:
    clip = Clip(num_frames=8, first_pts=12800 * 7)
    with VideoReader(str(write_clip(tmp_path / "late.mp4", clip))) as reader:
        _, pts = read(reader)
        assert reader.info.start_pts == pts[0] == 12800 * 7
    assert tuple(pts) == clip.times


def test_a_trim_counts_from_a_late_start(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "late.mp4", Clip(num_frames=20, first_pts=12800 * 7))
    with VideoReader(str(path), start_s=0.4) as reader:
        numbers, pts = read(reader)
    assert numbers == list(range(10, 20))
    assert pts[0] == 12800 * 7 + 512 * 10


def test_a_trim_far_from_a_key_frame_is_exact(tmp_path: Path) -> None:
    options = {"preset": "medium", "bf": "3", "g": "500"}
    path = write_clip(tmp_path / "long.mp4", Clip(num_frames=120, options=options, audio="aac"))
    with VideoReader(str(path), start_s=3.0, end_s=3.48) as reader:
        numbers, _ = read(reader)
        sound = [fingerprint(packet)[0] for packet in reader.take_packets()]
    assert numbers == list(range(75, 87))
    assert Fraction(3) <= min(sound)
    assert max(sound) < Fraction(348, 100)
    assert sound == [t for t, _ in audio_packets(path) if 3 <= t < Fraction(348, 100)]


def test_missing_times_are_made_from_the_frame_rate(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "raw.h264", Clip(num_frames=12))
    with VideoReader(str(path)) as reader:
        numbers, pts = read(reader)
        seconds = [p * reader.info.time_base for p in pts]
    assert numbers == list(range(12))
    assert seconds == [Fraction(i, 25) for i in range(12)]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotated_frames_come_upright(tmp_path: Path, degrees: int) -> None:
    clip = Clip(num_frames=6, height=64, width=96, rotation=degrees, aspect=Fraction(4, 3))
    with VideoReader(str(write_clip(tmp_path / "turned.mp4", clip))) as reader:
        numbers, _ = read(reader)
        info = reader.info
    turned = degrees in {90, 270}
    assert numbers == list(range(6))
    assert info.rotation == degrees
    assert (info.height, info.width) == ((96, 64) if turned else (64, 96))
    assert info.sample_aspect_ratio == (Fraction(3, 4) if turned else Fraction(4, 3))


@pytest.mark.parametrize(
    ("pixel_format", "bits"),
    [("yuv420p", 8), ("yuv422p", 8), ("yuv444p", 8), ("yuv420p10le", 10), ("yuv444p10le", 10)],
)
def test_every_sampling_and_depth_is_read(tmp_path: Path, pixel_format: str, bits: int) -> None:
    clip = Clip(num_frames=5, pixel_format=pixel_format)
    with VideoReader(str(write_clip(tmp_path / "clip.mkv", clip))) as reader:
        numbers, _ = read(reader)
        assert reader.info.bit_depth == bits
        assert reader.info.pixel_format == pixel_format
    assert numbers == list(range(5))


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [
        ("ffv1", "bgr0"),
        ("ffv1", "gbrp10le"),
        ("ffv1", "gray"),
        ("mjpeg", "yuvj420p"),
        ("png", "rgb24"),
        ("rawvideo", "nv12"),
        ("rawvideo", "yuyv422"),
    ],
)
def test_unusual_pixel_formats_are_read(tmp_path: Path, codec: str, pixel_format: str) -> None:
    clip = Clip(num_frames=5, codec=codec, pixel_format=pixel_format, options={})
    with VideoReader(str(write_clip(tmp_path / "clip.nut", clip))) as reader:
        assert read(reader)[0] == list(range(5))


def test_odd_sizes_are_read(tmp_path: Path) -> None:
    clip = Clip(
        num_frames=5, height=71, width=95, codec="libvpx-vp9", options={"deadline": "realtime"}
    )
    with VideoReader(str(write_clip(tmp_path / "odd.webm", clip))) as reader:
        assert (reader.info.height, reader.info.width) == (71, 95)
        assert read(reader)[0] == list(range(5))


def test_colour_tags_are_the_sources(tmp_path: Path) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1}
    clip = Clip(num_frames=3, pixel_format="yuv420p10le", colour=tags)
    with VideoReader(str(write_clip(tmp_path / "hdr.mp4", clip))) as reader:
        colour = reader.info.colour
    assert (colour.matrix, colour.primaries) == ("bt2020nc", "bt2020")
    assert (colour.transfer, colour.range) == ("smpte2084", "tv")
    assert reader.notes == ()


def test_a_matrix_that_players_guess_too_is_reported_to_those_who_ask_for_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with VideoReader(str(write_clip(tmp_path / "clip.mp4", Clip(num_frames=3)))) as reader:
        assert reader.info.colour.matrix is None
        assert reader.notes == ()
    said = [record for record in caplog.records if "smpte170m" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.INFO]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_packets_are_the_files_own(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", Clip(num_frames=30, audio="aac"))
    with VideoReader(str(path)) as reader:
        packets = [p for _ in reader.chunks(7) for p in reader.take_packets()]
        packets += reader.take_packets()
        assert [fingerprint(packet) for packet in packets] == audio_packets(path)
        assert [other.kind for other in reader.info.others] == ["audio"]
        assert reader.info.others[0].language == "fra"


def test_closing_from_another_thread_ends_the_reading_quietly(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=100))
    reader = VideoReader(str(path))
    chunks = reader.chunks(1)
    next(chunks)
    closer = threading.Thread(target=reader.close)
    closer.start()
    rest = list(chunks)
    closer.join()
    assert len(rest) < 100


def test_a_bitstream_without_times_is_trimmed_to_the_frame(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "raw.h264", Clip(num_frames=90, options={"g": "12"}))
    with VideoReader(str(path), start_s=2.4, end_s=2.8) as reader:
        assert read_numbers(next(reader.chunks(20)).frames) == list(range(60, 70))


def test_times_and_rates_are_fractions_whatever_pyav_has_them_as(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "clip.mp4", Clip(num_frames=3))
    with open_reader(str(source)) as reader:
        info = reader.info
        chunk = next(iter(reader.chunks(3)))
    kinds = {type(value) for value in (info.frame_rate, info.time_base, chunk.time_base)}
    assert kinds == {Fraction}
    assert str(info.frame_rate) == "25"
