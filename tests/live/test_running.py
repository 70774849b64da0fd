"""A stream from source to sink while all goes well."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.live.harness import (
    PATIENCE_S,
    Server,
    asked,
    ffmpeg,
    free_port,
    look,
    publish,
    running,
    serving,
    until,
)
from tests.media import Clip, audio_packets, write_clip
from tests.streams.rich_media import write_film
from vsr.streams.ffmpeg.process import find_ffmpeg


def offset(sound: list[Fraction], times: list[Fraction], first: int) -> Fraction:
    """How much later the first sound comes than the frame of number 0 would."""
    return sound[0] - (times[0] - first * Fraction(1, 25))


def test_a_file_in_real_time_comes_out_whole(clip: Path, tmp_path: Path) -> None:
    target, copy = tmp_path / "out.mkv", tmp_path / "copy.mp4"
    options = asked(source=str(clip), target=str(target), record=str(copy))
    with running(options) as stream:
        stream.wait()
    for path in (target, copy):
        seen = look(path)
        assert seen.numbers == list(range(50))
        assert seen.size == (144, 192)
        assert {b - a for a, b in pairwise(seen.times)} == {Fraction(1, 25)}
        seen.assert_ordered()
    before, after = audio_packets(clip), audio_packets(target)
    assert [payload for _, payload in after] == [payload for t, payload in before if t >= 0]
    tally = stream.figures.tally
    assert (tally.frames_in, tally.frames_out, tally.restored) == (50, 50, 50)
    assert tally.passed_through == tally.skipped == tally.held == tally.late == 0
    assert "of 30000 ms" in stream.said[0]


def test_rtmp_in_and_rtmp_out_through_a_server(server: Server, tmp_path: Path) -> None:
    long_clip = write_clip(tmp_path / "clip.mp4", Clip(num_frames=200, audio="aac"))
    copy, played = tmp_path / "copy.mkv", tmp_path / "played.mkv"
    options = asked(
        source=server.address("camera"),
        target=server.address("restored"),
        record=str(copy),
    )
    with running(options) as stream, publish(long_clip, server.address("camera")) as publisher:
        stream.until("the output runs", frames_out=25)
        with ffmpeg("-i", server.address("restored"), "-c", "copy", "-t", "2", played) as player:
            assert player.wait(PATIENCE_S) == 0
        publisher.wait(PATIENCE_S)
    for path, least in ((copy, 75), (played, 40)):
        seen = look(path)
        first = seen.numbers[0]
        assert seen.numbers[:least] == list(range(first, first + least))
        seen.assert_ordered()
        assert max(b - a for a, b in pairwise(seen.sound)) < Fraction(1, 20)
    expected = offset(look(long_clip).sound, look(long_clip).times, 0)
    seen = look(copy)
    found = offset(seen.sound, seen.times, seen.numbers[0])
    frames = round((found - expected) * 48000 / 1024)
    assert abs(found - expected - frames * Fraction(1024, 48000)) < Fraction(1, 50)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc to look into")
def test_no_process_shows_a_stream_key_among_its_arguments(
    server: Server, long_clip: Path, tmp_path: Path
) -> None:
    key = f"s3cret-of-{os.getpid()}"  # other tests run meanwhile
    target, played = server.address(key), tmp_path / "played.mkv"
    with running(asked(long_clip, target)) as stream:
        stream.until("the output runs", frames_out=25)
        shown = [arguments for arguments in command_lines() if key.encode() in arguments]
        assert not shown
        with ffmpeg("-i", target, "-c", "copy", "-t", "1", played) as player:
            assert player.wait(PATIENCE_S) == 0
    assert look(played).numbers


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc to look into")
def test_no_process_shows_a_pass_phrase_of_srt_once_it_is_connected(
    clip: Path, tmp_path: Path
) -> None:
    phrase = f"s3cret-of-{os.getpid()}"  # other tests run meanwhile
    source, target = (f"srt://127.0.0.1:{free_port()}?passphrase={phrase}-{n}" for n in "ab")
    received = tmp_path / "received.ts"
    sent = ("-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "mpegts", source)
    with (
        ffmpeg("-i", f"{target}&mode=listener", "-c", "copy", received) as viewer,
        running(asked(source, target, listen=True)) as stream,
        ffmpeg(*sent) as publisher,
    ):
        stream.until("pictures leave", frames_out=25)
        until(lambda: received.exists() and received.stat().st_size > 0, "the viewer has some")
        theirs = {Path(f"/proc/{one.pid}/cmdline").read_bytes() for one in (viewer, publisher)}
        shown = {arguments for arguments in command_lines() if phrase.encode() in arguments}
        assert shown == theirs


def command_lines() -> list[bytes]:
    """Of all processes of this machine."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it may have ended
            lines.append(path.read_bytes())
    return lines


def test_a_publisher_can_come_to_us_and_we_to_a_listener(clip: Path, tmp_path: Path) -> None:
    """Without a server: ffmpeg's own listener at both ends."""
    source = f"rtmp://127.0.0.1:{free_port()}/app/in"
    target = f"rtmp://127.0.0.1:{free_port()}/app/out"
    received = tmp_path / "received.mkv"
    options = asked(source=source, target=target, listen=True)
    with (
        ffmpeg("-listen", "1", "-i", target, "-c", "copy", received) as listener,
        running(options) as stream,
    ):

        def published() -> bool:
            with publish(clip, source) as publisher:
                publisher.wait(PATIENCE_S)
            return stream.figures.tally.frames_in > 0

        until(published, "a publisher is let in")
        stream.until("all frames leave", frames_out=50)
        stream.stop.set()
        stream.wait()
        assert listener.wait(PATIENCE_S) == 0
    assert look(received).numbers[:50] == list(range(50))


@pytest.mark.parametrize("kind", [pytest.param("udp", marks=pytest.mark.slow), "srt"])
def test_transport_streams_come_in_and_go_out(kind: str, long_clip: Path, tmp_path: Path) -> None:
    port, received = free_port(), tmp_path / "received.ts"
    source, sent = f"{kind}://127.0.0.1:{port}", f"{kind}://127.0.0.1:{port}"
    target = f"{kind}://127.0.0.1:{free_port()}"
    heard = target
    if kind == "srt":
        sent, heard = f"{sent}?mode=listener", f"{target}?mode=listener"
    options = asked(source=source, target=target)
    with (
        publish(long_clip, sent, "-stream_loop", "-1"),
        ffmpeg("-i", heard, "-c", "copy", "-t", "2", received) as listener,
        running(options),
    ):
        assert listener.wait(PATIENCE_S) == 0
    seen = look(received)
    assert len(seen.numbers) > 20
    assert seen.sound
    seen.assert_ordered()


def test_a_playlist_is_written_while_it_runs_and_can_be_a_source(
    long_clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    playlist, copy = folder / "live.m3u8", tmp_path / "copy.mkv"
    with running(asked(source=str(long_clip), target=str(playlist))) as stream:
        until(playlist.exists, "a playlist appears")
        stream.until("segments appear", frames_out=100)
        stream.wait()
    assert "#EXTINF" in playlist.read_text()
    with running(asked(source=str(playlist), target=str(copy))) as stream:
        stream.until("the playlist is read", frames_out=20)
    seen = look(copy)
    assert seen.size == (288, 384)
    seen.assert_ordered()


@pytest.mark.parametrize("name", ["clip.ts", "live.m3u8"])
def test_http_is_read_in_its_own_time(
    name: str, long_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder, copy = tmp_path / "web", tmp_path / "copy.mkv"
    folder.mkdir()
    words = ["-i", str(long_clip), "-c", "copy", "-hls_list_size", "0", str(folder / name)]
    subprocess.run([find_ffmpeg(), "-loglevel", "error", *words], check=True)
    with serving(folder) as address, running(asked(f"{address}/{name}", copy)) as stream:
        stream.until("it is read", frames_in=30)
        assert stream.figures.tally.frames_in < 100
    seen = look(copy)
    assert seen.numbers[:25] == list(range(25))
    seen.assert_ordered()


@pytest.mark.parametrize("encoder", ["libx265", "libsvtav1", "libvpx-vp9", "mpeg4"])
def test_other_encoders_serve_as_well(encoder: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", Clip(num_frames=10, audio="aac"))
    target = tmp_path / "out.mkv"
    with running(asked(clip, target, encoder=encoder)) as stream:
        stream.wait()
    assert look(target).numbers == list(range(10))


@pytest.mark.parametrize(
    ("encoder", "fps"), [("mpeg1video", 25), ("mpeg2video", 10), ("mpeg4", 25)]
)
def test_encoders_that_do_not_take_any_time_base(encoder: str, fps: int, tmp_path: Path) -> None:
    rate = Fraction(fps)
    clip = write_clip(tmp_path / "clip.ts", Clip(num_frames=10, rate=rate, audio="aac"))
    target = tmp_path / "out.mkv"
    with running(asked(clip, target, encoder=encoder)) as stream:
        stream.wait()
    seen = look(target)
    assert seen.numbers == list(range(10))
    assert {b - a for a, b in pairwise(seen.times)} == {1 / rate}
    assert stream.figures.tally.late == stream.figures.tally.skipped == 0


def test_data_that_is_not_carried_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film, copy = write_film(tmp_path), tmp_path / "copy.mkv"
    with running(asked(film, copy)) as stream:
        stream.wait()
    with av.open(str(copy)) as container:
        assert [one.type for one in container.streams] == ["video", "audio"]
    said = [record.getMessage() for record in caplog.records]
    lost = "attachment (application/x-truetype-font), audio (aac), cover (mjpeg), "
    assert said == [
        "the picture and its first sound are carried; "
        f"left out: {lost}subtitle (ass), subtitle (subrip)"
    ]
