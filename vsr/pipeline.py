"""From a source to a sink: decode, restore and encode side by side.

    decoding thread ──Channel──► calling thread ──Channel──► encoding thread
    reader.chunks()              restorer.iter_push()        writer.write()
    marker.push()                                            frames come down from the device
    frames go up to the device

Queues are short, so that a slow stage holds back the ones before it and memory does not depend on
length. The first error of any stage ends all three and is the one that is raised.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from vsr.channel import Channel
from vsr.engine.settings import Settings
from vsr.engine.stream import Counts
from vsr.engine.transfer import Moving, Transfer, leaving
from vsr.errors import DecodeError
from vsr.memory import peak_device_bytes, peak_host_bytes
from vsr.scenes import Listed, SceneMarker
from vsr.summary import Progress, Summary
from vsr.types import Chunk, Reader, Writer

__all__ = ["Progress", "Summary", "run"]

QUEUED_CHUNKS = 1
"""Chunks that may wait between two stages, beside the one each stage works on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """What travels between stages: frames, and the copied packets that were read with them."""

    frames: Moving | None
    packets: Sequence[Any] = ()


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


def run(
    reader: Reader,
    restorer: StreamRestorer,
    writer: Writer,
    *,
    scenes: SceneMarker | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore everything a reader has into a writer.

    Args:
        reader: Closed by the caller.
        restorer: Fresh, or reset.
        writer: Finished here; aborted where an error ends the run.
        scenes: Marks where scenes begin; None for the marks that the reader makes.
        on_progress: Called in the calling thread after each step.
        stop: Set it to end early; the output is closed, playable, and named as partial.

    Raises:
        DecodeError: The source broke in the middle; what was restored before that is kept under the
            partial name, and the message says so.
        VSRError: Any other error of any stage; nothing is left behind.
    """
    marker = scenes or Listed(numbers=frozenset(), times=())
    stages = _Stages(reader, restorer, writer, marker, on_progress, stop or threading.Event())
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


class _Stages:
    """The three stages of one run and what they count."""

    def __init__(
        self,
        reader: Reader,
        restorer: StreamRestorer,
        writer: Writer,
        marker: SceneMarker,
        on_progress: Callable[[Progress], None],
        stop: threading.Event,
    ) -> None:
        self.reader, self.restorer, self.writer, self.marker = reader, restorer, writer, marker
        self.on_progress, self.stop = on_progress, stop
        self.decoded: Channel[_Piece] = Channel(QUEUED_CHUNKS)
        self.restored: Channel[_Piece] = Channel(QUEUED_CHUNKS)
        self.frames_in = self.frames_out = 0
        self.started = time.perf_counter()

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
                thread.join()
        self.restored.raise_error()
        self.report()
        return broken

    def decode(self) -> None:
        """The decoding thread: read until the end, or until nobody listens."""
        torch.set_num_threads(1)
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
        packets = self.reader.take_packets()
        for frames in pieces or [None]:
            if not self.decoded.put(_Piece(frames=frames, packets=packets)):
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
                del piece
                self.hand_on(iter(()) if chunk is None else self.restorer.iter_push(chunk), packets)
                del chunk  # frames are large: none is kept while waiting for the next
        except DecodeError as error:
            if not self.frames_in:
                raise
            broken = error
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
            del chunk  # not to keep it alive while the next one is made
        if packets:
            self.restored.put(_Piece(frames=None, packets=packets))

    def encode(self) -> None:
        """The encoding thread: write until the end, or until something fails."""
        torch.set_num_threads(1)
        downwards = Transfer(self.restorer.device)
        try:
            for piece in self.restored:
                self.writer.write_packets(piece.packets)
                if piece.frames is not None:
                    self.writer.write(downwards.down(piece.frames))
                    self.frames_out += len(piece.frames.chunk)
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
            )
        )

    def summary(self, output: str, *, interrupted: bool) -> Summary:
        """What was done, once the output is closed."""
        seconds = time.perf_counter() - self.started
        counts = self.restorer.counts
        return Summary(
            output=output,
            frames_in=self.frames_in,
            frames_out=self.frames_out,
            passed_through=counts.passed_through,
            corrupt=self.reader.corrupt_frames,
            scenes=counts.scenes,
            resets=counts.resets,
            retries=counts.retries,
            settings=str(self.restorer.settings),
            seconds=round(seconds, 3),
            fps=round(self.frames_out / seconds, 2),
            peak_memory_bytes=peak_host_bytes(),
            peak_device_bytes=peak_device_bytes(self.restorer.device),
            interrupted=interrupted,
        )
