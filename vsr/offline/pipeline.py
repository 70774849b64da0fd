"""From a source to a sink."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vsr.errors import DecodeError
from vsr.offline.stages import Stages, StreamRestorer
from vsr.results import Progress, Summary
from vsr.resume.checkpoints import Borders
from vsr.scenes.markers import Listed, SceneMarker
from vsr.types import Reader, Writer

__all__ = ["Progress", "Summary", "run"]


def run(
    reader: Reader,
    restorer: StreamRestorer,
    writer: Writer,
    *,
    scenes: SceneMarker | None = None,
    borders: Borders | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore everything a reader has into a writer.

    Args:
        reader: Closed by the caller.
        restorer: Fresh, or reset.
        writer: Finished here; aborted where an error ends the run.
        scenes: Marks where scenes begin; None for the marks that the reader makes.
        borders: Where the run may be ended and gone on from; None for nowhere.
        on_progress: Called in the calling thread after each step.
        stop: Set it to end early; the output is closed, playable, and named as partial.

    Raises:
        DecodeError: The source broke in the middle; what was restored before that is kept under the
            partial name, and the message says so.
        VSRError: Any other error of any stage; nothing is left behind.
    """
    marker = scenes or Listed(numbers=frozenset(), times=())
    stop = stop or threading.Event()
    stages = Stages(reader, restorer, writer, marker, borders, on_progress, stop)
    try:
        broken = stages.run()
        interrupted = stages.stop.is_set()
        if interrupted and not stages.frames_out:
            writer.abort()
            return stages.summary("", interrupted=True)
        output = writer.finish(partial=interrupted or broken is not None)
    except BaseException:
        writer.abort()
        raise
    if broken is not None:
        raise DecodeError(f"{broken}; what came before is in '{output}'") from broken
    return stages.summary(output, interrupted=interrupted)
