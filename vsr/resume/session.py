"""A run's journal from its beginning, or from where an earlier run left it, to its end."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vsr.engine.memory_plan import Asked
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.errors import CheckpointError, DecodeError, OpenError
from vsr.restorer import Restorer
from vsr.results import Summary, nothing_done
from vsr.resume.checkpoints import Borders
from vsr.resume.compatibility import check_network, settings_of
from vsr.resume.journal import IMAGES, Journal
from vsr.scenes.markers import Resumed, SceneMarker
from vsr.scenes.state import load_marks
from vsr.streams import open_writer
from vsr.streams.encode.image_writer import ImageWriter, move_images
from vsr.streams.encode.segments.plan import NotInPieces
from vsr.streams.encode.segments.writer import SegmentWriter
from vsr.streams.names.durable import Kept, LostError, sync
from vsr.streams.names.image_sequence import names_images
from vsr.streams.names.target import temporary_name
from vsr.streams.open import open_kept_writer
from vsr.types import NOTHING, Passed, StreamInfo, Writer

log = logging.getLogger(__name__)

_LOST = (LostError, CheckpointError)
"""Errors of what is kept: another run would meet them, too."""


class Keeping:
    """What is kept of a run while it lasts, if anything is.

    On leaving, the journal goes where the output is whole, or as much of it as the source has; it
    stays where another run can go on.

    Args:
        journal: An earlier run's, to go on with; None to begin.
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._sink: SegmentWriter | ImageWriter | None = None
        self._borders: Borders | None = None

    @property
    def passed(self) -> Passed:
        """What need not be read again."""
        return NOTHING if self._journal is None else self._journal.passed

    @property
    def settings(self) -> Asked | None:
        """The earlier run's sizes of steps."""
        return None if self._journal is None else settings_of(self._journal)

    def go_on(self, restorer: Restorer | ParallelScenes, marker: SceneMarker) -> SceneMarker:
        """Give a restorer the earlier run's state, and return a marker that goes on, too.

        Raises:
            OpenError: The network is another.
            CheckpointError: A state is damaged.
        """
        if self._journal is None:
            return marker
        check_network(self._journal, restorer.network)
        if not self._journal.borders:
            return marker
        border = self._journal.borders[-1]
        if border.state and isinstance(restorer, Restorer):
            restorer.load(self._journal.path(border.state))
        log.warning("going on after %d frames", border.frames)
        return Resumed(marker, load_marks(self._journal.path(border.marks)))

    def begin(self, header: dict[str, Any], folder: Path | None) -> None:
        """Begin a journal in a folder, unless resuming, or journaling is disabled."""
        if self._journal is None and folder is not None:
            self._journal = Journal.create(folder, header)

    def open_writer(
        self, target: str, info: StreamInfo, *, in_process: bool, **options: Any
    ) -> Writer:
        """A sink that is cut at borders, or any where no journal is kept; as ``open_writer``."""
        if self._journal is not None:
            try:
                self._sink = open_kept_writer(target, info, self._kept(target), **options)
            except NotInPieces as error:
                log.warning("this run cannot be resumed if it is interrupted: %s", error)
                self._journal.remove()
                self._journal = None
            else:
                return self._sink
        return open_writer(target, info, in_process=in_process, **options)

    def borders(self, restorer: Restorer | ParallelScenes, *, every: int) -> Borders | None:
        """Where the run will be cut."""
        if self._journal is not None and self._sink is not None:
            self._borders = Borders(self._journal, self._sink, restorer, every=every)
        return self._borders

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
        if whole or (kind is not None and issubclass(kind, DecodeError)):
            journal.remove()
            return
        if journal.borders and not (kind is not None and issubclass(kind, _LOST)):
            done = journal.passed.frames
            log.warning("%d frames are kept in '%s': --resume goes on there", done, journal.folder)
        journal.close()

    def _kept(self, target: str) -> Kept:
        assert self._journal is not None
        images = names_images(target)
        return Kept(
            folder=self._journal.path(IMAGES) if images else self._journal.folder,
            segments=self._journal.segments,
            passed=self._journal.passed,
            seal=self._seal,
        )

    def _seal(self) -> None:
        assert self._journal is not None
        assert self._borders is not None
        self._journal.seal(self._borders.frames)


def finish_sealed(journal: Journal) -> Summary | None:
    """Give a whole output its name where the earlier run was ended before it could.

    Returns:
        None where the output is not whole, or no longer there.

    Raises:
        OpenError: It is no longer there, nor all that it was made of.
    """
    target, images = journal.target, journal.path(IMAGES)
    if journal.sealed is None:
        return None
    if images.is_dir():
        move_images(images, target)
    elif temporary_name(target).is_file():
        temporary_name(target).replace(target)
    if not target.exists():
        try:
            journal.check()
        except OpenError:
            journal.close()
            raise
        return None
    journal.remove()
    return nothing_done(str(target), journal.sealed)
