"""Sinks that may not be, and how a stream ends whose sink was not there."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.command_line import Run, vsr
from tests.live.harness import (
    PATIENCE_S,
    Server,
    asked,
    ffmpeg,
    free_port,
    look,
    running,
    serving,
    until,
)
from tests.live.test_sink import coded
from tests.resume.killing import encoders, kill
from vsr.errors import EncodeError, OpenError
from vsr.live.audio.packets import StreamTemplates
from vsr.live.input.retry import Retry
from vsr.live.options import StreamOptions
from vsr.live.output.sink import Sink
from vsr.live.targets import check_targets

__all__ = ["vsr"]


@pytest.mark.parametrize(
    "words",
    [
        ["./a.mp4"],
        ["link.mp4"],
        ["b.mkv", "--record", "a.mp4"],
    ],
)
def test_the_source_is_never_replaced(
    words: list[str], vsr: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "a.mp4")
    Path("link.mp4").symlink_to("a.mp4")
    done = vsr("live", "a.mp4", *words, "-y", "-m", "identity")
    assert done.code == 1
    assert "source itself" in done.err
    assert Path("a.mp4").read_bytes() == clip.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "link.mp4"}


def given(*streams: tuple[str, ...]) -> list[StreamOptions]:
    kinds = ("source", "target", "record")
    return [StreamOptions(**dict(zip(kinds, one, strict=False))) for one in streams]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        ([("a.mp4", "b.mkv", "./b.mkv")], "written twice"),
        (
            [("udp://h:1", "rtmp://h/app/k"), ("udp://h:2", "rtmp://h/app/k")],
            "rtmp://h/…' is written",
        ),
        ([("udp://h:1", "b.mkv"), ("udp://h:2", "c.mkv", "b.mkv")], "written twice"),
        ([("udp://h:1", "b.m3u8", "b.3.ts")], "written twice"),
        ([("a.mp4", "b.mkv"), ("udp://h:1", "a.mp4")], "source itself"),
        ([("a.m3u8", "a.m3u8")], "source itself"),
        ([("a.0.ts", "a.m3u8")], "source itself"),
        ([("rtmp://[::1/app/k", "a.mkv")], "rtmp://… is no address"),
        ([("udp://h:1", "rtmp://[::1/app/k")], "rtmp://… is no address"),
    ],
)
def test_invalid_targets_are_refused(streams: list[tuple[str, ...]], said: str) -> None:
    with pytest.raises(OpenError, match=said):
        check_targets(given(*streams))


@pytest.mark.parametrize("name", ["copy", "copy.full", "copy.wav", "copy.png"])
def test_a_file_that_can_hold_no_video_is_refused_before_anything_begins(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(OpenError, match="no suffix of a video file; give one"):
        check_targets(given(("udp://h:1", "rtmp://h/app/k", str(tmp_path / name))))
    assert not list(tmp_path.iterdir())


def test_one_stream_may_take_what_another_sends() -> None:
    check_targets(given(("udp://h:1", "a.m3u8"), ("a.m3u8", "udp://h:2"), ("udp://h:2", "b.mkv")))


def test_several_streams_with_one_target_do_not_begin(vsr: Run, clip: Path, tmp_path: Path) -> None:
    table = f'[[stream]]\nname = "{{}}"\nsource = "{clip}"\ntarget = "{tmp_path}/out.mkv"\n'
    path = tmp_path / "streams.toml"
    path.write_text(table.format("a") + table.format("b"))
    done = vsr("live", "--streams", path, "-m", "identity")
    assert done.code == 1
    assert "out.mkv' is written twice" in done.err


@pytest.mark.parametrize("kind", ["target", "record"])
def test_a_sink_that_is_missing_in_the_end_is_a_failure(
    kind: str, clip: Path, tmp_path: Path
) -> None:
    nowhere, copy = f"rtmp://127.0.0.1:{free_port()}/app/s3cret", tmp_path / "copy.mkv"
    sinks = (nowhere, copy) if kind == "target" else (copy, nowhere)
    options = asked(clip, sinks[0], record=str(sinks[1]))
    with (
        pytest.raises(EncodeError, match=r"127\.0\.0\.1.*refused") as caught,
        running(options) as stream,
    ):
        stream.wait()
    assert "s3cret" not in str(caught.value)
    assert stream.figures.state == "failed"
    # The other sink does not notice.
    assert look(copy).numbers == list(range(50))


def test_a_server_that_has_gone_by_the_end_is_a_failure(
    server: Server, long_clip: Path, tmp_path: Path
) -> None:
    with running(asked(long_clip, server.address("out"))) as stream:
        stream.until("the output runs", frames_out=50)
        server.stop()
        with pytest.raises(EncodeError, match=r"takes nothing|did not end in order"):
            stream.wait()


def test_a_sink_that_refuses_fails_the_command(vsr: Run, clip: Path) -> None:
    done = vsr("live", clip, f"rtmp://127.0.0.1:{free_port()}/app/s3cret", "-m", "identity")
    assert done.code == 1
    assert "efused" in done.err
    assert "s3cret" not in done.err


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc to look into")
def test_frames_written_before_a_failure_are_kept(long_clip: Path, tmp_path: Path) -> None:
    target, part = tmp_path / "out.mkv", tmp_path / ".out.part.mkv"
    with running(asked(long_clip, target)) as stream:
        stream.until("pictures leave", frames_out=50)
        until(lambda: part.exists() and part.stat().st_size > 0, "something is written")
        kill(child_with(part.name.encode()))
        with pytest.raises(EncodeError, match="given up"):
            stream.wait()
    assert not target.exists()
    assert not part.exists()
    assert look(tmp_path / "out.partial.mkv").numbers[:5] == list(range(5))


def child_with(argument: bytes) -> int:
    """The id of a process that this one has started with the argument."""
    for pid in encoders(os.getpid()):
        if argument in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError(argument)


def test_a_playlist_of_a_relative_name_plays_over_http(
    vsr: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    played = tmp_path / "played.mkv"
    done = vsr("live", clip, "out.m3u8", "-m", "identity", "--json", "--latency", "30s")
    assert json.loads(done.out)[0]["state"] == "ended"
    with (
        serving(tmp_path) as address,
        ffmpeg("-i", f"{address}/out.m3u8", "-c", "copy", played) as player,
    ):
        assert player.wait(PATIENCE_S) == 0
    assert look(played).numbers == list(range(50))
    assert {path.name for path in tmp_path.iterdir()} == {"out.m3u8", "out.0.ts", "played.mkv"}


def test_old_segments_of_a_playlist_are_removed(clip: Path, tmp_path: Path) -> None:
    """Twenty seconds in segments of two; a player may still load the one before the listed six."""
    name = "a 100%.m3u8"
    put_repeatedly(clip, tmp_path / name, times=10)
    listed = [line for line in (tmp_path / name).read_text().splitlines() if line[0] != "#"]
    assert listed == [f"a 100%.{number}.ts" for number in range(4, 10)]
    present = {path.name for path in tmp_path.iterdir()}
    assert present == {name, "a 100%.3.ts", *listed}


def put_repeatedly(clip: Path, target: Path, times: int) -> None:
    """Send a clip to a sink some times, as fast as it takes them."""
    templates = StreamTemplates()
    packets = [one for one in coded(clip, templates) if one.stream_index == 0]
    length = round(2 / packets[0].time_base)
    sink = Sink(str(target), retry=Retry(0))
    sink.start(templates.streams)
    for turn in range(times):
        for one in packets:
            sink.put(replace(one, pts=one.pts + turn * length, dts=one.dts + turn * length))
        until(lambda: sink.depth == 0, "the sink has taken them")
    sink.finish()
    assert sink.error is None


def test_playlists_of_similar_names_share_no_segment(clip: Path, tmp_path: Path) -> None:
    check_targets(given(("udp://h:1", str(tmp_path / "b.m3u8"), str(tmp_path / "b1.m3u8"))))
    for name in ("b.m3u8", "b1.m3u8"):
        put_repeatedly(clip, tmp_path / name, times=1)
    segments = {path.name for path in tmp_path.iterdir() if path.suffix == ".ts"}
    assert segments == {"b.0.ts", "b1.0.ts"}


@pytest.mark.parametrize("names", [["out.mkv"], ["out.m3u8"], ["other.mkv", "out.mkv"]])
def test_a_second_run_that_would_write_the_same_file_is_refused(
    names: list[str], vsr: Run, clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / names[-1]
    with running(asked(clip, target)) as stream:
        record = ["--record", target] if len(names) > 1 else []
        done = vsr("live", clip, tmp_path / names[0], *record, "-y", "-m", "identity")
        assert done.code == 1
        assert done.err.count("\n") == 1
        assert f"another run writes '{target}'; wait until it has ended" in done.err
        stream.wait()
    assert look(target).numbers == list(range(50))
    assert not list(tmp_path.glob(".*"))
