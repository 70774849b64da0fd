"""The file that segments are joined into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from vsr.errors import EncodeError
from vsr.streams.encode.arrivals import log_losses
from vsr.streams.encode.messages import carrier_of
from vsr.streams.encode.plan import plan_encoding
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.segments.nut_join import join
from vsr.streams.encode.segments.plan import check_segmentable, joined_output
from vsr.streams.names.durable import sync
from vsr.streams.names.target import TargetFile


class SegmentedTarget:
    """A file whose video comes in segments.

    Args:
        request: What is to be encoded; the target is a file.

    Attributes:
        plan: How frames are encoded, tried with one frame.
        size: Rows and columns of the frames that will come.

    Raises:
        OpenError: See ``open_writer``.
        ConfigurationError: See ``open_writer``.
        NotSegmentable: The same can be written, but not in segments.
    """

    def __init__(self, request: EncodeRequest) -> None:
        self.size = request.size
        self._target = TargetFile(
            request.target, source=request.source, overwrite=request.overwrite
        )
        self._covers = TemporaryDirectory(prefix="vsr-", ignore_cleanup_errors=True)
        covers = Path(self._covers.name)
        try:
            self.plan = plan_encoding(request, self._target.trial, covers, in_segments=True)
            self._colour = check_segmentable(self.plan, covers)
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
        log_losses(self.plan, kept)
        return kept

    def remove(self) -> None:
        """Remove what was written; never raises."""
        self._target.remove()
        self._covers.cleanup()
