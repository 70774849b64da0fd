"""Frames and copied packets into any file ffmpeg writes, through an ffmpeg process."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vsr.address import is_address
from vsr.errors import EncodeError
from vsr.streams.encode.arrivals import say_losses
from vsr.streams.encode.command import Output, SourceFile, build_command, build_cut
from vsr.streams.encode.encoder_process import EncoderProcess
from vsr.streams.encode.plan import plan_encoding
from vsr.streams.ffmpeg.process import query_ffmpeg
from vsr.streams.names.animation import count_webp_frames, is_animated_webp
from vsr.streams.names.container import PIPE
from vsr.streams.names.target import TargetAddress, TargetFile, TargetPipe
from vsr.streams.names.trim import Seconds, as_fraction
from vsr.types import Chunk, StreamInfo

STANDARD_OUTPUT = 1


class FFmpegWriter:
    """Encodes frames and copies audio packets into one file or address.

    Attributes:
        notes: What differs from what one might expect, a sentence each.
    """

    def __init__(
        self,
        target: str,
        info: StreamInfo,
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
        """Check everything, try the encoder with one frame, and start it; see ``open_writer``."""
        self._target = choose_target(target, source, overwrite=overwrite)
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
            )
        except BaseException:
            self._covers.cleanup()
            raise
        finally:
            self._target.remove()
        self.notes = self._plan.notes
        self._counted: int | None = None
        self._target.create()
        self._encoding = EncoderProcess(
            build_command(self._output(), lead_s=self._plan.layout.lead_s),
            self._plan.layout,
            self._plan.output.colour,
            (height, width),
            output=STANDARD_OUTPUT if isinstance(self._target, TargetPipe) else subprocess.DEVNULL,
        )

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return self._encoding.frames

    @property
    def added_frames(self) -> int:
        """Frames that arguments such as ``-vf fps=10`` added or left out, once finished."""
        if self._counted is not None:
            return self._counted - self.frames
        return self._encoding.added_frames

    @property
    def pid(self) -> int:
        """Process number of the encoding ffmpeg."""
        return self._encoding.pid

    def write(self, chunk: Chunk) -> None:
        """Append frames, in order. Beyond [0, 1] goes what the pixel format has codes for.

        Raises:
            EncodeError: ffmpeg has stopped, for the reason given.
            StreamTimeout: ffmpeg takes nothing any more.
        """
        self._encoding.write(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Append packets of the copied streams; they belong to the writer afterwards.

        Raises:
            EncodeError: ffmpeg has stopped, or a packet cannot be copied.
        """
        self._encoding.write_packets(packets)

    def finish(self, *, partial: bool = False) -> str:
        """Encode what is left and give the file its name.

        Raises:
            EncodeError: ffmpeg failed, or no frame was ever written.
            StreamTimeout: ffmpeg makes no progress any more.
        """
        if not self.frames:
            raise EncodeError("no frame was written, so there is no output")
        # What ffmpeg reads from the source itself would otherwise go on to the source's end.
        interrupt = partial and bool(self._plan.output.direct or self._plan.output.sides)
        self._encoding.finish(stop=interrupt)
        if interrupt and isinstance(self._target, TargetFile):
            self._cut()
        self._covers.cleanup()
        output = self._target.keep(partial=partial)
        if is_animated_webp(Path(output)):
            # ffmpeg counts the file as one frame.
            self._counted = count_webp_frames(Path(output))
        say_losses(self._plan, output)
        return output

    def abort(self) -> None:
        """End ffmpeg at once and remove what was written; never raises."""
        self._encoding.kill()
        self._target.remove()
        self._covers.cleanup()

    def _output(self) -> Output:
        return replace(self._plan.output, path=self._target.temporary)

    def _cut(self) -> None:
        """Shorten what ran ahead of the frames."""
        assert isinstance(self._target, TargetFile)
        end_s = self._encoding.end_s + self._plan.layout.shift_s
        self._target.create_trial()
        if query_ffmpeg(*build_cut(self._output(), self._target.trial, end_s)).returncode == 0:
            Path(self._target.trial).replace(self._target.temporary)


def choose_target(
    target: str, source: str | None, *, overwrite: bool
) -> TargetFile | TargetAddress:
    """The names of an output of any kind, checked."""
    if target == PIPE:
        return TargetPipe()
    if is_address(target):
        return TargetAddress(target)
    return TargetFile(target, source=source, overwrite=overwrite)


def source_file(
    source: str | None, info: StreamInfo, start_s: Seconds | None, end_s: Seconds | None
) -> SourceFile | None:
    """The source as ffmpeg's second input, if it is a file."""
    # Older ffmpegs do not read animated WebP, which has nothing beside its picture.
    if source is None or not Path(source).is_file() or is_animated_webp(Path(source)):
        return None
    origin = info.start_pts * info.time_base
    start, end = as_fraction(start_s), as_fraction(end_s)
    return SourceFile(
        path=source,
        shift_s=info.shift_s if start is None else -(origin + start),
        start_s=None if start is None else origin + start,
        end_s=None if end is None else origin + end,
    )
