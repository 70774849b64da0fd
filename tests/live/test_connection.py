"""One connection by itself: what arrives of a source."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.live.harness import asked, look, running
from tests.media import read_numbers
from tests.streams.oddities import write_interlaced
from vsr.errors import VSRError
from vsr.live.connection import Arrival, Connection
from vsr.streams.ffmpeg import find_ffmpeg
from vsr.streams.video_reader import VideoReader
from vsr.types import Chunk

FLV_HEADER = 13
"""Bytes before the first tag."""


def chunks(source: Path, **options: str) -> Iterator[Chunk]:
    """The frames of a file, as fast as they can be read."""
    connection = Connection(str(source), options=options)
    connection.interrupt()
    for event in connection.arrivals():
        if isinstance(event, Arrival) and event.chunk is not None:
            yield event.chunk
    connection.close()


def numbers(source: Path, **options: str) -> list[int]:
    return [read_numbers(chunk.frames)[0] for chunk in chunks(source, **options)]


def test_sound_that_appears_behind_what_was_probed_is_no_failure(
    clip: Path, tmp_path: Path
) -> None:
    parts = {"silent.flv": ["-an"], "both.flv": ["-output_ts_offset", "2"]}
    for name, words in parts.items():
        command = [find_ffmpeg(), "-loglevel", "error", "-i", str(clip), "-c", "copy", *words]
        subprocess.run([*command, str(tmp_path / name)], check=True)
    silent, both = ((tmp_path / name).read_bytes() for name in parts)
    source = tmp_path / "source.flv"
    source.write_bytes(silent + both[FLV_HEADER:])
    assert numbers(source, analyzeduration="500000") == 2 * list(range(50))


def test_interlaced_frames_come_out_progressive_as_a_file_read_at_once_has_them(
    tmp_path: Path,
) -> None:
    source = write_interlaced(tmp_path / "fields.ts", num_frames=30)
    with VideoReader(str(source)) as reader:
        expected = list(reader.chunks(1))
    arrived = list(chunks(source))
    assert [chunk.pts for chunk in arrived] == [chunk.pts for chunk in expected]
    for found, wanted in zip(arrived, expected, strict=True):
        assert torch.equal(found.frames, wanted.frames)


def test_what_deinterlacing_holds_back_counts_as_latency(tmp_path: Path) -> None:
    source, copy = write_interlaced(tmp_path / "fields.mp4", num_frames=20), tmp_path / "copy.mkv"
    with running(asked(source, copy)) as stream:
        stream.wait()
    assert len(look(copy).times) == 20
    assert ", deinterlaced; chunk 2, look-ahead 0" in stream.said[0]
    assert "(waiting 80," in stream.said[0]


def test_whatever_ends_the_reading_thread_ends_the_stream(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr("vsr.live.connection.read_frame", broken)
    with (
        pytest.raises(VSRError, match="nobody thought of this"),
        running(asked(clip, tmp_path / "out.mkv")) as stream,
    ):
        stream.wait()
