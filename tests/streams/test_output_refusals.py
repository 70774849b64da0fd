"""Impossible outputs are refused before any work; later failures are reported in one line."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.media import numbered_frames, write_clip, write_images
from tests.streams.encoding import INFO, numbered_chunk, start, transcode
from vsr.errors import ConfigurationError, EncodeError, OpenError
from vsr.streams.encode.ffmpeg_writer import FFmpegWriter
from vsr.types import Chunk


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"encoder": "libnothing"}, "no video encoder 'libnothing'"),
        ({"encoder": "aac"}, "no video encoder 'aac'"),
        ({"encode_args": ("-crf", "many")}, "crf"),
        ({"encode_args": ("-preset", "sluggish")}, "preset"),
        ({"encode_args": ("-nonsense", "1")}, "nonsense"),
        ({"encode_args": ("crf", "18")}, "follows no option"),
        ({"encoder": "prores_ks"}, "prores"),
        ({"encode_args": ("-t", "5")}, "-t in the .* give --end instead"),
        ({"encode_args": ("-frames:v", "10")}, "-frames:v in the .* give --end instead"),
        ({"encode_args": ("-fs", "20000")}, "-fs in the .* give --end instead"),
    ],
)
def test_arguments_the_encoder_refuses_fail_before_any_work(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        start(tmp_path / "out.mp4", **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("out.m3u8", (), "playlist .* give a file such as 'out.mp4'"),
        ("out.mpd", (), "playlist"),
        ("out.ts", ("-f", "segment"), "playlist"),
        ("one.png", (), r"one picture; give a folder such as 'one/', or .* 'one_%06d.png'"),
        ("one.jpg", (), "one picture"),
    ],
)
def test_outputs_of_several_files_are_refused(
    tmp_path: Path, name: str, arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        start(tmp_path / name, replace(INFO, num_frames=20), encode_args=arguments)
    assert list(tmp_path.iterdir()) == []


def test_one_frame_is_one_picture(tmp_path: Path) -> None:
    write_images(tmp_path / "in", num_frames=1)
    transcode(tmp_path / "in" / "1.png", tmp_path / "out.png")
    assert (tmp_path / "out.png").is_file()


def test_an_unknown_container_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.xyz"):
        start(tmp_path / "out.xyz")


def test_the_source_is_no_target(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    before = source.read_bytes()
    with pytest.raises(OpenError, match="source itself"):
        start(source, source=str(source), overwrite=True)
    assert source.read_bytes() == before


def test_an_output_without_frames_is_an_error(tmp_path: Path) -> None:
    writer = start(tmp_path / "out.mp4")
    with pytest.raises(EncodeError, match="no frame was written"):
        writer.finish()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[FFmpegWriter]:
    """A writer whose ffmpeg has been killed behind its back."""
    writer = start(tmp_path / "out.mp4")
    assert isinstance(writer, FFmpegWriter)
    os.kill(writer.pid, signal.SIGKILL)
    yield writer
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_dies_is_an_error_in_one_line(doomed: FFmpegWriter) -> None:
    with pytest.raises(EncodeError, match="ffmpeg") as caught:
        write_without_end(doomed)
    assert "\n" not in str(caught.value)


def write_without_end(writer: FFmpegWriter) -> None:
    frames = numbered_frames(range(8))
    for first in range(0, 80_000, 8):
        pts = tuple(range(first, first + 8))
        writer.write(Chunk(frames=frames, pts=pts, time_base=INFO.time_base))


def test_an_encoder_that_died_at_the_end_is_an_error(doomed: FFmpegWriter) -> None:
    with pytest.raises(EncodeError, match="ffmpeg"):
        finish_after_one_chunk(doomed)


def finish_after_one_chunk(writer: FFmpegWriter) -> None:
    writer.write(numbered_chunk(range(2)))
    writer.finish()


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    writer = start(tmp_path / "out.mp4")
    small = Chunk(frames=numbered_frames([0], 48, 48), pts=(0,), time_base=INFO.time_base)
    with pytest.raises(EncodeError, match="announced"):
        writer.write(small)
    writer.abort()
