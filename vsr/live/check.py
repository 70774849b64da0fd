"""``vsr live --check``: a trial of a stream for some seconds.

Sources are read, the network is timed on frames of their size, and every sink gets two seconds of
the picture: an address for real, a file under another name, which is removed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from vsr.address import is_address, shown
from vsr.errors import OpenError, StreamTimeout, VSRError
from vsr.faces.loading import FaceNetworks
from vsr.live.input.connection import Arrival, FormatChange
from vsr.live.input.retry import Retry
from vsr.live.input.source import Source, SourceLost
from vsr.live.monitor.figures import Figures
from vsr.live.options import StreamOptions
from vsr.live.output.encoder import OutputPicture, in_encoders_time, picture_of
from vsr.live.output.output import Output
from vsr.live.output.sink import Sink
from vsr.live.restoration import LiveRestoration, LiveRestorer
from vsr.live.timing.clock import OTHER_BY, rate_of
from vsr.live.timing.latency_plan import BUSY, LatencyPlan, Stopped
from vsr.streams.names.target_lock import lock_target
from vsr.types import Chunk, StreamInfo

CONNECTING_S = 20.0
"""Seconds that a source, or an expected publisher, may take until its first picture."""

WATCHED_S = 2.0
"""Seconds for which a source is read, and a sink written to."""

MOST_FRAMES = 60


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of a check.

    Attributes:
        what: Subject: ``source``, ``fallback``, ``speed``, ``latency``, ``target`` or ``record``.
        works: Whether it does what was asked for.
        text: The finding and its consequence, as text.
        work: Share of the time that restoring takes.
    """

    what: str
    works: bool
    text: str
    work: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SourceFound:
    """Format and rate of a source.

    Attributes:
        event: Format of the source.
        frames: First frames of the source.
        first_s: Seconds until the first one.
        rate: Frames per second, by their times where the announced rate differs.
    """

    event: FormatChange
    frames: list[Chunk]
    first_s: float
    rate: Fraction


def check_stream(
    options: StreamOptions,
    restorer: LiveRestorer,
    stop: threading.Event,
    faces: FaceNetworks | None = None,
) -> Iterator[Finding]:
    """Try a stream's sources, the network and the sinks.

    Args:
        options: Options of the stream; its targets were checked.
        restorer: Fresh.
        stop: Set it to end the check.
        faces: Networks for faces; None if they are not asked for.

    Raises:
        Stopped: ``stop`` was set.
    """
    found: SourceFound | None = None
    for what, address in zip(("source", "fallback"), options.sources, strict=False):
        try:
            one = _read(address, options, what == "source" and options.listen, stop)
        except VSRError as error:
            yield Finding(what=what, works=False, text=f"{error}; {_instead(what, options)}")
        else:
            found = found or one
            yield Finding(what=what, works=True, text=_described(address, one))
    if found is not None:
        yield from _timed(options, restorer, found, stop, faces)
    picture = _picture(options, restorer, found)
    for what, target in zip(("target", "record"), options.targets, strict=False):
        yield _written(what, target, options, picture, found, stop)


def _read(address: str, options: StreamOptions, listen: bool, stop: threading.Event) -> SourceFound:
    source = Source(
        address,
        listen=listen,
        retry=Retry(0),
        trust=options.trust,
        max_pixels=options.max_pixels,
    )
    began, first_at = time.monotonic(), 0.0
    event: FormatChange | None = None
    frames: list[Chunk] = []
    source.start()
    try:
        while not stop.is_set() and not (first_at and time.monotonic() - first_at > WATCHED_S):
            came = source.next_event(0.1)
            if isinstance(came, SourceLost):
                if came.error is not None:
                    raise came.error
                break
            if isinstance(came, FormatChange):
                event = event or came
            elif isinstance(came, Arrival) and came.chunk is not None:
                first_at = first_at or time.monotonic()
                frames += [came.chunk] if len(frames) < MOST_FRAMES else []
            if not first_at and time.monotonic() - began > CONNECTING_S:
                break
    finally:
        source.close()
    if stop.is_set():
        raise Stopped
    if event is None:
        raise StreamTimeout(f"{shown(address)} sent no picture within {CONNECTING_S:g} s")
    rate = _rate(rate_of(event.info.frame_rate), frames)
    return SourceFound(event=event, frames=frames, first_s=first_at - began, rate=rate)


def _rate(announced: Fraction, frames: Sequence[Chunk]) -> Fraction:
    """The announced rate, or that of the frames where it clearly differs."""
    times = [chunk.pts[0] * chunk.time_base for chunk in frames]
    steps = sorted(later - time for time, later in pairwise(times) if later > time)
    if not steps:
        return announced
    step = steps[len(steps) // 2]
    if step * OTHER_BY > 1 / announced and OTHER_BY / announced > step:
        return announced
    return rate_of((1 / step).limit_denominator(100))


def _described(address: str, found: SourceFound) -> str:
    info, sound = found.event.info, found.event.sound
    audio = "no sound" if sound is None else f"sound {sound.codec_context.codec.canonical_name}"
    return (
        f"{shown(address)} sends {info.width}x{info.height} at "
        f"{float(found.rate):g} frames/s, {audio}; "
        f"the first picture after {found.first_s:.1f} s"
    )


def _instead(what: str, options: StreamOptions) -> str:
    attempts = "without end" if options.retries is None else f"{options.retries} times"
    shows = "the slate" if options.slate is not None else "the last frame"
    if what == "source" and options.fallback is not None:
        shows = "the fallback"
    return f"it would be tried again {attempts}, and {shows} shown meanwhile"


def _timed(
    options: StreamOptions,
    restorer: LiveRestorer,
    found: SourceFound,
    stop: threading.Event,
    faces: FaceNetworks | None,
) -> Iterator[Finding]:
    info, frame_rate = found.event.info, found.rate
    restoration = LiveRestoration(options, restorer, Figures(name=options.name), faces)
    choice = restoration.plan(info.height, info.width, frame_rate, found.event.held_back, stop)
    assert choice is not None
    yield Finding(
        what="speed",
        works=choice.keeps_up,
        text=_speed(options, choice, frame_rate),
        work=choice.restoring_s / choice.chunk * float(frame_rate),
    )
    in_time = choice.latency_s <= options.latency_s
    yield Finding(what="latency", works=in_time, text=f"{choice}{restoration.faces_said()}")


def _speed(options: StreamOptions, choice: LatencyPlan, frame_rate: Fraction) -> str:
    rate = BUSY * choice.chunk / choice.restoring_s
    speed = f"{rate:.1f} frames/s can be restored beside the encoder, {float(frame_rate):g} come"
    if choice.keeps_up:
        return f"{speed}: every frame is restored"
    share = f"about {min(1.0, rate / frame_rate):.0%} of the frames are restored"
    others = {
        "degrade": "the others enlarged",
        "skip": "the others left out",
        "block": "and the output falls ever further behind",
    }
    return f"{speed}: {share}, {others[options.on_overload]}"


def _picture(
    options: StreamOptions, restorer: LiveRestorer, found: SourceFound | None
) -> OutputPicture:
    """The output's format, or a small one where no source could be read."""
    rate = Fraction(25) if found is None else found.rate
    info = (
        StreamInfo(height=180, width=320, time_base=1 / rate, frame_rate=rate)
        if found is None
        else found.event.info
    )
    picture = picture_of(info, restorer.network.facts.scale, rate)
    return in_encoders_time(picture, options.encoder, options.encode_args)


def _written(
    what: str,
    target: str,
    options: StreamOptions,
    picture: OutputPicture,
    found: SourceFound | None,
    stop: threading.Event,
) -> Finding:
    frames = [chunk.frames for chunk in found.frames] if found else [torch.zeros(1, 3, 180, 320)]
    name = target
    try:
        with lock_target(target), _trial_name(target) as name:
            segments = options.segments if what == "record" else None
            Sink(target, retry=Retry(0), overwrite=options.overwrite, segments=segments)
            sink = Sink(name, retry=Retry(0), overwrite=True, role=what, trust=options.trust)
            _write(sink, options, picture, frames, stop)
            load = sink.load()
    except VSRError as error:
        problem = str(error).replace(name, target)
        meanwhile = "the stream would end" if what == "target" else "the target would go on"
        return Finding(what=what, works=False, text=f"{problem}; {meanwhile}")
    bits_s = 8 * load.taken / WATCHED_S
    text = f"{shown(target)} took {WATCHED_S:g} s of the picture, {bits_s / 1000:.0f} kbit/s"
    return Finding(what=what, works=True, text=text)


def _write(
    sink: Sink,
    options: StreamOptions,
    picture: OutputPicture,
    frames: Sequence[torch.Tensor],
    stop: threading.Event,
) -> None:
    """Send the frames for a while at their pace.

    Raises:
        VSRError: The encoder failed, or the sink.
        Stopped: ``stop`` was set.
    """
    output = Output(
        picture, None, [sink], _ignore, encoder=options.encoder, arguments=options.encode_args
    )
    began = time.monotonic()
    try:
        for number in range(max(1, round(WATCHED_S * picture.frame_rate))):
            if stop.is_set():
                raise Stopped
            moment = number / picture.frame_rate
            pts = round(moment / picture.time_base)
            pixels = frames[number % len(frames)]
            output.write(Chunk(frames=pixels, pts=(pts,), time_base=picture.time_base))
            time.sleep(max(0.0, began + float(moment) - time.monotonic()))
    except BaseException:
        output.abort()
        raise
    output.finish()


def _ignore(_moment: Fraction) -> None:
    """Ignore a latency, which is not measured here."""


@contextmanager
def _trial_name(target: str) -> Iterator[str]:
    """An address unchanged; for a file another one beside it, which is removed."""
    if is_address(target):
        yield target
        return
    path = Path(target)
    try:
        trial = TemporaryDirectory(dir=path.parent, prefix=".vsr-check-")
    except OSError as error:
        raise OpenError(f"{target!r} cannot be written ({error.strerror})") from error
    with trial as folder:
        yield str(Path(folder) / path.name)
