"""Frames and copied packets into any file ffmpeg writes, through an ffmpeg process."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vsr.address import is_address
from vsr.errors import EncodeError, VSRError
from vsr.streams.encode.arrivals import log_losses
from vsr.streams.encode.command import Output, build_command, build_cut
from vsr.streams.encode.encoder_process import EncoderProcess
from vsr.streams.encode.plan import plan_encoding
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.ffmpeg.process import run_ffmpeg
from vsr.streams.names.animation import count_webp_frames, is_animated_webp
from vsr.streams.names.container import PIPE
from vsr.streams.names.target import TargetAddress, TargetFile, TargetPipe
from vsr.types import Chunk

log = logging.getLogger(__name__)

STANDARD_OUTPUT = 1


class FFmpegWriter:
    """Encodes frames and copies audio packets into one file or address.

    Attributes:
        notes: Differences from what was asked for or is usual, a sentence each.
    """

    def __init__(self, request: EncodeRequest) -> None:
        """Check everything, try the encoder with one frame, and start it; see ``open_writer``."""
        self._target = choose_target(request)
        self._covers = TemporaryDirectory(prefix="vsr-", ignore_cleanup_errors=True)
        try:
            self._plan = plan_encoding(request, self._target.trial, Path(self._covers.name))
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
            request.size,
            output=STANDARD_OUTPUT if isinstance(self._target, TargetPipe) else subprocess.DEVNULL,
            target=Path(self._target.temporary),
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
        """Append frames, in order; values beyond [0, 1] are kept if the format has codes for them.

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
        """Encode the remaining frames and give the file its name.

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
        log_losses(self._plan, output)
        return output

    def abort(self) -> None:
        """End ffmpeg at once and remove what was written; never raises."""
        self._encoding.kill()
        self._target.remove()
        self._covers.cleanup()

    def _output(self) -> Output:
        return replace(self._plan.output, path=self._target.temporary)

    def _cut(self) -> None:
        """Cut streams that are longer than the video; where that fails they stay as they are."""
        assert isinstance(self._target, TargetFile)
        end_s = self._encoding.end_s + self._plan.layout.shift_s
        trial = Path(self._target.trial)
        try:
            self._target.create_trial()
            run_ffmpeg(build_cut(self._output(), self._target.trial, end_s), trial)
        except VSRError as error:
            log.warning("sound and subtitles stay longer than the frames: %s", error)
            trial.unlink(missing_ok=True)
        else:
            trial.replace(self._target.temporary)


def choose_target(request: EncodeRequest) -> TargetFile | TargetAddress:
    """The names of an output of any kind, checked."""
    if request.target == PIPE:
        return TargetPipe()
    if is_address(request.target):
        return TargetAddress(request.target)
    return TargetFile(request.target, source=request.source, overwrite=request.overwrite)
