"""Seeking to the first wanted frame."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from typing import NamedTuple

from av import VideoFrame
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags
from av.video.stream import VideoStream

from vsr.streams.decode.demuxer import Demuxer, StampedFrame
from vsr.streams.decode.probe import copied_streams, frame_rate, origin, time_base
from vsr.streams.decode.timestamps import Timestamps
from vsr.streams.names.trim import Trim

SEEK_MARGINS_S = (1, 10, 60)
"""Distance before the start to seek to: audio may lie in a file before the video of its time, and
where an index misleads the seek lands too late and is repeated further back."""


class SeekResult(NamedTuple):
    """A demuxer, its first wanted frame (None if there is none), and the frames that follow."""

    demuxer: Demuxer
    first: StampedFrame | None
    rest: Iterator[StampedFrame]


def seek_first_frame(
    container: InputContainer, stream: VideoStream, trim: Trim, foreign: Collection[int] = ()
) -> SeekResult:
    """Decode up to the first wanted frame.

    Raises:
        DecodeError: Nothing could be decoded.
        StreamTimeout: An address that sends nothing.
    """
    for margin in SEEK_MARGINS_S:
        earliest = _seek(container, stream, trim, margin)
        beginning = _read_first(container, stream, trim, foreign)
        if earliest or not _began_late(beginning.demuxer, trim):
            return beginning
    _seek_to(container, stream, origin(stream))
    return _read_first(container, stream, trim, foreign)


def _read_first(
    container: InputContainer, stream: VideoStream, trim: Trim, foreign: Collection[int]
) -> SeekResult:
    timestamps = Timestamps[VideoFrame](time_base(stream), frame_rate(stream))
    demuxer = Demuxer(container, stream, copied_streams(container, foreign), trim, timestamps)
    frames = demuxer.frames()
    return SeekResult(demuxer, next(frames, None), frames)


def _began_late(demuxer: Demuxer, trim: Trim) -> bool:
    return demuxer.began is None or not (
        trim.is_early(demuxer.began) or demuxer.began == trim.start
    )


def _seek(container: InputContainer, stream: VideoStream, trim: Trim, margin: int) -> bool:
    """Go before the start; True if there is nothing earlier to try."""
    if trim.start is None or Flags.no_timestamps in Flags(container.format.flags):
        return True  # raw bitstreams: what is counted from the seek on would pass for times
    target = max(trim.start - margin, origin(stream))
    if target == origin(stream) and margin == SEEK_MARGINS_S[0]:
        return True
    return not _seek_to(container, stream, target) or target == origin(stream)


def _seek_to(container: InputContainer, stream: VideoStream, time: Fraction) -> bool:
    try:
        container.seek(int(time / time_base(stream)), stream=stream)
    except FFmpegError:
        # What cannot be sought in is read from the beginning.
        return False
    return True
