"""Joining the segments of one encoding by their bytes.

NUT allows headers in the middle of a file, and times restart behind each: segments one after the
other are a NUT file again, which ffmpeg reads from a pipe and copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from av.error import FFmpegError

from vsr.streams.encode.command import Output, build_command
from vsr.streams.encode.raw_nut import RawLayout
from vsr.streams.encode.segments.remux import pieces_with_messages
from vsr.streams.ffmpeg.process import FFmpegProcess
from vsr.streams.names.container import local_name, open_input, reason
from vsr.streams.names.durable import LostError

_ID = b"nut/multimedia container\0"
"""Beginning of a NUT file; packets of headers follow, each with a start code of 8 bytes."""

_MAIN, _STREAM = b"NM\x7a\x56\x1f\x5f\x04\xad", b"NS\x11\x40\x5b\xf2\xf9\xdb"
_SYNCPOINT = b"NK\xe4\xad\xee\xca\x45\x69"
_LARGE = 4096
"""Bytes of a packet from which on its size has a checksum, of 4 bytes, of its own."""

_MOST_HEADERS = 1 << 20
_PIECE_BYTES = 1 << 20
_ANEW = "start again with --overwrite"


def join(
    segments: Sequence[Path],
    output: Output,
    layout: RawLayout,
    *,
    sound: Path | None = None,
    partial: bool = False,
    carrier: str | None = None,
) -> None:
    """Join segments, and add the other streams that ffmpeg takes from the source.

    Args:
        segments: NUT files of one encoding, in order.
        output: What to make; it copies the video.
        layout: Layout of the raw streams that the segments were made of.
        sound: A NUT file of the copied packets; None where the segments hold them.
        partial: Cut the source's streams to the length of the segments.
        carrier: Codec of the segments, into whose packets the source's messages go; None for none.

    Raises:
        LostError: A segment is damaged or of another encoding.
        EncodeError: ffmpeg failed.
        StreamTimeout: ffmpeg makes no progress any more.
    """
    source = output.source
    pieces = _pieces(segments)
    if carrier is not None and source is not None:
        pieces = pieces_with_messages(segments, source.path, output, layout, carrier)
    if partial:
        output = _ended(output, _end_of(segments[-1]) - layout.lead_s - layout.shift_s)
    command = build_command(output, lead_s=layout.lead_s, sound=sound)
    process = FFmpegProcess(command, target=Path(output.path))
    try:
        for piece in pieces:
            process.write(piece)
        process.finish()
    except BaseException:
        process.kill()
        raise


def check_alike(first: Path, segment: Path) -> None:
    """Check that two segments have identical streams, extradata included.

    Raises:
        LostError: They differ: the encoder has changed.
    """
    if _headers(segment) != _headers(first):
        raise LostError(f"'{segment}' is encoded differently from '{first}'; {_ANEW}")


def _pieces(segments: Sequence[Path]) -> Iterator[bytes]:
    """The bytes of all segments as one file."""
    yield _ID
    for segment in segments:
        check_alike(segments[0], segment)
        try:
            with segment.open("rb") as file:
                file.seek(len(_ID))
                while piece := file.read(_PIECE_BYTES):
                    yield piece
        except OSError as error:
            raise _unreadable(segment, error) from error


def _headers(segment: Path) -> list[bytes]:
    """Headers of a segment: its coding and its streams."""
    try:
        with segment.open("rb") as file:
            data = file.read(_MOST_HEADERS)
    except OSError as error:
        raise _unreadable(segment, error) from error
    headers, place = [], len(_ID)
    while not data.startswith(_SYNCPOINT, place):
        end = _packet_end(data, place)
        if not data.startswith(b"N", place) or not place < end < len(data):
            raise LostError(f"the segment '{segment}' is damaged; {_ANEW}")
        if data.startswith((_MAIN, _STREAM), place):
            headers.append(data[place:end])
        place = end
    return headers


def _packet_end(data: bytes, place: int) -> int:
    """End of a packet: its size follows the start code, seven bits a byte, the last below 128."""
    size, place = 0, place + len(_MAIN)
    for byte in data[place : place + 8]:
        size, place = size << 7 | byte & 127, place + 1
        if byte < 128:
            break
    return place + size + (4 if size > _LARGE else 0)


def _end_of(segment: Path) -> Fraction:
    """A time after a segment's last frame and before the next one."""
    try:
        with open_input(local_name(str(segment)), format="nut") as container:
            video = container.streams.video[0]
            times = [packet.pts for packet in container.demux(video) if packet.pts is not None]
            return (max(times) + 1) * (video.time_base or Fraction(0))
    except (FFmpegError, OSError, IndexError, ValueError) as error:
        raise _unreadable(segment, error) from error


def _ended(output: Output, end_s: Fraction) -> Output:
    """The output with the source cut at a time."""
    if output.source is None:
        return output
    return replace(output, source=replace(output.source, end_s=end_s))


def _unreadable(segment: Path, error: Exception) -> LostError:
    return LostError(f"the segment '{segment}' cannot be read ({reason(error)}); {_ANEW}")
