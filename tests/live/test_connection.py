"""One connection by itself: what arrives of a source."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.media import read_numbers
from vsr.live.connection import Arrival, Connection
from vsr.streams.ffmpeg import find_ffmpeg
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
