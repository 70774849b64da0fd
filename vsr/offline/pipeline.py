"""From a source to a sink."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from vsr.engine.cpu_threads import use_one_core
from vsr.engine.device_transfer import Moving, Transfer, leaving
from vsr.engine.memory import forget_device_peak, peak_device_bytes, peak_host_bytes
from vsr.engine.settings import Settings
from vsr.engine.stream import Counts
from vsr.errors import DecodeError
from vsr.offline.queue import Channel
from vsr.results import Progress, Summary
from vsr.resume.checkpoints import Borders
from vsr.resume.journal import Border
from vsr.scenes.markers import Listed, SceneMarker
from vsr.scenes.state import MarkerState
from vsr.types import Chunk, Reader, Writer

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
        borders: Resume checkpoints of the run; None without a journal.
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


QUEUED_CHUNKS = 1
"""Chunks that may wait between two stages, beside the one each stage works on."""


SILENT_S = 1.0
"""How long a run that was stopped waits for its source."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """What travels between stages: frames, and the copied packets that were read with them.

    Attributes:
        frames: None where only the rest comes.
        packets: Not yet written.
        marks: Of frames that were decoded: what the marker of scenes knows behind them.
        border: Behind which another segment of the output begins.
    """

    frames: Moving | None
    packets: Sequence[Any] = ()
    marks: MarkerState | None = None
    border: Border | None = None


class StreamRestorer(Protocol):
    """What restores one stream: a ``Restorer``, or one that works on several scenes at once."""

    @property
    def device(self) -> torch.device: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def counts(self) -> Counts: ...

    def iter_push(self, chunk: Chunk) -> Iterator[Chunk]: ...

    def iter_drain(self) -> Iterator[Chunk]: ...


class Stages:
    """The three stages of one run and what they count."""

    def __init__(
        self,
        reader: Reader,
        restorer: StreamRestorer,
        writer: Writer,
        marker: SceneMarker,
        borders: Borders | None,
        on_progress: Callable[[Progress], None],
        stop: threading.Event,
    ) -> None:
        self.reader, self.restorer, self.writer, self.marker = reader, restorer, writer, marker
        self.borders, self.on_progress, self.stop = borders, on_progress, stop
        self.decoded: Channel[_Piece] = Channel(QUEUED_CHUNKS, stop=stop)
        self.restored: Channel[_Piece] = Channel(QUEUED_CHUNKS)
        self.resumed = borders.num_done if borders else 0
        self.frames_in = self.frames_out = self.resumed
        self.started = time.perf_counter()
        forget_device_peak(restorer.device)

    def run(self) -> DecodeError | None:
        """Run to the end, to ``stop``, or to an error; that of a source that broke is returned."""
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
        """The decoding thread: read until the end, or until nobody listens."""
        use_one_core()
        upwards = Transfer(self.restorer.device)
        try:
            for chunk in self.reader.chunks(self.restorer.settings.chunk):
                if not self.hand_over(self.marker.push(chunk), upwards):
                    return
            self.hand_over(self.marker.drain(), upwards)
        except DecodeError as error:
            self.hand_over(self.marker.drain(), upwards)
            self.decoded.close(error)
        except BaseException as error:
            self.decoded.close(error)
        else:
            self.decoded.close()

    def hand_over(self, chunks: Sequence[Chunk], upwards: Transfer) -> bool:
        """Give decoded frames and packets to the calling thread; whether it still listens."""
        pieces: list[Moving | None] = [upwards.up(chunk) for chunk in chunks]
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
                if self.borders and chunk is not None and piece.marks is not None:
                    self.separate(self.borders.enter(chunk, piece.marks))
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
        """Give restored chunks, and the packets read since the last, to the encoding thread."""
        for chunk in chunks:
            if self.stop.is_set():
                break
            self.restored.put(_Piece(frames=leaving(chunk), packets=packets))
            packets = ()
            self.report()
            if self.borders:
                self.separate(self.borders.leave(chunk))
            del chunk  # not to keep it alive while the next one is made
        if packets:
            self.restored.put(_Piece(frames=None, packets=packets))

    def separate(self, border: Border | None) -> None:
        """Tell the encoding thread where a segment ends."""
        if border is not None:
            self.restored.put(_Piece(frames=None, border=border))

    def encode(self) -> None:
        """The encoding thread: write until the end, or until something fails."""
        use_one_core()
        downwards = Transfer(self.restorer.device)
        try:
            for piece in self.restored:
                self.writer.write_packets(piece.packets)
                if piece.frames is not None:
                    self.writer.write(downwards.down(piece.frames))
                    self.frames_out += len(piece.frames.chunk)
                if piece.border is not None and self.borders is not None:
                    self.borders.cut(piece.border)
                del piece
        except BaseException as error:
            self.restored.close(error)

    def report(self) -> None:
        """Tell the caller how far the run is."""
        self.on_progress(
            Progress(
                frames=self.frames_out,
                total=self.reader.info.num_frames,
                seconds=time.perf_counter() - self.started,
                resumed=self.resumed,
            )
        )

    def summary(self, output: str, *, interrupted: bool) -> Summary:
        """What was done, once the output is closed."""
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
            settings=str(self.restorer.settings),
            seconds=round(seconds, 3),
            fps=round((self.frames_out - self.resumed) / seconds, 2),
            resumed=self.resumed,
            peak_memory_bytes=peak_host_bytes(),
            peak_device_bytes=peak_device_bytes(self.restorer.device),
            interrupted=interrupted,
        )
