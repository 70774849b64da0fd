"""Sound that becomes another, and times of it that are false."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av import Packet

from tests.live.listening import audible, convert, heard, largest_gap, time_of
from vsr.live.audio.transcoder import HOLE


@pytest.mark.parametrize("words", [["-ar", "44100", "-ac", "2"], ["-ar", "48000", "-ac", "6"]])
def test_sound_of_other_parameters_in_the_same_connection_is_heard_and_then_the_first_again(
    words: list[str], clip: Path, tmp_path: Path
) -> None:
    """As over UDP, where another publisher can take the place of the first."""
    mine = convert(clip, tmp_path / "mine.ts", "-vn", "-c:a", "aac")
    others = convert(clip, tmp_path / "others.ts", "-vn", "-c:a", "aac", *words)
    with heard(mine) as (sound, kept, packets), av.open(str(others)) as container:
        stream: Any = container.streams.audio[0]
        other = [packet for packet in container.demux(stream) if packet.size]
        parts, begins = [], Fraction(0)
        for some in (packets, other, packets):
            first = time_of(some[0])
            parts.append([c for p in some for c in sound.take(p, begins + time_of(p) - first)])
            begins += 2
            assert sound.is_copied == (some is packets)
    assert [one.data for one in parts[2][-80:]] == [bytes(packet) for packet in packets[-80:]]
    assert largest_gap([one for part in parts for one in part]) < HOLE
    assert all(audible(part, kept.streams[0]) > 0.8 for part in parts)


def test_one_damaged_header_is_no_other_publisher(clip: Path, tmp_path: Path) -> None:
    with heard(convert(clip, tmp_path / "mine.ts", "-vn", "-c:a", "aac")) as (sound, _, packets):
        damaged = Packet(bytes(packets[10])[:2] + b"\x40" + bytes(packets[10])[3:])
        damaged.time_base = packets[10].time_base
        coded = [one for p in packets[:10] for one in sound.take(p, time_of(p))]
        assert not sound.take(damaged, time_of(packets[10]))
        coded += [one for p in packets[11:20] for one in sound.take(p, time_of(p))]
    assert sound.is_copied
    assert len(coded) == 19


def test_sound_of_another_codec_follows_transport_streams_too(clip: Path, tmp_path: Path) -> None:
    mine = convert(clip, tmp_path / "mine.ts", "-vn", "-c:a", "aac")
    others = convert(clip, tmp_path / "others.ts", "-vn", "-c:a", "mp2")
    with heard(mine) as (sound, kept, packets), av.open(str(others)) as container:
        stream: Any = container.streams.audio[0]
        coded = [one for p in packets for one in sound.take(p, time_of(p) - time_of(packets[0]))]
        sound.begin(stream)
        other = [packet for packet in container.demux(stream) if packet.size]
        later = [one for p in other for one in sound.take(p, 2 + time_of(p) - time_of(other[0]))]
    assert audible(later, kept.streams[0]) > 0.8
    assert largest_gap(coded + later) < HOLE


@pytest.mark.parametrize("codec", ["aac", "mp3"])
@pytest.mark.parametrize("moved_s", [Fraction(2), Fraction(1, 5), Fraction(-1)])
def test_one_false_time_moves_nothing(
    codec: str, moved_s: Fraction, clip: Path, tmp_path: Path
) -> None:
    """Copied, and transcoded."""
    other = convert(clip, tmp_path / "other.mkv", "-vn", "-c:a", codec)
    with heard(clip) as (sound, _, packets), av.open(str(other)) as container:
        if codec != "aac":
            stream: Any = container.streams.audio[0]
            comes = [packet for packet in container.demux(stream) if packet.size]
            sound.begin(stream)
        else:
            comes = packets
        coded = []
        for number, packet in enumerate(comes[1:60]):
            coded += sound.take(packet, time_of(packet) + moved_s * (number == 30))
    assert sound.is_copied == (codec == "aac")
    if sound.is_copied:
        assert [one.data for one in coded] == [bytes(packet) for packet in comes[1:60]]
    assert largest_gap(coded) < 2 * Fraction(1024, 48000)
    assert coded[-1].time <= time_of(comes[59])


def test_packets_held_back_at_the_end_are_emitted(clip: Path) -> None:
    with heard(clip) as (sound, _, packets):
        coded = [one for p in packets[1:20] for one in sound.take(p, time_of(p))]
        assert not sound.take(packets[20], time_of(packets[20]) + 1)
        assert sound.last()[-1].data == bytes(packets[20])
        assert not sound.last()
    assert len(coded) == 19


@pytest.mark.parametrize("speed", [Fraction(97, 100), Fraction(103, 100)])
def test_sound_transcoded_follows_a_clock_that_is_not_its_own(
    speed: Fraction, clip: Path, tmp_path: Path
) -> None:
    mine = convert(clip, tmp_path / "mine.ts", "-vn", "-c:a", "aac")
    others = convert(clip, tmp_path / "others.ts", "-vn", "-c:a", "aac", "-ar", "44100")
    with heard(mine) as (sound, *_), av.open(str(others)) as container:
        stream: Any = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        sound.begin(stream)
        length = time_of(packets[-1]) - time_of(packets[0])
        for i in range(4):
            for packet in packets:
                at = (time_of(packet) - time_of(packets[0]) + i * length) * speed
                coded = sound.take(packet, at)
                if coded:
                    assert abs(coded[-1].time - at) < Fraction(1, 5)
