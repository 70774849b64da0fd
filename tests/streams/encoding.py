"""Encoding for tests: a file read and written again, or numbered frames written."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av import VideoFrame
from av.video.codeccontext import VideoCodecContext

from tests.media import HEIGHT, WIDTH, numbered_frames
from vsr.streams import open_reader, open_writer
from vsr.streams.names.container import open_input
from vsr.types import Chunk, StreamInfo, Writer

FAST = ("-preset", "ultrafast")
INFO = StreamInfo(height=HEIGHT, width=WIDTH, time_base=Fraction(1, 25), frame_rate=Fraction(25))


def transcode(source: Path, target: Path, **options: Any) -> Writer:
    """Read a file and write it again at its own size, sound included.

    With ``read_once`` as from a pipe, which the encoder cannot read a second time.
    """
    reading: dict[str, Any] = {k: options[k] for k in ("start_s", "end_s") if k in options}
    reading["keep_start"] = options.pop("keep_start", False)
    with open_reader(str(source), headroom=True, **reading) as reader:
        options |= {"height": reader.info.height, "width": reader.info.width}
        named = None if options.pop("read_once", False) else str(source)
        writer = open_writer(str(target), reader.info, source=named, **options)
        for chunk in reader.chunks(8):
            writer.write_packets(reader.take_packets())
            writer.write(chunk)
        writer.write_packets(reader.take_packets())
        assert writer.finish() == str(target)
    return writer


def numbered_chunk(numbers: range, info: StreamInfo = INFO) -> Chunk:
    """Consecutive numbered frames whose pts are their numbers."""
    frames = numbered_frames(numbers, info.height, info.width)
    return Chunk(frames=frames, pts=tuple(numbers), time_base=info.time_base)


def start(target: Path, info: StreamInfo = INFO, **options: Any) -> Writer:
    """Open a writer for frames of the size that ``info`` says."""
    options |= {"height": info.height, "width": info.width}
    return open_writer(str(target), info, **options)


def encode(target: Path, num_frames: int = 5, *, changes: Any = None, **options: Any) -> Path:
    """Write numbered frames of a source that is as usual but for ``changes``."""
    info = replace(INFO, **(changes or {}))
    writer = start(target, info, **options)
    writer.write(numbered_chunk(range(num_frames), info))
    return Path(writer.finish())


def first_frame(path: Path) -> tuple[VideoFrame, VideoCodecContext]:
    """A file's first frame, and the decoder that made it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return next(container.decode(stream)), stream.codec_context


def frame_seconds(path: Path) -> list[Fraction]:
    """The time of every frame."""
    with open_input(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        return [(frame.pts or 0) * stream.time_base for frame in container.decode(stream)]
