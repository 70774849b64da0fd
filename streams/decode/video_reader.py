"""Frames of any file or address that ffmpeg reads, through PyAV."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any, Self

import torch
from av import VideoFrame

from vsr.address import shown
from vsr.errors import DecodeError, OpenError, ReadError
from vsr.streams.colour.hdr import read_mastering
from vsr.streams.colour.pixel_format import parse_pixel_format
from vsr.streams.colour.planes import DecodedFrame, FrameFormat, read_frame
from vsr.streams.colour.siting import find_chroma_location
from vsr.streams.colour.tags import complete, guesses
from vsr.streams.decode.chunk_builder import ChunkBuilder, check_chunk_size
from vsr.streams.decode.deinterlace import Mode, check_mode, deinterlace
from vsr.streams.decode.demuxer import StampedFrame
from vsr.streams.decode.hwaccel import open_accelerated
from vsr.streams.decode.probe import at_field_rate, describe, origin, shift_note
from vsr.streams.decode.scan_type import Scan
from vsr.streams.decode.seek import seek_first_frame
from vsr.streams.decode.unsupported import (
    CAPTIONED,
    CAPTIONS_KIND,
    TRANSPARENCY,
    frame_data_kinds,
    unsupported_features,
)
from vsr.streams.ffmpeg.description import describe_stream, other_programs
from vsr.streams.names.trim import Seconds, Trim, make_trim
from vsr.types import NOTHING, Chunk, Passed, StreamInfo

log = logging.getLogger(__name__)


class VideoReader:
    """Decodes the first video stream and collects the packets of the audio streams.

    Used by one thread; ``close`` may come from another, whereupon the reading thread ends quietly.
    """

    def __init__(
        self,
        source: str,
        *,
        start_s: Seconds | None = None,
        end_s: Seconds | None = None,
        device: torch.device | str = "cpu",
        deinterlace: Mode = "auto",
        scan: Scan | None = None,
        headroom: bool = False,
        hwaccel: str | None = None,
        keep_start: bool = False,
        passed: Passed = NOTHING,
    ) -> None:
        """Open the source and decode its first wanted frame.

        Args:
            source: A file or an address.
            start_s: Seconds after the stream's first frame; frames before are left out.
            end_s: Seconds after the stream's first frame; this frame and later ones are left out.
            device: Where frames go.
            deinterlace: See ``open_reader``.
            scan: Scan type of all frames, where an earlier reading has found it.
            headroom: See ``open_reader``.
            hwaccel: See ``open_reader``.
            keep_start: See ``open_reader``.
            passed: See ``open_reader``.

        Raises:
            OpenError: The source is missing, unreadable, or has no frame in the wanted part.
            ConfigurationError: ``end_s`` is not after ``start_s``, or no such deinterlacing.
            StreamTimeout: An address that does not answer.
        """
        check_mode(deinterlace)
        self._source, self._name = source, shown(source)
        self._deinterlace, self._scan = deinterlace, scan
        self._scans: set[Scan] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._headroom, self._keep_start = headroom, keep_start
        self._passed_packets = passed.packets
        self._container, self._stream, fallback = open_accelerated(source, hwaccel)
        try:
            self._open(start_s, end_s, torch.device(device), passed)
            self._notes += (fallback,) if fallback else ()
        except BaseException:
            self._container.close()
            raise

    @property
    def info(self) -> StreamInfo:
        return self._info

    @property
    def notes(self) -> tuple[str, ...]:
        """Assumptions about the source, a sentence each."""
        return self._notes

    @property
    def corrupt_frames(self) -> int:
        """Packets that did not decode and frames the decoder marked as damaged, so far."""
        return self._demuxer.corrupt_frames

    @property
    def size_changes(self) -> int:
        """Times so far that the picture's size changed."""
        return self._assembly.size_changes

    @property
    def ended_early(self) -> str | None:
        """Why the frames stopped before the end of the source; None where they did not."""
        return self._demuxer.ended_early

    @property
    def scans(self) -> frozenset[Scan]:
        """The scans of the frames read so far; none where they were not looked at."""
        return frozenset(self._scans)

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield chunks of ``size`` frames; the last may be shorter. Can be called once.

        Raises:
            ConfigurationError: Chunks of no frames.
            ReadError: After the last frame, if a disk or a connection failed.
            DecodeError: Likewise, if the source ended early; or it is damaged beyond
                ``demuxer.MAX_CORRUPT_IN_A_ROW``.
            StreamTimeout: An address fell silent.
        """
        check_chunk_size(size)
        while frames := list(islice(self._frames, size)):
            yield self._assembly.build(frames)
        if self.ended_early and not self._closing:
            if self._demuxer.is_unread:
                raise ReadError(f"{self._name!r} is not read to its end: {self.ended_early}")
            raise DecodeError(f"{self._name!r} is cut off or damaged: {self.ended_early}")

    def take_packets(self) -> Sequence[Any]:
        self._drop_packets()
        packets, self._demuxer.packets = self._demuxer.packets, []
        return packets

    def close(self) -> None:
        self._closing = True
        if self._lock.acquire(blocking=False):
            self._container.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(
        self,
        start_s: Seconds | None,
        end_s: Seconds | None,
        device: torch.device,
        passed: Passed,
    ) -> None:
        self._stream.thread_type = "AUTO"
        foreign = self._other_programs()
        trim = make_trim(start_s, end_s, origin(self._stream))
        stamped, rest = self._seek(trim, foreign)
        self._chroma_location = self._find_chroma_location(stamped.frame)
        picture = self._take_apart(stamped).picture
        info = self._describe(stamped, picture, trim, foreign)
        self._info = at_field_rate(info) if self._deinterlace == "field" else info
        frames = deinterlace(
            chain([stamped], rest),
            info.time_base,
            self._deinterlace,
            scan=self._scan,
            note_scan=self._scans.add,
            say=partial(log.warning, "%s"),
        )
        self._frames = self._read(self._skip(frames, passed.frames) if passed.frames else frames)
        self._assembly = ChunkBuilder(
            self._info.time_base, picture.shown_size, device, headroom=self._headroom
        )
        _log_assumed_matrix(picture)
        self._notes = self._find_notes(stamped.frame, trim, foreign)

    def _seek(
        self, trim: Trim, foreign: frozenset[int]
    ) -> tuple[StampedFrame, Iterator[StampedFrame]]:
        """The first wanted frame and an iterator over those after it."""
        try:
            self._demuxer, stamped, rest = seek_first_frame(
                self._container, self._stream, trim, foreign
            )
        except DecodeError as error:
            raise OpenError(f"{self._name!r} cannot be decoded: {error}") from error
        if stamped is None:
            part = "" if trim.everything else " in the wanted part"
            raise OpenError(f"{self._name!r} has no frame{part} that can be decoded")
        return stamped, rest

    def _describe(
        self, stamped: StampedFrame, picture: FrameFormat, trim: Trim, foreign: frozenset[int]
    ) -> StreamInfo:
        """Description of the stream, whose first wanted frame this is."""
        info = describe(
            self._container,
            self._stream,
            picture,
            trim,
            read_mastering(stamped.frame),
            keep_start=self._keep_start,
            foreign=foreign,
        )
        return replace(info, frame_data=frame_data_kinds(stamped.frame) | self._captions())

    def _find_notes(
        self, frame: VideoFrame, trim: Trim, foreign: frozenset[int]
    ) -> tuple[str, ...]:
        """Sentences about what is left out and assumed."""
        notes = unsupported_features(frame)
        notes += self._lost_with_stream(notes)
        if foreign:
            notes += (f"other programmes of the source are left out: {len(foreign)} streams",)
        if trim.start is None and (note := shift_note(self._info)):
            notes += (note,)
        return notes

    def _other_programs(self) -> frozenset[int]:
        if self._container.format.name != "mpegts":
            return frozenset()
        return other_programs(self._source, self._stream.index)

    def _lost_with_stream(self, notes: Sequence[str]) -> tuple[str, ...]:
        """Sentences about what the stream has, its first frame does not show, and is left out."""
        transparent = self._stream.metadata.get("alpha_mode", "0") != "0"
        return (TRANSPARENCY,) if transparent and TRANSPARENCY not in notes else ()

    def _captions(self) -> frozenset[str]:
        """Captions that begin after the first frame: ffmpeg's description knows of them."""
        captioned = CAPTIONED in describe_stream(self._source, self._stream.index)
        return frozenset({CAPTIONS_KIND} if captioned else ())

    def _skip(self, frames: Iterator[StampedFrame], number: int) -> Iterator[StampedFrame]:
        """Decode frames that are not wanted; of them only the changes of size matter."""
        last: StampedFrame | None = None
        for stamped in islice(frames, number):
            if last is not None and _size(last.frame) != _size(stamped.frame):
                self._assembly.build([self._take_apart(last)])
            last = stamped
            self._drop_packets()
        if last is not None:
            self._assembly.build([self._take_apart(last)])
        yield from frames

    def _drop_packets(self) -> None:
        """Release packets already handled by an earlier run."""
        early = min(self._passed_packets, len(self._demuxer.packets))
        del self._demuxer.packets[:early]
        self._passed_packets -= early

    def _read(self, stamped_frames: Iterator[StampedFrame]) -> Iterator[DecodedFrame]:
        # Closing from another thread must not free the container under a running call.
        while True:
            with self._lock:
                if self._closing:
                    self._container.close()
                    return
                stamped = next(stamped_frames, None)
            if stamped is None:
                return
            yield self._take_apart(stamped)

    def _find_chroma_location(self, frame: VideoFrame) -> str | None:
        pixel_format = parse_pixel_format(frame.format.name)
        if pixel_format is not None and pixel_format.shifts == (0, 0):
            return None
        codec = self._stream.codec_context.codec.canonical_name
        return find_chroma_location(self._source, self._stream.index, codec)

    def _take_apart(self, stamped: StampedFrame) -> DecodedFrame:
        return read_frame(stamped.frame, stamped.pts, self._chroma_location)


def _size(frame: VideoFrame) -> tuple[int, int]:
    return frame.height, frame.width


def _log_assumed_matrix(picture: FrameFormat) -> None:
    """Log the matrix of an untagged source; no note, since players take the same by its size."""
    pixel_format, height, width = picture.pixel_format, picture.height, picture.width
    if guesses(picture.colour, pixel_format):
        matrix = complete(picture.colour, pixel_format, height=height, width=width).matrix
        log.info("the source does not say its colour matrix; %s is taken by its size", matrix)
