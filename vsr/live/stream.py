"""A running stream from its source to its sinks.

    source thread ──Queue──► this thread ──Channel──► writing thread ──► encoder ──► sinks
    decodes, reconnects      restores, holds          colours            each its own process

Frames that arrive are restored in time or, by the policy asked for, give way. While the source is
gone, this thread sends the last frame, or a slate, at the pace of the clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol

import torch
from av import Packet
from av.stream import Stream as AVStream

from vsr.channel import Channel
from vsr.engine.settings import Settings
from vsr.engine.stream import Counts
from vsr.live.clock import Clock
from vsr.live.connection import Arrival, Beginning, rate_of
from vsr.live.encoder import picture_of
from vsr.live.figures import Figures
from vsr.live.options import StreamOptions
from vsr.live.outlet import Outlet, check_target
from vsr.live.output import Output
from vsr.live.overload import Governor, Level, Load
from vsr.live.plan import choose, measure
from vsr.live.retry import Retry
from vsr.live.slate import load_slate
from vsr.live.source import LOOK_EVERY_S, Lost, Source
from vsr.models.network import Network
from vsr.types import Chunk, StreamInfo

log = logging.getLogger(__name__)

SILENT_S = 1.0
"""A source that sends nothing for longer counts as gone until it sends again."""

WAITING_EVENTS = 500
"""Frames and packets of sound that may wait: beyond, the source is held back."""

MOST_PENDING = 500
"""Packets of sound that may wait for the frames of their time."""

QUEUED = 2


class Restoring(Protocol):
    """What restores the stream: a ``Restorer``, or a share of one for several streams."""

    @property
    def network(self) -> Network[Any]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def counts(self) -> Counts: ...

    @property
    def num_waiting(self) -> int: ...

    def change(self, *, chunk: int | None = None, look_ahead: int | None = None) -> None: ...

    def push(self, chunk: Chunk) -> list[Chunk]: ...

    def pass_through(self, chunk: Chunk) -> list[Chunk]: ...

    def drain(self) -> list[Chunk]: ...


class LiveStream:
    """One stream; ``run`` belongs to one thread.

    Args:
        options: What is asked for.
        restorer: Fresh.
        figures: Kept up to date.
        say: Told what was chosen, a sentence each.

    Raises:
        OpenError: A target that cannot be written.
    """

    def __init__(
        self,
        options: StreamOptions,
        restorer: Restoring,
        figures: Figures,
        *,
        say: Callable[[str], None] = log.info,
    ) -> None:
        self.options, self.figures = options, figures
        self._restorer, self._say = restorer, say
        self._slate = None if options.slate is None else load_slate(options.slate)
        targets = [options.target, *([options.record] if options.record else [])]
        for target in targets:
            check_target(target)
        self._outlets = [
            Outlet(target, retry=Retry(options.retries), overwrite=options.overwrite)
            for target in targets
        ]
        self._source = Source(
            options.source,
            listen=options.listen,
            retry=Retry(options.retries),
            waiting=WAITING_EVENTS,
        )
        self._written: Channel[Chunk] = Channel(QUEUED)
        self._arrived: dict[Fraction, float] = {}
        self._inside: deque[float] = deque()
        self._pending: deque[Packet[AVStream]] = deque(maxlen=MOST_PENDING)
        self._output: Output | None = None
        self._writer: threading.Thread | None = None
        self._away = False
        self._heard_at = time.monotonic()
        self._passed_before = 0
        self._planned: tuple[int, int, Fraction] | None = None

    def run(self, stop: threading.Event) -> None:
        """Restore until the source ends for good, or ``stop`` is set; then close in order.

        Raises:
            VSRError: Source or sink are given up, or the encoder failed; what was sent is kept.
        """
        self._source.start()
        try:
            self._until_the_end(stop)
            self._finish()
        except BaseException:
            self.figures.state = "failed"
            self._abort()
            raise
        self.figures.state = "ended"

    def _until_the_end(self, stop: threading.Event) -> None:
        stopped = False
        while True:
            if stop.is_set() and not stopped:
                stopped = True
                self._source.stop()
            event = self._source.next_event(0.0 if stopped else self._patience_s())
            if event is None and stopped:
                return
            if isinstance(event, Beginning):
                self._begin(event)
            elif isinstance(event, Arrival):
                self._take(event)
            elif isinstance(event, Lost):
                self._lose()
                if event.error is not None:
                    raise event.error
                if event.final:
                    return
            self._look_around()

    def _patience_s(self) -> float:
        return float(self._clock.step) / 2 if self._away and self._output else LOOK_EVERY_S

    def _begin(self, event: Beginning) -> None:
        info = event.info
        frame_rate = rate_of(info.frame_rate)
        if self._output is None:
            self._open(event, frame_rate)
        else:
            self._flush()
            if event.renewed:
                self._clock.restart()
                self._output.begin_sound(event.sound)
        self._plan(info, frame_rate)

    def _open(self, event: Beginning, frame_rate: Fraction) -> None:
        picture = picture_of(event.info, self._restorer.network.facts.scale, frame_rate)
        self._clock = Clock(picture.time_base, 1 / frame_rate)
        self._output = Output(
            picture,
            event.sound,
            self._outlets,
            self._left,
            encoder=self.options.encoder,
            arguments=self.options.encode_args,
        )
        for note in self._output.notes:
            log.warning("%s", note)
        self._size = (picture.height, picture.width)
        self._held = torch.zeros(1, 3, *self._size)
        self._writer = threading.Thread(target=self._write, name="vsr-live-write", daemon=True)
        self._writer.start()

    def _plan(self, info: StreamInfo, frame_rate: Fraction) -> None:
        """Choose chunk and look-ahead for what follows, unless nothing has changed; say so."""
        planned = (info.height, info.width, frame_rate)
        if planned == self._planned:
            return
        self._planned = planned
        network, budget_s = self._restorer.network, self.options.latency_s
        self._clock.step = 1 / frame_rate
        speed = measure(network, self._restorer.device, info.height, info.width)
        choice = choose(network.facts, speed, frame_rate, budget_s)
        self._governor = Governor(
            choice,
            speed,
            float(1 / frame_rate),
            sees_end=network.facts.sees_end,
            policy=self.options.on_overload,
        )
        self._restorer.change(chunk=choice.chunk, look_ahead=choice.look_ahead)
        height, width = self._size
        self.figures.sizes = f"{info.width}x{info.height} to {width}x{height}"
        self._say(
            f"{self.options.name}: {self.figures.sizes} at {float(frame_rate):g} frames/s; {choice}"
        )

    def _take(self, arrival: Arrival) -> None:
        if arrival.packet is not None:
            self._pending.append(arrival.packet)
        if arrival.chunk is not None:
            self._take_frame(arrival.chunk, arrival.at)
            self._heard_at, self._away = time.monotonic(), False
            self.figures.state = "running"
        self._place_sound()

    def _take_frame(self, chunk: Chunk, at: float) -> None:
        tally = self.figures.tally
        tally.frames_in += 1
        self.figures.before = chunk.frames[0]
        jumps, last = self._clock.jumps, self._clock.last
        pts = self._clock.frame(chunk.pts[0] * chunk.time_base, at)
        if pts is None or self._governor.skips(time.monotonic() - at):
            tally.skipped += 1
            return
        if self._away and last is not None:
            self._fill(self._clock.between(last, pts))
        starts = chunk.scene_starts | ({0} if self._clock.jumps > jumps else set())
        base = self._clock.time_base
        self._arrived[pts * base] = at
        placed = replace(chunk, pts=(pts,), time_base=base, scene_starts=frozenset(starts))
        self._inside.append(at)
        self._hand_on(self._restore(placed, self._decide()))

    def _decide(self) -> Level:
        now = time.monotonic()
        load = Load(
            age_s=now - self._inside[0], waiting=len(self._inside), queued=self._source.depth
        )
        before = self._governor.level
        level = self._governor.decide(load, now)
        if level is not before:
            log.warning("%s: %s, after %s", self.options.name, level.name, before.name)
            self.figures.level = level.name
            if level.chunk:
                self._restorer.change(chunk=level.chunk, look_ahead=level.look_ahead)
        return level

    def _restore(self, chunk: Chunk, level: Level) -> list[Chunk]:
        if not level.chunk:
            return self._restorer.pass_through(chunk)
        began = time.perf_counter()
        restored = self._restorer.push(chunk)
        if restored:
            self._governor.learn((time.perf_counter() - began) / len(restored))
        return restored

    def _hand_on(self, chunks: list[Chunk]) -> None:
        """Give restored frames to the writing thread."""
        passed = self._restorer.counts.passed_through
        num_frames = sum(len(chunk) for chunk in chunks)
        tally = self.figures.tally
        tally.passed_through += passed - self._passed_before
        tally.restored += num_frames - (passed - self._passed_before)
        self._passed_before = passed
        for chunk in chunks:
            for _ in chunk.pts:
                self._inside.popleft()
            self._held = chunk.frames[-1:]
            self._send(chunk)

    def _send(self, chunk: Chunk) -> None:
        assert self._output is not None
        self._written.put(chunk)
        self._output.fill_sound(chunk.pts[-1] * chunk.time_base)

    def _place_sound(self) -> None:
        """Give sound its time, as far as the frames around it have theirs."""
        if self._output is None:
            return
        for _ in range(len(self._pending)):
            packet = self._pending.popleft()
            stamp = packet.pts if packet.pts is not None else packet.dts
            assert stamp is not None
            moment = self._clock.sound(stamp * packet.time_base)
            if moment is None:
                self._pending.append(packet)
            else:
                self._output.write_sound(packet, moment)

    def _lose(self) -> None:
        """The source is gone: what waits leaves, and the picture is held from now on."""
        self._flush()
        self._pending.clear()
        self._away = True
        if self._output is not None:
            self.figures.state = "away"

    def _flush(self) -> None:
        if self._inside:
            self._hand_on(self._restorer.drain())

    def _look_around(self) -> None:
        """What is due whatever arrives: held frames, errors of the sinks, figures."""
        if self._output is None:
            return
        self._output.raise_error()
        if not self._away and time.monotonic() - self._heard_at > SILENT_S:
            self._lose()
        if self._away:
            self._hold()
        self._count()

    def _hold(self) -> None:
        while (pts := self._clock.held(time.monotonic(), self.options.latency_s)) is not None:
            self._fill([pts])

    def _fill(self, times: list[int]) -> None:
        """Send the last frame, or the slate, at these pts."""
        picture = self._held if self._slate is None else self._slate
        for pts in times:
            self.figures.tally.held += 1
            self._send(Chunk(frames=picture, pts=(pts,), time_base=self._clock.time_base))

    def _count(self) -> None:
        figures, tally = self.figures, self.figures.tally
        tally.corrupt, tally.reconnects = self._source.corrupt, self._source.reconnects
        tally.jumps = self._clock.jumps
        tally.reopened = sum(outlet.reopened for outlet in self._outlets)
        tally.lost_packets = sum(outlet.lost for outlet in self._outlets)
        figures.source_queue = self._source.depth
        figures.sink_queue = max(outlet.depth for outlet in self._outlets)

    def _write(self) -> None:
        """The writing thread."""
        torch.set_num_threads(1)
        assert self._output is not None
        try:
            for chunk in self._written:
                self.figures.after = chunk.frames[-1]
                self._output.write(chunk)
        except BaseException as error:
            self._written.close(error)

    def _left(self, moment: Fraction) -> None:
        """A picture has left the encoder."""
        self.figures.tally.frames_out += 1
        at = self._arrived.pop(moment, None)
        if at is not None:
            self.figures.leave(time.monotonic() - at, self.options.latency_s)

    def _finish(self) -> None:
        if self._output is None:
            return
        self._flush()
        self._written.close()
        assert self._writer is not None
        self._writer.join()
        self._written.raise_error()
        self._output.finish()
        self._count()

    def _abort(self) -> None:
        self._source.stop()
        self._written.close()
        if self._writer is not None:
            self._writer.join()
        if self._output is not None:
            self._output.abort()
