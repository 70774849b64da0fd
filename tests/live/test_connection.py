"""One connection by itself: what arrives of a source."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.live.harness import asked, ffmpeg, free_port, look, running
from tests.media import read_numbers
from tests.streams.oddities import write_interlaced
from vsr.errors import StreamTimeout, VSRError
from vsr.live.input.connection import Arrival, Connection
from vsr.live.input.relay import Relay
from vsr.streams.decode.video_reader import VideoReader
from vsr.streams.ffmpeg.process import find_ffmpeg
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


def test_frames_held_back_by_deinterlacing_count_as_latency(tmp_path: Path) -> None:
    source, copy = write_interlaced(tmp_path / "fields.mp4", num_frames=20), tmp_path / "copy.mkv"
    with running(asked(source, copy)) as stream:
        stream.wait()
    assert len(look(copy).times) == 20
    assert ", deinterlaced; chunk 2, look-ahead 0" in stream.said[0]
    assert "(waiting 80," in stream.said[0]


def test_a_picture_that_ends_while_sound_continues_ends_the_connection(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsr.live.input.connection.PICTURE_TIMEOUT_S", 1.0)
    address = f"udp://127.0.0.1:{free_port()}"
    words = ["-re", "-f", "lavfi", "-i", "sine", "-map", "0:v", "-map", "1", "-c:v", "copy"]
    words += ["-max_interleave_delta", "100000", "-f", "mpegts", address]
    with ffmpeg("-re", "-i", clip, *words):
        connection = Connection(address)
        with pytest.raises(StreamTimeout, match="sent sound but no picture for 1 s"):
            deque(connection.arrivals(), maxlen=0)
        connection.close()


def test_relayed_bytes_are_unchanged(clip: Path, tmp_path: Path) -> None:
    """Where a publisher restarts, times go back: the relay may not change them."""
    parts = []
    for offset in ("50", "20"):
        part = tmp_path / f"{offset}.ts"
        command = [find_ffmpeg(), "-loglevel", "error", "-i", str(clip), "-c", "copy"]
        subprocess.run([*command, "-output_ts_offset", offset, str(part)], check=True)
        parts.append(part.read_bytes())
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(parts))
    relay = Relay(str(both))
    assert b"".join(iter(lambda: relay.file.read(2**16), b"")) == b"".join(parts)
    relay.close()


def test_any_failure_of_the_reading_thread_ends_the_stream(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr("vsr.live.input.connection.read_frame", broken)
    with (
        pytest.raises(VSRError, match="nobody thought of this"),
        running(asked(clip, tmp_path / "out.mkv")) as stream,
    ):
        stream.wait()


def with_aspect(clip: Path, target: Path, aspect: str, offset_s: int = 0) -> Path:
    """A clip whose pixels are said to have another aspect ratio."""
    command = [find_ffmpeg(), "-loglevel", "error", "-i", str(clip), "-c", "copy", "-an"]
    command += ["-bsf:v", f"h264_metadata=sample_aspect_ratio={aspect}"]
    subprocess.run([*command, "-output_ts_offset", str(offset_s), str(target)], check=True)
    return target


@pytest.mark.parametrize("first", ["1/1", "2/1"])
def test_a_picture_keeps_its_shape_where_the_aspect_of_its_pixels_changes(
    first: str, clip: Path, tmp_path: Path
) -> None:
    second = "2/1" if first == "1/1" else "1/1"
    parts = [
        with_aspect(clip, tmp_path / f"{n}.ts", one, 2 * n) for n, one in enumerate((first, second))
    ]
    both, copy = tmp_path / "both.ts", tmp_path / "copy.mkv"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with running(asked(both, copy)) as stream:
        stream.wait()
    bars = [black_bars(pixels) for pixels in pictures(copy)]
    assert bars[0] == (0, 0)
    # Twice as wide to be seen, it has half the rows of the output; or half the columns.
    rows, columns = bars[-1]
    assert (rows, columns) == pytest.approx((72, 0) if first == "1/1" else (0, 96), abs=4)


def pictures(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="gray")


def black_bars(pixels: np.ndarray) -> tuple[int, int]:
    """Rows and columns in which everything is black."""
    bright = pixels > 25
    return int((~bright.any(1)).sum()), int((~bright.any(0)).sum())
