"""One live stream from its source to its sinks.

    source thread ──Queue──► this thread ──Channel──► writing thread ──► encoder ──► sinks
    decodes, reconnects      restores, holds          colours            each its own process

Arriving frames are restored in time, or handled by the overload policy. While the source is
lost, this thread sends the last frame, or a slate, at the pace of the clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from vsr.errors import OpenError
from vsr.faces.loading import FaceNetworks
from vsr.live.input.connection import Arrival, FormatChange
from vsr.live.input.fallback import FallbackSource, make_source
from vsr.live.input.pending import PendingAudio
from vsr.live.input.retry import Retry
from vsr.live.input.source import LOOK_EVERY_S, Source, SourceLost
from vsr.live.monitor.counted_log import CountedLog
from vsr.live.monitor.figures import Figures
from vsr.live.options import StreamOptions
from vsr.live.output.encoder import in_encoders_time, picture_of
from vsr.live.output.encoder_thread import EncoderThread
from vsr.live.output.output import Output
from vsr.live.output.sink import Sink
from vsr.live.restoration import LiveRestoration, LiveRestorer
from vsr.live.targets import check_targets
from vsr.live.timing.clock import Clock, rate_of
from vsr.live.timing.latency_plan import Stopped
from vsr.streams.names.target_lock import lock_target
from vsr.types import Chunk


def count(
    figures: Figures, source: Source | FallbackSource, clock: Clock, sinks: Sequence[Sink]
) -> None:
    """Update a stream's figures."""
    tally = figures.tally
    tally.corrupt, tally.reconnects = source.corrupt, source.reconnects
    tally.jumps = clock.jumps
    if isinstance(source, FallbackSource):
        tally.fallbacks, figures.on_fallback = source.fallbacks, source.on_fallback
    tally.reopened = sum(sink.reopened for sink in sinks)
    tally.lost_packets = sum(sink.lost for sink in sinks)
    figures.seen_at, figures.lead_s = time.monotonic(), clock.lead_s
    figures.source_queue = source.depth
    figures.sink_queue = max(sink.depth for sink in sinks)
    figures.sinks = [sink.figures() for sink in sinks]


def _resized(frames: Tensor, size: tuple[int, int]) -> Tensor:
    if size == tuple(frames.shape[-2:]):
        return frames
    return F.interpolate(frames, size, mode="bilinear", antialias=True)


def load_slate(path: Path) -> Tensor:
    """Load a picture of any size as (1, 3, H, W), float32 in [0, 1].

    Raises:
        OpenError: It cannot be read.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise OpenError(f"the slate '{path}' cannot be read ({error}); give a picture") from error
    return torch.from_numpy(pixels.copy()).movedim(-1, 0).float().div(255)[None]


log = logging.getLogger(__name__)

ROLES = ("target", "record")

SILENT_S = 1.0
"""A source that sends no frame for longer counts as gone until it sends again."""


class LiveStream:
    """A live stream; ``run`` belongs to one thread. Its files are locked until that has ended.

    Args:
        options: Options of the stream.
        restorer: A new restorer.
        figures: Figures of the stream, which it updates.
        faces: Networks for faces; None if they are not asked for.
        say: Called with messages, one sentence each.

    Raises:
        ConfigurationError: ``listen`` for a source that cannot be published to.
        OpenError: A target that cannot be written, or that another run writes.
    """

    def __init__(
        self,
        options: StreamOptions,
        restorer: LiveRestorer,
        figures: Figures,
        *,
        faces: FaceNetworks | None = None,
        say: Callable[[str], None] = log.info,
    ) -> None:
        self.options, self.figures, self._say = options, figures, say
        self._slate = None if options.slate is None else load_slate(options.slate)
        check_targets([options])
        with ExitStack() as locks:
            for target in options.targets:
                locks.enter_context(lock_target(target))
            self._sinks = self._make_sinks()
            self._source = make_source(
                self._make_source(options.source, listen=options.listen),
                options.fallback,
                self._make_source,
                options.name,
            )
            self._locks = locks.pop_all()
        figures.sinks = [sink.figures() for sink in self._sinks]
        if options.insecure:
            log.warning("%s: certificates are not verified, as was asked for", options.name)
        self._restoration = LiveRestoration(options, restorer, figures, faces)
        self._writing = EncoderThread(figures, options.latency_s)
        self._pending = PendingAudio()
        self._output: Output | None = None
        self._away, self._seen_at = False, time.monotonic()
        self._log = CountedLog(log)

    def _make_sinks(self) -> list[Sink]:
        options = self.options
        return [
            Sink(
                target,
                retry=Retry(options.retries),
                overwrite=options.overwrite,
                stream=options.name,
                role=role,
                trust=options.trust,
                latency_s=options.latency_s,
                segments=options.segments if role == "record" else None,
            )
            for role, target in zip(ROLES, options.targets, strict=False)
        ]

    def _make_source(self, address: str, *, listen: bool = False) -> Source:
        options = self.options
        return Source(
            address,
            listen=listen,
            retry=Retry(options.retries),
            trust=options.trust,
            max_pixels=options.max_pixels,
        )

    def run(self, stop: threading.Event) -> None:
        """Restore until the source ends finally, or ``stop`` is set; then close in order.

        Raises:
            VSRError: Source or sink are given up, or the encoder failed; emitted output is kept.
        """
        self._stop = stop
        self._source.start()
        try:
            with suppress(Stopped):
                self._until_the_end()
            self._finish()
        except BaseException:
            self.figures.state = "failed"
            self._abort()
            raise
        finally:
            self._source.close()
            self._locks.close()
        self.figures.state = "ended"

    def _until_the_end(self) -> None:
        stopped = False
        while True:
            if self._stop.is_set() and not stopped:
                stopped = True
                self._source.stop()
            event = self._source.next_event(0.0 if stopped else self._patience_s())
            if event is None and stopped:
                return
            if isinstance(event, FormatChange):
                self._begin(event)
            elif isinstance(event, Arrival):
                self._take(event)
            elif isinstance(event, SourceLost):
                self._lose()
                if event.error is not None:
                    raise event.error
                if event.final:
                    return
            self._look_around()

    def _patience_s(self) -> float:
        return float(self._clock.step) / 2 if self._away and self._output else LOOK_EVERY_S

    def _begin(self, event: FormatChange) -> None:
        frame_rate = rate_of(event.info.frame_rate)
        if self._output is None:
            self._open(event, frame_rate)
        else:
            self._hand_on(self._restoration.drain())
            if event.renewed:
                self._clock.restart()
                self._output.begin_sound(event.sound)
        self._plan(event, frame_rate)

    def _plan(self, event: FormatChange, frame_rate: Fraction) -> None:
        """Choose chunk and look-ahead for a frame rate."""
        self._begun, self._clock.step = event, 1 / frame_rate
        info, late = event.info, event.held_back
        rows, columns = self._restored_size(info.height, info.width)
        choice = self._restoration.plan(rows, columns, frame_rate, late, self._stop)
        if choice is not None:
            height, width = self._size
            self.figures.sizes = f"{info.width}x{info.height} to {width}x{height}"
            rate = f"{float(frame_rate):g} frames/s{', deinterlaced' if late else ''}"
            faces = self._restoration.faces_said()
            self._say(f"{self.options.name}: {self.figures.sizes} at {rate}; {choice}{faces}")

    def _restored_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which frames are restored: at most that of the first ones.

        The output stays as it is, so more would cost time and memory that were not planned; its
        pixels have the aspect ratio of the first ones.
        """
        most_rows, most_columns = self._first_size
        columns = width * float(self._begun.info.sample_aspect_ratio / self._aspect)
        ratio = min(1.0, most_rows / height, most_columns / columns)
        return max(1, round(height * ratio)), max(1, round(columns * ratio))

    def _open(self, event: FormatChange, frame_rate: Fraction) -> None:
        options = self.options
        picture = picture_of(event.info, self._restoration.scale, frame_rate)
        picture = in_encoders_time(picture, options.encoder, options.encode_args)
        self._clock = Clock(picture.time_base, 1 / frame_rate)
        self._output = Output(
            picture,
            event.sound,
            self._sinks,
            self._writing.left,
            encoder=options.encoder,
            arguments=options.encode_args,
        )
        for note in filter(None, [*self._output.notes, event.left_out]):
            log.warning("%s", note)
        self._size, self._aspect = (picture.height, picture.width), picture.aspect
        if self._slate is not None:
            rows, columns = self._slate.shape[-2:]
            self._slate = _resized(self._slate, (rows, max(1, round(columns / self._aspect))))
        self._first_size = (event.info.height, event.info.width)
        self._last = torch.zeros(1, 3, *self._size)
        self._writing.start(self._output)

    def _take(self, arrival: Arrival) -> None:
        if arrival.packet is not None:
            self._pending.add(arrival.packet)
        if arrival.chunk is not None:
            last = self._clock.last
            self._take_frame(arrival.chunk, arrival.at)
            if self._clock.last != last:
                self._seen_at, self._away = time.monotonic(), False
                self.figures.state = "running"
        self._place_sound()

    def _take_frame(self, chunk: Chunk, at: float) -> None:
        clock, tally = self._clock, self.figures.tally
        tally.frames_in += 1
        self.figures.before = chunk.frames[0]
        jumps, last = clock.jumps, clock.last
        pts = clock.frame(chunk.pts[0] * chunk.time_base, at)
        if (frame_rate := clock.other_rate()) is not None:
            self._plan(self._begun, frame_rate)
        if pts is None or self._restoration.should_skip(at):
            tally.skipped += 1
            return
        if self._away and last is not None:
            self._fill(clock.between(last, pts))
        starts = frozenset(chunk.scene_starts | ({0} if clock.jumps > jumps else set()))
        self._writing.note(pts * clock.time_base, at)
        frames = _resized(chunk.frames, self._restored_size(*chunk.frames.shape[-2:]))
        placed = replace(
            chunk, frames=frames, pts=(pts,), time_base=clock.time_base, scene_starts=starts
        )
        self._hand_on(self._restoration.push(placed, at, self._source.depth))

    def _hand_on(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            # A copy: part of the chunk would hold all of it in memory until the next one.
            self._last = chunk.frames[-1:].clone()
            self._send(chunk, self._last)

    def _send(self, chunk: Chunk, shown: torch.Tensor) -> None:
        assert self._output is not None
        self._writing.put(chunk)
        self.figures.after = shown[0]
        self._output.fill_sound(chunk.pts[-1] * chunk.time_base)

    def _place_sound(self) -> None:
        if self._output is not None:
            for packet, moment in self._pending.placed(self._clock):
                self._output.write_sound(packet, moment)

    def _lose(self) -> None:
        """Handle a lost source: emit waiting frames, then hold the last one."""
        self._hand_on(self._restoration.drain())
        self._pending.forget()
        self._away = True
        if self._output is not None:
            self.figures.state = "away"

    def _look_around(self) -> None:
        """Periodic work: held frames, errors of sinks, figures."""
        if self._output is None:
            return
        self._output.raise_error()
        if not self._away and time.monotonic() - self._seen_at > SILENT_S:
            self._lose()
        if self._away:
            self._fill(self._clock.held(time.monotonic(), self.options.latency_s))
        self._adapt_rate(self._output)
        count(self.figures, self._source, self._clock, self._sinks)

    def _adapt_rate(self, output: Output) -> None:
        """Adapt the encoder's bit rate to the sinks."""
        before, figures, now = self.figures.bit_rate_limit, self.figures, time.monotonic()
        if (limit := output.adapt(now)) == before:
            return
        figures.bit_rate_limit = limit
        lowered = limit is not None and (before is None or limit < before)
        figures.tally.bit_rate_cuts += lowered
        limit_text = "no limit" if limit is None else f"{limit / 1000:.0f} kbit/s at most"
        self._log.warning("bit rate", f"{self.options.name}: the picture gets {limit_text}", now)

    def _fill(self, times: list[int]) -> None:
        """Send the last frame, or the slate, at these pts."""
        picture = self._last if self._slate is None else self._slate
        for pts in times:
            self.figures.tally.held += 1
            self._send(Chunk(frames=picture, pts=(pts,), time_base=self._clock.time_base), picture)

    def _finish(self) -> None:
        if self._output is None:
            return
        self._hand_on(self._restoration.drain())
        self._writing.finish()
        self._output.finish()
        count(self.figures, self._source, self._clock, self._sinks)

    def _abort(self) -> None:
        self._source.stop()
        self._writing.abort()
        if self._output is not None:
            self._output.abort()
            count(self.figures, self._source, self._clock, self._sinks)
