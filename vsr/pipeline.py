"""From a source to a sink: decode, restore and encode side by side.

    decoding thread ──Channel──► calling thread ──Channel──► encoding thread
    reader.chunks()              restorer.push()             writer.write()

Queues are short, so that a slow stage holds back the ones before it and memory does not depend on
length. The first error of any stage ends all three and is the one that is raised.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vsr.channel import Channel
from vsr.errors import DecodeError
from vsr.memory import peak_device_bytes, peak_host_bytes
from vsr.restorer import Restorer
from vsr.types import Chunk, Reader, Writer

QUEUED_CHUNKS = 1
"""Chunks that may wait between two stages, beside the one each stage works on."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        frames: Frames handed to the encoder.
        total: Frames expected; None where the source does not say.
        seconds: Since the first frame was asked for.
    """

    frames: int
    total: int | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did.

    Attributes:
        output: Name of the result; a partial one's differs from the name asked for, and it is empty
            where the run was stopped before the first frame.
        frames_in: Frames decoded.
        frames_out: Frames encoded.
        passed_through: Frames of those that no network restored, only enlarged.
        corrupt: Frames that the source held damaged; what the decoder made of them was restored.
        scenes: Scenes that began, the first included.
        seconds: From the first frame asked for to the closed output.
        fps: Frames out per second.
        peak_memory_bytes: Largest resident size of the process.
        peak_device_bytes: Most memory held on a CUDA device.
        interrupted: Whether the run was stopped before the end.
    """

    output: str
    frames_in: int
    frames_out: int
    passed_through: int
    corrupt: int
    scenes: int
    seconds: float
    fps: float
    peak_memory_bytes: int
    peak_device_bytes: int | None
    interrupted: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """What travels between stages: frames, and the copied packets that were read with them."""

    chunk: Chunk | None
    packets: Sequence[Any] = ()


def run(
    reader: Reader,
    restorer: Restorer,
    writer: Writer,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore everything a reader has into a writer.

    Args:
        reader: Closed by the caller.
        restorer: Fresh, or reset.
        writer: Finished here; aborted where an error ends the run.
        on_progress: Called in the calling thread after each step.
        stop: Set it to end early; the output is closed, playable, and named as partial.

    Raises:
        DecodeError: The source broke in the middle; what was restored before that is kept under the
            partial name, and the message says so.
        VSRError: Any other error of any stage; nothing is left behind.
    """
    stages = _Stages(reader, restorer, writer, on_progress, stop or threading.Event())
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
        restorer: Restorer,
        writer: Writer,
        on_progress: Callable[[Progress], None],
        stop: threading.Event,
    ) -> None:
        self.reader, self.restorer, self.writer = reader, restorer, writer
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
        try:
            for chunk in self.reader.chunks(self.restorer.chunk):
                if not self.decoded.put(_Piece(chunk=chunk, packets=self.reader.take_packets())):
                    return
            self.decoded.put(_Piece(chunk=None, packets=self.reader.take_packets()))
        except DecodeError as error:
            self.decoded.put(_Piece(chunk=None, packets=self.reader.take_packets()))
            self.decoded.close(error)
        except BaseException as error:
            self.decoded.close(error)
        else:
            self.decoded.close()

    def restore(self) -> DecodeError | None:
        """The calling thread: push, and drain at the end."""
        broken = None
        try:
            for piece in self.decoded:
                if self.stop.is_set():
                    return None
                chunks = [] if piece.chunk is None else self.restorer.push(piece.chunk)
                self.frames_in += 0 if piece.chunk is None else len(piece.chunk)
                self.hand_on(chunks, piece.packets)
                del piece, chunks
        except DecodeError as error:
            if not self.frames_in:
                raise
            broken = error
        self.hand_on(self.restorer.drain())
        return broken

    def hand_on(self, chunks: Sequence[Chunk], packets: Sequence[Any] = ()) -> None:
        """Give restored chunks, and the packets read since the last, to the encoding thread."""
        for chunk in chunks:
            if not self.stop.is_set():
                self.restored.put(_Piece(chunk=chunk, packets=packets))
                packets = ()
                self.report()
        if packets:
            self.restored.put(_Piece(chunk=None, packets=packets))

    def encode(self) -> None:
        """The encoding thread: write until the end, or until something fails."""
        torch.set_num_threads(1)
        try:
            for piece in self.restored:
                self.writer.write_packets(piece.packets)
                if piece.chunk is not None:
                    self.writer.write(piece.chunk)
                    self.frames_out += len(piece.chunk)
                del piece  # frames are large: none is kept while waiting for the next
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
        return Summary(
            output=output,
            frames_in=self.frames_in,
            frames_out=self.frames_out,
            passed_through=self.restorer.passed_through,
            corrupt=self.reader.corrupt_frames,
            scenes=self.restorer.counts.scenes,
            seconds=round(seconds, 3),
            fps=round(self.frames_out / seconds, 2),
            peak_memory_bytes=peak_host_bytes(),
            peak_device_bytes=peak_device_bytes(self.restorer.device),
            interrupted=interrupted,
        )
