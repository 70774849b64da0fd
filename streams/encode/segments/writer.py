"""Writing a video file in segments, so that encoded frames survive an interruption.

Every segment is one run of the encoder, from a key frame to its last frame, kept with the copied
packets of its time as a NUT file: NUT keeps every time exactly. In the end the segments are joined,
without encoding anything again, and what else the source has is added.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from typing import Any

from vsr.errors import EncodeError
from vsr.streams.encode.arrivals import say_losses
from vsr.streams.encode.command import build_command
from vsr.streams.encode.encoder_process import EncoderProcess
from vsr.streams.encode.ffmpeg_writer import source_file
from vsr.streams.encode.messages import carrier_of
from vsr.streams.encode.plan import plan_encoding
from vsr.streams.encode.segments.nut_join import check_alike, join
from vsr.streams.encode.segments.plan import check_segmentable, joined_output, segment_output
from vsr.streams.names.durable import Commit, KeptSegments, sync
from vsr.streams.names.formats import NUT
from vsr.streams.names.target import TargetFile
from vsr.streams.names.trim import Seconds
from vsr.types import Chunk, StreamInfo

SEGMENT = "segment-"


class SegmentWriter:
    """Encodes frames and copied packets into segments, and joins them.

    Attributes:
        notes: What differs from what one might expect, a sentence each.
        added_frames: 0: what adds frames, or leaves some out, is not written in pieces.
    """

    added_frames = 0

    def __init__(
        self,
        target: str,
        info: StreamInfo,
        kept: KeptSegments,
        *,
        height: int,
        width: int,
        encoder: str | None = None,
        encode_args: Sequence[str] = (),
        source: str | None = None,
        start_s: Seconds | None = None,
        end_s: Seconds | None = None,
        overwrite: bool = False,
    ) -> None:
        """Check everything, and try the encoder with one frame.

        Args:
            target: A file.
            info: As for ``open_writer``.
            kept: As for ``open_kept_writer``.
            height: As for ``open_writer``.
            width: As for ``open_writer``.
            encoder: As for ``open_writer``.
            encode_args: As for ``open_writer``.
            source: As for ``open_writer``.
            start_s: As for ``open_writer``.
            end_s: As for ``open_writer``.
            overwrite: As for ``open_writer``.

        Raises:
            OpenError: As for ``open_writer``.
            ConfigurationError: As for ``open_writer``.
            NotInPieces: The same can be written, but not in pieces.
        """
        self._target = TargetFile(target, source=source, overwrite=overwrite)
        self._kept, self._segments, self._size = kept, list(kept.segments), (height, width)
        self._covers = TemporaryDirectory(prefix="vsr-", ignore_cleanup_errors=True)
        try:
            self._plan = plan_encoding(
                target,
                self._target.trial,
                Path(self._covers.name),
                info,
                height=height,
                width=width,
                encoder=encoder,
                encode_args=encode_args,
                source=source_file(source, info, start_s, end_s),
                in_segments=True,
            )
            self._colour = check_segmentable(self._plan, Path(self._covers.name))
        except BaseException:
            self._covers.cleanup()
            raise
        finally:
            self._target.remove()
        self.notes = self._plan.notes
        self._packets, self._early = kept.passed.packets, list[Any]()
        self._open: tuple[Path, EncoderProcess] | None = None
        self._ending: _Ending | None = None

    def write(self, chunk: Chunk) -> None:
        """Append frames, in order.

        Raises:
            EncodeError: ffmpeg has stopped, for the reason given, or a segment cannot be kept.
            StreamTimeout: ffmpeg takes nothing any more.
        """
        if self._ending is not None:
            self._ending.raise_error()
        if self._open is None:
            self._begin()
        self._process.write(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Append packets of the copied streams; they belong to the writer afterwards.

        Raises:
            EncodeError: ffmpeg has stopped, or a packet cannot be copied.
        """
        if self._open is None:
            self._early += packets
        else:
            self._packets += len(packets)
            self._process.write_packets(packets)

    def cut(self, commit: Commit) -> None:
        """End the segment; the next frame begins another.

        Args:
            commit: Called in another thread once the segment is whole.

        Raises:
            EncodeError: The segment before cannot be kept.
        """
        self._finish_previous()
        if self._open is not None:
            (path, encoding), packets = self._open, self._packets
            self._open = None
            self._segments.append(path)
            first = self._segments[0]

            def keep() -> None:
                check_alike(first, path)
                commit(path, packets)

            self._ending = _Ending(encoding, keep)

    def finish(self, *, partial: bool = False) -> str:
        """Join the segments, give the file its name, and return it.

        Raises:
            EncodeError: ffmpeg failed, or no frame was ever written.
            StreamTimeout: ffmpeg makes no progress any more.
        """
        self.cut(lambda _path, _packets: None)
        self._finish_previous()
        if not self._segments:
            raise EncodeError("no frame was written, so there is no output")
        self._target.create()
        output = joined_output(self._plan.output, self._target.temporary, self._colour)
        join(
            self._segments,
            output,
            self._plan.layout,
            partial=partial,
            carrier=carrier_of(self._plan.output.encoder) if self._plan.messages else None,
        )
        self._covers.cleanup()
        sync(Path(self._target.temporary))
        if not partial:
            self._kept.seal()
        kept = self._target.keep(partial=partial)
        say_losses(self._plan, kept)
        return kept

    def abort(self) -> None:
        """End ffmpeg at once; what was cut before is kept. Never raises."""
        if self._open is not None:
            self._process.kill()
        with suppress(Exception):
            self._finish_previous()
        self._target.remove()
        self._covers.cleanup()

    @property
    def _process(self) -> EncoderProcess:
        assert self._open is not None
        return self._open[1]

    def _begin(self) -> None:
        """Start an encoder; no file's name is used twice, not even that of a lost run's."""
        descriptor, name = mkstemp(dir=self._kept.folder, prefix=SEGMENT, suffix=NUT)
        os.close(descriptor)
        plan = self._plan
        command = build_command(segment_output(plan.output, name), lead_s=0)
        encoding = EncoderProcess(command, plan.layout, plan.output.colour, self._size)
        self._open = Path(name), encoding
        early, self._early = self._early, []
        self.write_packets(early)

    def _finish_previous(self) -> None:
        """Wait for the segment before."""
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.join()
            ending.raise_error()


class _Ending:
    """A segment whose encoder works off what it has, in a thread of its own."""

    def __init__(self, encoding: EncoderProcess, commit: Callable[[], None]) -> None:
        self._process, self._commit = encoding, commit
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vsr-segment", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until it is over."""
        self._thread.join()

    def raise_error(self) -> None:
        """Raise what went wrong, if anything has by now."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._process.finish()
            self._commit()
        except BaseException as error:
            self._process.kill()
            self._error = error
