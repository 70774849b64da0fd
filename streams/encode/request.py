"""Encoding requests: the arguments of every writer of videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vsr.address import names_file
from vsr.streams.encode.command import SourceFile
from vsr.streams.names.animation import is_animated_webp
from vsr.streams.names.trim import Seconds, as_fraction
from vsr.types import StreamInfo


@dataclass(frozen=True, kw_only=True)
class EncodeRequest:
    """A video to write.

    Attributes:
        target: See ``open_writer``, as for the attributes below.
        info: Description of the source.
        height: Rows of the frames to come.
        width: Columns of the frames to come.
        encoder: ffmpeg's name of a video encoder; None for the usual one of the container.
        encode_args: Further arguments for ffmpeg's output.
        source: What the reader was opened with.
        start_s: Start of the reader's part; None for the beginning.
        end_s: End of the reader's part; None for the end.
        overwrite: Replace a target that exists.
    """

    target: str
    info: StreamInfo
    height: int
    width: int
    encoder: str | None = None
    encode_args: Sequence[str] = ()
    source: str | None = None
    start_s: Seconds | None = None
    end_s: Seconds | None = None
    overwrite: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the frames to come."""
        return self.height, self.width

    @property
    def shift_s(self) -> Fraction:
        """Seconds that are added to all times."""
        start = as_fraction(self.start_s)
        return self.info.shift_s if start is None else -(self._origin + start)

    @property
    def source_file(self) -> SourceFile | None:
        """The source as ffmpeg's second input, if it is a file."""
        # Older ffmpegs do not read animated WebP, which has nothing beside its picture.
        path = self.source
        if path is None or not names_file(path) or is_animated_webp(Path(path)):
            return None
        start, end = as_fraction(self.start_s), as_fraction(self.end_s)
        return SourceFile(
            path=path,
            shift_s=self.shift_s,
            start_s=None if start is None else self._origin + start,
            end_s=None if end is None else self._origin + end,
        )

    @property
    def _origin(self) -> Fraction:
        return self.info.start_pts * self.info.time_base
