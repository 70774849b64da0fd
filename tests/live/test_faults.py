"""Sources and sinks that go away, come back as others, or lie about the time."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.live.harness import (
    Running,
    Server,
    asked,
    ffmpeg,
    free_port,
    look,
    publish,
    running,
    until,
)
from tests.media import Clip, numbered_frame, write_clip
from vsr.errors import OpenError, VSRError
from vsr.streams.ffmpeg.process import find_ffmpeg


def publish_again(stream: Running, clip: Path, address: str, more: int = 15) -> None:
    """Publish until so many more frames have come, then break off without a word."""
    until(lambda: stream.figures.state != "running", "what came before has ended")
    before = stream.figures.tally.frames_in
    with publish(clip, address):
        stream.until("the source is back", frames_in=before + more)


def assert_goes_on(stream: Running, copy: Path) -> None:
    """Close it, and look at what was written meanwhile."""
    assert stream.thread.is_alive(), stream.error
    stream.stop.set()
    stream.wait()
    seen = look(copy)
    seen.assert_ordered()
    assert len(seen.times) == stream.figures.tally.frames_out
    # Held frames leave no hole in the picture, silence none in the sound.
    assert max(b - a for a, b in pairwise(seen.times)) < 1
    if seen.sound:
        assert max(b - a for a, b in pairwise(seen.sound)) < Fraction(1, 8)


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_source_that_goes_and_comes_back_is_met_again(
    times: int, server: Server, long_clip: Path, tmp_path: Path
) -> None:
    copy, source = tmp_path / "copy.mkv", server.address("in")
    options = asked(source, server.address("out"), record=str(copy), latency_s=2.0)
    with running(options) as stream:
        for _ in range(times + 1):
            publish_again(stream, long_clip, source)
            stream.until("the picture is held", held=stream.figures.tally.held + 1)
        assert stream.figures.tally.reopened == 0
        assert_goes_on(stream, copy)


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_a_server_that_goes_and_comes_back_is_met_again_on_both_sides(
    times: int, server: Server, long_clip: Path, tmp_path: Path
) -> None:
    copy, source = tmp_path / "copy.mkv", server.address("in")
    options = asked(source, server.address("out"), record=str(copy), latency_s=2.0)
    with running(options) as stream:
        for restarts in range(times):
            publish_again(stream, long_clip, source)
            server.stop()
            stream.until("the sink is missed", lost_packets=stream.figures.tally.lost_packets + 1)
            server.start()
            with publish(long_clip, source, "-stream_loop", "-1"):
                stream.until("both are back", reconnects=restarts + 1, reopened=restarts + 1)
        assert_goes_on(stream, copy)


@pytest.mark.parametrize(
    "kind", ["size", *(pytest.param(k, marks=pytest.mark.slow) for k in ("rate", "sound", "codec"))]
)
def test_a_publisher_that_comes_back_as_another(
    kind: str, server: Server, clip: Path, tmp_path: Path
) -> None:
    other = {
        "size": Clip(num_frames=50, height=120, width=128, audio="aac"),
        "rate": Clip(num_frames=50, rate=Fraction(50), audio="aac"),
        "sound": Clip(num_frames=50, audio="mp3"),
        "codec": Clip(num_frames=50, pixel_format="yuv444p"),
    }[kind]
    second = write_clip(tmp_path / "second.mkv", other)
    copy, source = tmp_path / "copy.mkv", server.address("in")
    options = asked(source, server.address("out"), record=str(copy), latency_s=2.0)
    with running(options) as stream:
        publish_again(stream, clip, source)
        until(lambda: stream.figures.tally.held > 0, "the picture is held")
        before = stream.figures.tally.frames_in
        publish_again(stream, second, source, more=30)
        stream.until("the picture is held", held=stream.figures.tally.held + 1)
        assert_goes_on(stream, copy)
    seen = look(copy)
    assert seen.size == (144, 192)
    assert set(range(5, 25)) <= set(seen.numbers[before:])


def test_another_rate_in_the_same_connection_is_planned_for(clip: Path, tmp_path: Path) -> None:
    """A server that keeps its players while one publisher follows another."""
    parts = []
    for fps in (25, 50):
        part = write_clip(tmp_path / f"{fps}.ts", Clip(num_frames=75, rate=Fraction(fps)))
        parts.append(part.read_bytes())
    both, copy = tmp_path / "both.ts", tmp_path / "copy.mkv"
    both.write_bytes(b"".join(parts))
    with running(asked(both, copy)) as stream:
        stream.wait()
    assert [" at 25 frames/s" in stream.said[0], " at 50 frames/s" in stream.said[1]] == [True] * 2
    assert look(copy).numbers == 2 * list(range(75))


@pytest.mark.parametrize("moved", ["3600", "-2"])
def test_times_that_jump_do_not_show(moved: str, clip: Path, tmp_path: Path) -> None:
    """Over UDP another publisher is noticed by its times alone."""
    copy, source = tmp_path / "copy.mkv", f"udp://127.0.0.1:{free_port()}"
    with running(asked(source, copy, latency_s=2.0)) as stream:
        with publish(clip, source) as publisher:
            publisher.wait()
        seen_before = stream.figures.tally.frames_in
        with ExitStack() as stack:
            words = ["-re", "-i", str(clip), "-c", "copy", "-output_ts_offset", moved]
            command = [find_ffmpeg(), "-loglevel", "error", "-nostdin", *words]
            again = subprocess.Popen([*command, "-f", "mpegts", source])
            stack.callback(again.wait)
            stream.until("the second comes", frames_in=seen_before + 30)
        assert_goes_on(stream, copy)
    seen = look(copy)
    assert float(seen.times[-1] - seen.times[0]) < 30


def test_a_source_that_was_stopped_and_continues_is_shown_again(clip: Path, tmp_path: Path) -> None:
    """One whose times stood still as well: they merely continue."""
    copy, source = tmp_path / "copy.mkv", f"udp://127.0.0.1:{free_port()}"
    words = ["-c", "copy", "-output_ts_offset", "2", "-f", "mpegts", source]
    with running(asked(source, copy, latency_s=0.8)) as stream:
        with publish(clip, source) as publisher:
            publisher.wait()
        stream.until("the picture is held", held=50)
        with ffmpeg("-re", "-i", clip, *words) as publisher:
            publisher.wait()
        assert stream.figures.tally.reconnects == 0
        assert_goes_on(stream, copy)
    assert set(look(copy).numbers[50:]) & set(range(30, 45))


def test_a_publisher_with_other_packet_identifiers_continues_where_one_ended(
    clip: Path, tmp_path: Path
) -> None:
    copy, source = tmp_path / "copy.mkv", f"udp://127.0.0.1:{free_port()}"
    words = ["-c", "copy", "-streamid", "0:0x200", "-streamid", "1:0x201", "-f", "mpegts", source]
    with running(asked(source, copy, latency_s=2.0)) as stream:
        with publish(clip, source) as publisher:
            publisher.wait()
        seen_before = stream.figures.tally.frames_in
        with ffmpeg("-re", "-i", clip, *words):
            stream.until("the second comes", frames_in=seen_before + 30)
        assert stream.figures.tally.reconnects == 0
        assert_goes_on(stream, copy)


@pytest.mark.parametrize("container", [pytest.param("mkv", marks=pytest.mark.slow), "ts"])
def test_silence_takes_the_place_of_sound_that_stops(container: str, tmp_path: Path) -> None:
    picture = write_clip(tmp_path / "picture.mp4", Clip(num_frames=100))
    sound = write_clip(tmp_path / "sound.mp4", Clip(num_frames=25, audio="aac"))
    both, copy = tmp_path / f"both.{container}", tmp_path / "copy.mkv"
    words = ["-i", picture, "-i", sound, "-map", "0:v", "-map", "1:a", "-c", "copy", both]
    subprocess.run([find_ffmpeg(), "-loglevel", "error", *map(str, words)], check=True)
    with running(asked(both, copy)) as stream:
        stream.wait()
    seen = look(copy)
    assert len(seen.numbers) == 100
    assert seen.sound[-1] > 2
    assert max(b - a for a, b in pairwise(seen.sound)) < Fraction(1, 10)


TS_PACKET = 188
"""Bytes of a packet of a transport stream."""


def test_damaged_packets_are_counted_and_survived(long_clip: Path, tmp_path: Path) -> None:
    """Of frames of many transport packets each, one packet in twenty is lost, and bytes flipped."""
    noisy, damaged, copy = tmp_path / "noisy.ts", tmp_path / "damaged.ts", tmp_path / "copy.mkv"
    words = ["-i", long_clip, "-vf", "noise=alls=30:allf=t", "-c:v", "libx264"]
    words += ["-preset", "ultrafast", "-g", "10", "-c:a", "copy", noisy]
    subprocess.run([find_ffmpeg(), "-loglevel", "error", *map(str, words)], check=True)
    data = bytearray(noisy.read_bytes())
    third, half = len(data) // 3, len(data) // 2
    for place in range(third, half, 997):
        data[place] ^= 0xFF
    packets = [data[place : place + TS_PACKET] for place in range(0, len(data), TS_PACKET)]
    lost = range(third // TS_PACKET, half // TS_PACKET, 20)
    damaged.write_bytes(b"".join(p for place, p in enumerate(packets) if place not in lost))
    with running(asked(damaged, copy)) as stream:
        stream.wait()
    # A sixth of 125 frames is damaged, each of them once.
    assert 10 < stream.figures.tally.corrupt < 30
    seen = look(copy)
    seen.assert_ordered()
    assert seen.numbers[:20] == list(range(20))
    assert seen.numbers[-1] == 124
    assert len(seen.numbers) > 80


@pytest.mark.parametrize("shown", [pytest.param("last frame", marks=pytest.mark.slow), "slate"])
def test_the_last_frame_or_a_slate_is_shown_meanwhile(
    shown: str, clip: Path, tmp_path: Path
) -> None:
    copy, source = tmp_path / "copy.mkv", f"udp://127.0.0.1:{free_port()}"
    slate = None
    if shown == "slate":
        slate = tmp_path / "slate.png"
        Image.fromarray(numbered_frame(201, 100, 100)).resize((96, 72)).save(slate)
    with running(asked(source, copy, slate=slate, latency_s=1.0)) as stream:
        with publish(clip, source) as publisher:
            publisher.wait()
        stream.until("the picture is held", held=30)
        assert stream.figures.state == "away"
        assert_goes_on(stream, copy)
    seen = look(copy)
    # The demuxer of transport streams waits for what follows a frame: the very last are not shown.
    assert len(set(seen.numbers[-10:])) == 1
    assert seen.numbers[-1] == 201 if slate else 40 <= seen.numbers[-1] < 50


def test_a_refused_connection_names_the_host_and_not_the_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    options = asked(f"rtmp://127.0.0.1:{port}/app/s3cret", tmp_path / "out.mkv", retries=1)
    with (
        pytest.raises(OpenError, match=f"127.0.0.1:{port}.*[Rr]efused") as caught,
        running(options) as stream,
    ):
        stream.wait()
    assert "s3cret" not in caplog.text + str(caught.value)
    assert "connecting again" in caplog.text


def test_a_sink_that_refuses_is_named_without_its_key_and_given_up_where_attempts_are_bounded(
    long_clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy, port = tmp_path / "copy.mkv", free_port()
    target = f"rtmp://127.0.0.1:{port}/app/s3cret"
    options = asked(long_clip, target, record=str(copy), retries=1)
    with (
        pytest.raises(VSRError, match=f"127.0.0.1:{port}.*refused.*given up") as caught,
        running(options) as stream,
    ):
        stream.wait()
    assert "s3cret" not in caplog.text + str(caught.value)
    assert look(copy).numbers[:5] == list(range(5))


def test_a_host_without_a_name_is_reported(tmp_path: Path) -> None:
    options = asked("rtmp://nowhere.invalid/app/s3cret", tmp_path / "out.mkv", retries=0)
    with (
        pytest.raises(OpenError, match=r"nowhere\.invalid/… is not found") as caught,
        running(options) as stream,
    ):
        stream.wait()
    assert "s3cret" not in str(caught.value)
