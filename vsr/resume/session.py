"""The journal of one run: started or resumed, and removed or kept at its end."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vsr.engine.memory_plan import RequestedSettings
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.errors import CheckpointError, DecodeError, OpenError, ReadError
from vsr.restorer import Restorer
from vsr.results import Summary, nothing_done
from vsr.resume.checkpoints import CheckpointRecorder
from vsr.resume.compatibility import check_network, settings_of
from vsr.resume.journal import IMAGES, Journal
from vsr.scenes.markers import ResumedMarker, SceneMarker
from vsr.scenes.state import load_marks
from vsr.streams import open_writer
from vsr.streams.encode.image_writer import ImageWriter, finish_images
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.segments.plan import NotSegmentable
from vsr.streams.encode.segments.writer import SegmentWriter
from vsr.streams.names.durable import KeptSegments, LostError, sync
from vsr.streams.names.image_sequence import names_images
from vsr.streams.names.target import temporary_name
from vsr.streams.open import open_kept_writer
from vsr.types import NOTHING, Passed, StreamInfo, Writer

log = logging.getLogger(__name__)

_LOST = (LostError, CheckpointError)
"""Errors of what is kept: another run would meet them, too."""


class ResumeSession:
    """Keeps the journal of a run, if it needs one.

    On exit, the journal is removed if the output is complete, or the source ended early; it
    stays where another run can resume, such as after an error of the source's disk.

    Args:
        journal: Journal of an earlier run to resume; None to start.
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._sink: SegmentWriter | ImageWriter | None = None
        self._recorder: CheckpointRecorder | None = None

    @property
    def passed(self) -> Passed:
        """Frames and packets to skip in the source."""
        return NOTHING if self._journal is None else self._journal.passed

    @property
    def header(self) -> dict[str, Any] | None:
        """The header of the earlier run's journal."""
        return None if self._journal is None else self._journal.header

    @property
    def settings(self) -> RequestedSettings | None:
        """The step sizes of the earlier run."""
        return None if self._journal is None else settings_of(self._journal)

    def resume_into(self, restorer: Restorer | ParallelScenes, marker: SceneMarker) -> SceneMarker:
        """Load the earlier run's state into a restorer; returns a scene marker that continues.

        Raises:
            OpenError: The network differs.
            CheckpointError: A state is damaged.
        """
        if self._journal is None:
            return marker
        check_network(self._journal, restorer.network)
        if not self._journal.points:
            return marker
        point = self._journal.points[-1]
        if point.state and isinstance(restorer, Restorer):
            restorer.load(self._journal.path(point.state))
        log.warning("resuming after %d frames", point.frames)
        return ResumedMarker(marker, load_marks(self._journal.path(point.marks)))

    def begin(self, header: dict[str, Any], folder: Path | None) -> None:
        """Begin a journal in a folder, unless resuming, or journaling is disabled."""
        if self._journal is None and folder is not None:
            self._journal = Journal.create(folder, header)

    def open_writer(
        self, target: str, info: StreamInfo, *, in_process: bool, **options: Any
    ) -> Writer:
        """Open a writer, cut into segments if a journal is kept; otherwise as ``open_writer``."""
        if self._journal is not None:
            try:
                request = EncodeRequest(target=target, info=info, **options)
                self._sink = open_kept_writer(request, self._kept(target))
            except NotSegmentable as error:
                if self._journal.points:
                    raise  # the reader has skipped the frames that the journal holds
                log.warning("this run cannot be resumed if it is interrupted: %s", error)
                self._journal.remove()
                self._journal = None
            else:
                return self._sink
        return open_writer(target, info, in_process=in_process, **options)

    def points(
        self, restorer: Restorer | ParallelScenes, *, every: int
    ) -> CheckpointRecorder | None:
        """The recorder of resume points; None without a journal."""
        if self._journal is not None and self._sink is not None:
            self._recorder = CheckpointRecorder(self._journal, self._sink, restorer, every=every)
        return self._recorder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        journal = self._journal
        if journal is None:
            return
        whole = kind is None and journal.sealed is not None
        if whole:
            sync(journal.target.parent)
        if whole or (kind is not None and _ends_early(kind)):
            journal.remove()
            return
        if journal.points and not (kind is not None and issubclass(kind, _LOST)):
            done = journal.passed.frames
            log.warning(
                "%d frames are kept in '%s': --resume continues there", done, journal.folder
            )
        journal.close()

    def _kept(self, target: str) -> KeptSegments:
        assert self._journal is not None
        images = names_images(target)
        return KeptSegments(
            folder=self._journal.path(IMAGES) if images else self._journal.folder,
            segments=self._journal.segments,
            passed=self._journal.passed,
            seal=self._seal,
        )

    def _seal(self) -> None:
        assert self._journal is not None
        assert self._recorder is not None
        self._journal.seal(self._recorder.frames)


def _ends_early(kind: type[BaseException]) -> bool:
    """Whether an error means that the source itself is broken, as another run would find it."""
    return issubclass(kind, DecodeError) and not issubclass(kind, ReadError)


def finish_sealed(journal: Journal, source: str, target: str) -> Summary | None:
    """Rename a complete output that an earlier run could not rename any more.

    Returns:
        None if the output is not complete or no longer exists.

    Raises:
        EncodeError: Its images cannot be moved.
        OpenError: Neither the output nor all of its parts exist any more.
    """
    output = journal.target
    if journal.sealed is None:
        return None
    if names_images(target) or journal.path(IMAGES).is_dir():
        finish_images(journal.path(IMAGES), target, source, journal.sealed)
    elif temporary_name(output).is_file():
        temporary_name(output).replace(output)
    if not output.exists():
        try:
            journal.check()
        except OpenError:
            journal.close()
            raise
        return None
    journal.remove()
    return nothing_done(str(output), journal.sealed)
