"""Encoding in segments: one run of the encoder after the other, each a NUT file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from vsr.streams.encode.command import build_command
from vsr.streams.encode.encoder_process import EncoderProcess
from vsr.streams.encode.plan import EncodingPlan
from vsr.streams.encode.segments.plan import segment_output
from vsr.streams.names.formats import NUT
from vsr.types import Chunk

SEGMENT = "segment-"


class SegmentEncoder:
    """Encodes frames and copied packets into segments of a folder.

    Args:
        plan: Plan of the output.
        folder: Where segments are written; no file's name is used twice.
        size: Rows and columns of the frames.

    Attributes:
        is_open: Whether a segment has begun and not ended.
    """

    def __init__(self, plan: EncodingPlan, folder: Path, size: tuple[int, int]) -> None:
        self._plan, self._folder, self._size = plan, folder, size
        self._early = list[Any]()
        self._open: tuple[Path, EncoderProcess] | None = None
        self._ending: _Ending | None = None

    @property
    def is_open(self) -> bool:
        return self._open is not None

    def write(self, chunk: Chunk) -> None:
        """Append frames, in order; errors as for ``Writer.write``, or of the segment before."""
        if self._ending is not None:
            self._ending.raise_error()
        if self._open is None:
            self._begin()
        self._process.write(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Append packets of the copied streams to the segment of the frames around them."""
        if self._open is None:
            self._early += packets
        else:
            self._process.write_packets(packets)

    def cut(self, keep: Callable[[Path], None]) -> None:
        """End the segment; the next frame begins another.

        Args:
            keep: Called in another thread once the segment is whole.

        Raises:
            EncodeError: The segment before cannot be kept.
        """
        self.wait()
        if self._open is not None:
            (path, process), self._open = self._open, None
            self._ending = _Ending(process, lambda: keep(path))

    def wait(self) -> None:
        """Wait until the last segment that was ended is whole."""
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.join()
            ending.raise_error()

    def abort(self) -> None:
        """End ffmpeg at once; segments that were ended become whole. Never raises."""
        if self._open is not None:
            self._process.kill()
        with suppress(Exception):
            self.wait()

    @property
    def _process(self) -> EncoderProcess:
        assert self._open is not None
        return self._open[1]

    def _begin(self) -> None:
        """Start an encoder; no file's name is used twice, not even that of a lost run's."""
        descriptor, name = mkstemp(dir=self._folder, prefix=SEGMENT, suffix=NUT)
        os.close(descriptor)
        plan = self._plan
        command = build_command(segment_output(plan.output, name), lead_s=0)
        process = EncoderProcess(command, plan.layout, plan.output.colour, self._size)
        self._open = Path(name), process
        early, self._early = self._early, []
        process.write_packets(early)


class _Ending:
    """A segment whose encoder finishes in a thread of its own."""

    def __init__(self, encoding: EncoderProcess, commit: Callable[[], None]) -> None:
        self._process, self._commit = encoding, commit
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vsr-segment", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def raise_error(self) -> None:
        """Raise the thread's error, if it has failed by now."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._process.finish()
            self._commit()
        except BaseException as error:
            self._process.kill()
            self._error = error
