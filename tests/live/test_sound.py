"""Sound by itself: what takes its place where it is missing."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from tests.live.harness import asked, look, running
from tests.live.listening import convert, heard, largest_gap, loudness, time_of
from vsr.live.audio.transcoder import HOLE
from vsr.live.input.connection import Arrival, Connection
from vsr.live.input.pending import PendingAudio
from vsr.live.timing.clock import Clock

FLV_HEADER = 13
"""Bytes before the first tag."""


@pytest.mark.parametrize("missing_s", [Fraction(1, 5), Fraction(7, 5)])
def test_a_hole_before_sound_that_returns_is_filled(missing_s: Fraction, clip: Path) -> None:
    with heard(clip) as (sound, _, packets):
        before = [one for p in packets[1:20] for one in sound.take(p, time_of(p))]
        after = [one for p in packets[20:40] for one in sound.take(p, time_of(p) + missing_s)]
    assert [one.data for one in after[-20:]] == [bytes(packet) for packet in packets[20:40]]
    assert largest_gap(before + after) < 2 * Fraction(1024, 48000)


def test_sound_that_begins_late_begins_late(clip: Path) -> None:
    with heard(clip) as (sound, _, packets):
        assert len(sound.take(packets[1], Fraction(1))) == 1


def test_rounded_times_are_no_hole(clip: Path) -> None:
    with heard(clip) as (sound, _, packets):
        taken = [
            sound.take(p, i * (Fraction(1024, 48000) + HOLE / 2))
            for i, p in enumerate(packets[1:20])
        ]
    assert {len(coded) for coded in taken} == {1}


def test_sound_transcoded_keeps_its_place_behind_a_hole(clip: Path, tmp_path: Path) -> None:
    other = convert(clip, tmp_path / "other.mkv", "-vn", "-c:a", "libmp3lame")
    with heard(clip) as (sound, _, packets), av.open(str(other)) as container:
        stream: Any = container.streams.audio[0]
        first = [one for p in packets[1:10] for one in sound.take(p, time_of(p))]
        sound.begin(stream)
        coded, missing_s = list(first), Fraction(4, 5)
        for number, packet in enumerate(p for p in container.demux(stream) if p.size):
            time = Fraction(1, 5) + time_of(packet) + (missing_s if number >= 40 else 0)
            coded += sound.take(packet, time)
            end = time
    assert largest_gap(coded) < HOLE
    # What the encoder holds back aside, sound ends where its packets do.
    assert 0 <= end - coded[-1].time < Fraction(1, 4)


@pytest.mark.parametrize(
    ("codec", "container"),
    [(codec, "mkv") for codec in ("aac", "libmp3lame", "libopus", "ac3", "flac", "pcm_u8")]
    + [("aac", "ts"), ("ac3", "ts")],
)
def test_silence_is_of_the_form_of_the_sound(
    codec: str, container: str, clip: Path, tmp_path: Path
) -> None:
    words = ["-vn", "-c:a", codec, *(["-sample_fmt", "s32"] if codec == "flac" else [])]
    with heard(convert(clip, tmp_path / f"sound.{container}", *words)) as (sound, kept, packets):
        times = [time_of(packet) - time_of(packets[0]) for packet in packets[:20]]
        coded = [
            one
            for p, t in zip(packets[:20], times, strict=True)
            for one in sound.take(p, t + HOLE / 2)
        ]
        silence = sound.silence(times[-1] + 4)
        assert len(silence) > 10
        assert largest_gap(coded[-1:] + silence) < HOLE
        said = loudness(coded + silence, kept.streams[0])
    middle = 128 if codec == "pcm_u8" else 0
    assert abs(said[-1] - middle) <= 1e-3
    assert max(said) > middle + 1e-2


def test_sound_from_before_a_jump_back_does_not_take_the_place_of_what_follows(
    clip: Path,
) -> None:
    """A publisher that returns begins at nought; what waits of the one before is of no frame."""
    clock, pending = Clock(Fraction(1, 1000)), PendingAudio()
    with heard(clip) as (_, _, packets):
        for packet in packets[1:]:
            assert packet.pts is not None
        late = packets[60:70]
        for packet in late:
            packet.pts = packet.dts = (packet.pts or 0) + 5 * 48000
        for packet in [*late, *packets[1:60]]:
            pending.add(packet)
    placed = []
    for number in range(200):
        clock.frame(Fraction(number, 25), number / 25)
        placed += [moment for _, moment in pending.placed(clock)]
    assert placed == [time_of(packet) for packet in packets[1:60]]


def test_sound_of_a_time_without_picture_does_not_wait_for_ever(clip: Path) -> None:
    """The picture is missing for ten seconds, and comes back with times that continue."""
    clock, pending = Clock(Fraction(1, 1000)), PendingAudio()
    clock.frame(Fraction(0), 0.0)
    with heard(clip) as (_, _, packets):
        for number, packet in enumerate(packets[1:60]):
            packet.pts = packet.dts = number * 48000 // 5
            pending.add(packet)
    assert [time for _, time in pending.placed(clock)] == [Fraction(n, 5) for n in range(16)]
    assert list(pending.placed(clock)) == []
    clock.frame(Fraction(10), 10.0)
    assert [time for _, time in pending.placed(clock)] == [Fraction(n, 5) for n in range(35, 59)]
    # What was of no frame is gone: it would be of this one otherwise.
    clock.restart()
    clock.frame(Fraction(5), 10.1)
    assert list(pending.placed(clock)) == []


def jumping(clip: Path, folder: Path) -> Path:
    """The end of one publisher's sound, and then another publisher who begins at nought."""
    words = ["-vn", "-c", "copy", "-t", "0.5", "-output_ts_offset", "3.5"]
    late = convert(clip, folder / "late.flv", *words)
    whole = convert(clip, folder / "whole.flv", "-c", "copy")
    source = folder / "source.flv"
    source.write_bytes(late.read_bytes() + whole.read_bytes()[FLV_HEADER:])
    return source


def test_sound_before_the_first_frame_is_of_that_frames_time(clip: Path, tmp_path: Path) -> None:
    connection = Connection(str(jumping(clip, tmp_path)))
    connection.interrupt()
    arrived = [event for event in connection.arrivals() if isinstance(event, Arrival)]
    times = [time_of(event.packet) for event in arrived if event.packet is not None]
    connection.close()
    assert len(times) > 80
    assert times == sorted(times)
    assert times[0] < 1


def test_a_publisher_who_returns_while_the_stream_is_probed_is_heard_whole(
    long_clip: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mkv"
    with running(asked(jumping(long_clip, tmp_path), copy)) as stream:
        stream.wait()
    seen = look(copy)
    seen.assert_ordered()
    assert len(seen.numbers) == 125
    assert len(seen.sound) > 5 * 48000 / 1024 - 5
    assert max(b - a for a, b in pairwise(seen.sound)) < HOLE
