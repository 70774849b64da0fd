"""The pipeline: decode, restore and encode in three threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from vsr.engine.cpu_threads import use_one_core
from vsr.engine.device_transfer import PendingCopy, Transfer, restored_copy
from vsr.engine.memory import forget_device_peak, peak_device_bytes, peak_host_bytes
from vsr.engine.settings import Settings
from vsr.engine.stream import Counts
from vsr.errors import DecodeError, OpenError
from vsr.offline.queue import StageQueue
from vsr.results import Progress, Summary
from vsr.resume.checkpoints import SegmentRecorder
from vsr.resume.journal import ResumePoint
from vsr.scenes.markers import ListedScenes, SceneMarker
from vsr.scenes.state import MarkerState
from vsr.types import Chunk, Reader, Writer

__all__ = ["Progress", "Summary", "run"]


def run(
    reader: Reader,
    restorer: StreamRestorer,
    writer: Writer,
    *,
    scenes: SceneMarker | None = None,
    points: SegmentRecorder | None = None,
    stage: FrameStage | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore all frames of a reader into a writer.

    Args:
        reader: Closed by the caller.
        restorer: New or reset.
        writer: Finished here, or aborted after an error.
        scenes: Scene marker; None for the marks that the reader makes.
        points: Resume points of the run; None without a journal.
        stage: Stage that restored frames pass before they are encoded; None for none.
        on_progress: Called in the calling thread after each step.
        stop: Set it to end early; the output is closed, playable and named as partial.

    Raises:
        DecodeError: The source broke; the frames restored before are kept under the
            partial name, and the message says so.
        VSRError: Any other error of a stage; nothing is left behind.
    """
    marker = scenes or ListedScenes(numbers=frozenset(), times=())
    stop = stop or threading.Event()
    stages = Stages(reader, restorer, writer, marker, points, stage, on_progress, stop)
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
        raise type(broken)(f"{broken}; frames restored before are in '{output}'") from broken
    return stages.summary(output, interrupted=interrupted)


QUEUED_CHUNKS = 1
"""Chunks that may wait between two stages, beside the one each stage works on."""


SILENT_S = 1.0
"""Time for which a stopped run waits for its source."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """Frames and the copied packets read with them, passed between stages.

    Attributes:
        frames: A chunk; None for packets alone.
        packets: Packets that have not been written.
        marks: State of the scene marker after decoded frames.
        point: Resume point after these frames, where another segment of the output begins; None
            for none.
    """

    frames: PendingCopy | None
    packets: Sequence[Any] = ()
    marks: MarkerState | None = None
    point: ResumePoint | None = None


class StreamRestorer(Protocol):
    """A restorer of one stream: ``Restorer`` or ``ParallelScenes``."""

    @property
    def device(self) -> torch.device: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def counts(self) -> Counts: ...

    def iter_push(self, chunk: Chunk) -> Iterator[Chunk]: ...

    def iter_drain(self) -> Iterator[Chunk]: ...


class FrameStage(Protocol):
    """A stage after the restorer, in the calling thread and on the restorer's device."""

    def push(self, chunk: Chunk) -> Chunk:
        """The output frames, as many as went in."""
        ...

    def reset(self) -> None:
        """Forget all frames so far: a segment of the output begins, which may be resumed at."""
        ...


class Stages:
    """The three stages of one run and their counts."""

    def __init__(
        self,
        reader: Reader,
        restorer: StreamRestorer,
        writer: Writer,
        marker: SceneMarker,
        points: SegmentRecorder | None,
        stage: FrameStage | None,
        on_progress: Callable[[Progress], None],
        stop: threading.Event,
    ) -> None:
        self.stage = stage
        self.reader, self.restorer, self.writer, self.marker = reader, restorer, writer, marker
        self.points, self.on_progress, self.stop = points, on_progress, stop
        self.decoded: StageQueue[_Piece] = StageQueue(QUEUED_CHUNKS, stop=stop)
        self.restored: StageQueue[_Piece] = StageQueue(QUEUED_CHUNKS)
        self.is_broken = False
        self.resumed = points.num_done if points else 0
        self.frames_in = self.frames_out = self.resumed
        self.started = time.perf_counter()
        forget_device_peak(restorer.device)

    def run(self) -> DecodeError | None:
        """Run until the end, ``stop`` or an error; the error of a broken source is returned."""
        threads = [
            threading.Thread(target=stage, name=f"vsr-{stage.__name__}", daemon=True)
            for stage in (self.decode, self.encode)
        ]
        for thread in threads:
            thread.start()
        try:
            broken = self.restore()
            self.restored.close()
        except BaseException as error:
            self.restored.close(error)
            self.writer.abort()
            raise
        finally:
            self.decoded.close()
            for thread in threads:
                # A silent source holds its thread in PyAV; a run that stops goes without it.
                thread.join(SILENT_S if thread is threads[0] and self.stop.is_set() else None)
        self.restored.raise_error()
        self.report()
        return broken

    def decode(self) -> None:
        """The decoding thread: read until the end, or until the pipeline stops."""
        use_one_core()
        try:
            self.read(Transfer(self.restorer.device))
        except BaseException as error:
            self.decoded.close(error)
        else:
            self.decoded.close()

    def read(self, upwards: Transfer) -> None:
        """Read until the end, or until the pipeline stops."""
        try:
            for chunk in self.reader.chunks(self.restorer.settings.chunk):
                if not self.hand_over(self.marker.push(chunk), upwards):
                    return
        except DecodeError:
            self.is_broken = True
            with suppress(OpenError):  # it broke before the place where an earlier run ended
                self.hand_over(self.marker.drain(), upwards)
            raise
        self.hand_over(self.marker.drain(), upwards)

    def hand_over(self, chunks: Sequence[Chunk], upwards: Transfer) -> bool:
        """Pass decoded frames and packets to the calling thread; False once it has stopped."""
        pieces: list[PendingCopy | None] = [upwards.up(chunk) for chunk in chunks]
        packets, marks = self.reader.take_packets(), self.marker.state
        for frames in pieces or [None]:
            if not self.decoded.put(_Piece(frames=frames, packets=packets, marks=marks)):
                return False
            packets = ()
        return True

    def restore(self) -> DecodeError | None:
        """The calling thread: push, and drain at the end."""
        broken = None
        try:
            for piece in self.decoded:
                if self.stop.is_set():
                    return None
                chunk = None if piece.frames is None else piece.frames.take()
                self.frames_in += 0 if chunk is None else len(chunk)
                packets = piece.packets
                if self.points and chunk is not None and piece.marks is not None:
                    self.cut(self.points.before_push(chunk, piece.marks))
                del piece
                self.hand_on(iter(()) if chunk is None else self.restorer.iter_push(chunk), packets)
                del chunk  # frames are large: none is kept while waiting for the next
        except DecodeError as error:
            if not self.frames_in:
                raise
            broken = error
        if not self.stop.is_set():
            self.hand_on(self.restorer.iter_drain())
        return broken

    def hand_on(self, chunks: Iterator[Chunk], packets: Sequence[Any] = ()) -> None:
        """Pass restored chunks, and the packets read since the last, to the encoding thread."""
        for chunk in chunks:
            if self.stop.is_set():
                break
            shown = chunk if self.stage is None else self.stage.push(chunk)
            self.restored.put(_Piece(frames=restored_copy(shown), packets=packets))
            packets = ()
            self.report()
            if self.points:
                self.cut(self.points.after_restore(chunk))
            del chunk, shown  # not to keep them alive while the next one is made
        if packets:
            self.restored.put(_Piece(frames=None, packets=packets))

    def cut(self, point: ResumePoint | None) -> None:
        """Tell the encoding thread to end a segment.

        None ends once the source broke: its last frames are restored without those that follow.
        """
        if point is not None and not self.is_broken:
            self.restored.put(_Piece(frames=None, point=point))
            if self.stage is not None:
                self.stage.reset()

    def encode(self) -> None:
        """The encoding thread: write until the end or an error."""
        use_one_core()
        downwards = Transfer(self.restorer.device)
        try:
            for piece in self.restored:
                self.writer.write_packets(piece.packets)
                if piece.frames is not None:
                    self.writer.write(downwards.down(piece.frames))
                    self.frames_out += len(piece.frames.chunk)
                if piece.point is not None and self.points is not None:
                    self.points.cut(piece.point)
                del piece
        except BaseException as error:
            self.restored.close(error)

    def report(self) -> None:
        """Report the progress to the caller."""
        self.on_progress(
            Progress(
                frames=self.frames_out,
                total=self.reader.info.num_frames,
                seconds=time.perf_counter() - self.started,
                resumed=self.resumed,
            )
        )

    def summary(self, output: str, *, interrupted: bool) -> Summary:
        """The summary of the run, once the output is closed."""
        seconds = time.perf_counter() - self.started
        counts = self.restorer.counts
        added = self.writer.added_frames if output else 0
        return Summary(
            output=output,
            frames_in=self.frames_in,
            frames_out=self.frames_out + added,
            added=added,
            passed_through=counts.passed_through,
            corrupt=self.reader.corrupt_frames,
            size_changes=self.reader.size_changes,
            scenes=counts.scenes,
            resets=counts.resets,
            retries=counts.retries,
            blank=counts.blank,
            guarded=counts.guarded,
            settings=str(self.restorer.settings),
            seconds=round(seconds, 3),
            fps=round((self.frames_out - self.resumed) / seconds, 2),
            resumed=self.resumed,
            peak_memory_bytes=peak_host_bytes(),
            peak_device_bytes=peak_device_bytes(self.restorer.device),
            interrupted=interrupted,
        )
