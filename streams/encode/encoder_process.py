"""One running ffmpeg that frames and copied packets are written to."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from vsr.errors import EncodeError
from vsr.streams.colour.convert import from_rgb
from vsr.streams.colour.padding import pad_to
from vsr.streams.encode.raw_nut import RawLayout, RawStream
from vsr.streams.encode.time_base import FrameClock
from vsr.streams.ffmpeg.process import FFmpegProcess
from vsr.types import Chunk, Colour


class EncoderProcess:
    """Converts frames, muxes them with packets, and pipes both into ffmpeg.

    Args:
        command: ffmpeg and its arguments.
        layout: Layout of the raw stream.
        colour: Tags of the frames.
        size: Rows and columns of the frames that come; where the layout's are more, the last are
            repeated.
        output: File descriptor of ffmpeg's standard output; the caller's to close.
        target: See ``FFmpegProcess``.

    Attributes:
        frames: Frames written so far.
        end_s: A time after the last written frame and before the next one, in the source's time.
    """

    def __init__(
        self,
        command: Sequence[str],
        layout: RawLayout,
        colour: Colour,
        size: tuple[int, int],
        *,
        output: int = subprocess.DEVNULL,
        target: Path | None = None,
    ) -> None:
        self.frames = 0
        self.end_s = Fraction(0)
        self._layout, self._colour, self._size = layout, colour, size
        self._process = FFmpegProcess(command, output=output, target=target)
        self._raw = RawStream(layout, self._process.write)
        self._clock = FrameClock(layout.time_base)

    @property
    def pid(self) -> int:
        """Process number of ffmpeg."""
        return self._process.pid

    @property
    def added_frames(self) -> int:
        """Number of frames that ffmpeg wrote beyond those it was given, once it has ended."""
        written = self._process.frames
        return 0 if written is None else written - self.frames

    def write(self, chunk: Chunk) -> None:
        """Append frames, in order.

        Raises:
            EncodeError: ffmpeg has stopped, for the reason given.
            StreamTimeout: ffmpeg takes nothing any more.
        """
        if tuple(chunk.frames.shape[2:]) != self._size:
            raise EncodeError(
                f"frames of {tuple(chunk.frames.shape[2:])} came, {self._size} were announced"
            )
        frames = pad_to(chunk.frames, (self._layout.height, self._layout.width))
        # One by one: the encoder begins with the first while the others are still converted.
        for frame, pts in zip(torch.split(frames, 1), chunk.pts, strict=True):
            samples = from_rgb(frame, self._layout.pixel_format, self._colour)
            time = self._clock.pts(pts, chunk.time_base)
            self._raw.write_frames(samples.view(torch.uint8).cpu(), [time])
        self.frames += len(chunk)
        self.end_s = (chunk.pts[-1] + 1) * chunk.time_base

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Append packets of the copied streams; they are changed.

        Raises:
            EncodeError: ffmpeg has stopped, or a packet cannot be copied.
        """
        self._raw.write_packets(packets)

    def finish(self, *, stop: bool = False) -> None:
        """Wait until everything is encoded; ``stop`` as for ``FFmpegProcess.finish``.

        Raises:
            EncodeError: ffmpeg failed.
            StreamTimeout: It makes no progress any more.
        """
        self._raw.close()
        self._process.finish(stop=stop)

    def kill(self) -> None:
        """End ffmpeg at once; never raises."""
        self._process.kill()
