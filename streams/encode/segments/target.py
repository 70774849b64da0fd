"""The file that segments are joined into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from vsr.errors import EncodeError
from vsr.streams.encode.arrivals import say_losses
from vsr.streams.encode.ffmpeg_writer import source_file
from vsr.streams.encode.messages import carrier_of
from vsr.streams.encode.plan import plan_encoding
from vsr.streams.encode.segments.nut_join import join
from vsr.streams.encode.segments.plan import check_segmentable, joined_output
from vsr.streams.names.durable import sync
from vsr.streams.names.target import TargetFile
from vsr.streams.names.trim import Seconds
from vsr.types import StreamInfo


class SegmentedTarget:
    """A file whose video comes in segments.

    Args:
        target: A file.
        info: As for ``open_writer``.
        height: As for ``open_writer``.
        width: As for ``open_writer``.
        encoder: As for ``open_writer``.
        encode_args: As for ``open_writer``.
        source: As for ``open_writer``.
        start_s: As for ``open_writer``.
        end_s: As for ``open_writer``.
        overwrite: As for ``open_writer``.

    Attributes:
        plan: How frames are encoded, tried with one frame.
        size: Rows and columns of the frames that will come.

    Raises:
        OpenError: As for ``open_writer``.
        ConfigurationError: As for ``open_writer``.
        NotSegmentable: The same can be written, but not in segments.
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
        self.size = height, width
        self._target = TargetFile(target, source=source, overwrite=overwrite)
        self._covers = TemporaryDirectory(prefix="vsr-", ignore_cleanup_errors=True)
        try:
            self.plan = plan_encoding(
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
            self._colour = check_segmentable(self.plan, Path(self._covers.name))
        except BaseException:
            self._covers.cleanup()
            raise
        finally:
            self._target.remove()

    def join(
        self,
        segments: Sequence[Path],
        *,
        seal: Callable[[], None],
        sound: Path | None = None,
        partial: bool = False,
    ) -> str:
        """Join segments, give the file its name, and return it.

        Args:
            segments: In order.
            seal: Called once the file is whole, before it gets its name.
            sound: The copied packets, where they are not in the segments.
            partial: Whether later segments are missing; the file is named so.

        Raises:
            EncodeError: ffmpeg failed, or there is no segment.
            StreamTimeout: ffmpeg makes no progress any more.
        """
        if not segments:
            raise EncodeError("no frame was written, so there is no output")
        self._target.create()
        output = joined_output(self.plan.output, self._target.temporary, self._colour)
        join(
            segments,
            output,
            self.plan.layout,
            sound=sound,
            partial=partial,
            carrier=carrier_of(self.plan.output.encoder) if self.plan.messages else None,
        )
        self._covers.cleanup()
        sync(Path(self._target.temporary))
        if not partial:
            seal()
        kept = self._target.keep(partial=partial)
        say_losses(self.plan, kept)
        return kept

    def remove(self) -> None:
        """Remove what was written; never raises."""
        self._target.remove()
        self._covers.cleanup()
