"""``vsr live --check`` tries everything, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Run
from tests.live.harness import Server, free_port, publish
from vsr.streams.names.target_lock import lock_target

WORDS = ["-m", "identity", "--latency", "30s", "--check"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.live.check.WATCHED_S", 0.5)


def found(out: str) -> dict[str, dict[str, Any]]:
    return {one["what"]: one for one in json.loads(out)}


def test_working_parts_are_reported_with_figures_and_nothing_is_left(
    server: Server, clip: Path, tmp_path: Path, vsr: Run
) -> None:
    target, source = tmp_path / "out.mkv", server.address("in")
    words = ["--fallback", clip, "--record", server.address("out"), "--json", *WORDS]
    with publish(clip, source, "-stream_loop", "-1"):
        done = vsr("live", source, target, *words)
    said = found(done.out)
    assert list(said) == ["source", "fallback", "speed", "latency", "target", "record"]
    assert "sends 96x72 at 25 frames/s" in said["source"]["text"]
    assert "sound aac" in said["source"]["text"]
    assert "25 come" in said["speed"]["text"]
    assert " ms of 30000 ms" in said["latency"]["text"]
    assert "kbit/s" in said["record"]["text"]
    others = {what: one["works"] for what, one in said.items() if what != "speed"}
    assert set(others.values()) == {True}, said
    assert done.code == (0 if said["speed"]["works"] else 1)
    assert [path.name for path in tmp_path.iterdir()] == ["server"]


def test_failures_are_reported_with_their_consequence(tmp_path: Path, vsr: Run) -> None:
    nowhere = f"rtmp://127.0.0.1:{free_port()}/app/s3cret"
    target, words = f"rtmp://127.0.0.1:{free_port()}/app/s3cret", ["--retries", "3", *WORDS]
    done = vsr("live", nowhere, target, "--record", tmp_path / "copy.mkv", *words)
    assert done.code == 1
    source, sink, record = done.out.splitlines()
    assert source.startswith("no  live source: 'rtmp://127.0.0.1:")
    assert "tried again 3 times, and the last frame shown meanwhile" in source
    assert sink.startswith("no  live target: rtmp://127.0.0.1:")
    assert record.startswith("ok  live record: ")
    assert "s3cret" not in done.out + done.err
    assert not list(tmp_path.iterdir())


def test_the_streams_of_a_file_are_checked_together(clip: Path, tmp_path: Path, vsr: Run) -> None:
    table = '[[stream]]\nname = "{0}"\nsource = "{1}"\ntarget = "{2}/{0}.mkv"\n'
    path = tmp_path / "streams.toml"
    path.write_text("".join(table.format(name, clip, tmp_path) for name in "ab"))
    done = vsr("live", "--streams", path, *WORDS)
    lines = done.out.splitlines()
    assert [line.split()[1:3] for line in lines] == [
        [name, f"{what}:"] for name in "ab" for what in ("source", "speed", "latency", "target")
    ] + [["all", "speed:"]]
    assert [path.name for path in tmp_path.iterdir()] == ["streams.toml"]


def test_a_check_that_is_ended_says_no_more(clip: Path, tmp_path: Path) -> None:
    words = ["live", str(clip), str(tmp_path / "out.mkv"), *WORDS]
    with subprocess.Popen(
        [sys.executable, "-m", "vsr", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as check:
        assert check.stdout is not None
        assert check.stdout.readline().startswith(b"ok  live source")
        check.send_signal(signal.SIGINT)
        _, said = check.communicate(timeout=60)
    assert (check.returncode, said) == (130, b"vsr: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_or_is_being_written_is_named(
    clip: Path, tmp_path: Path, vsr: Run
) -> None:
    target = tmp_path / "out.mkv"
    target.write_bytes(b"precious")
    done = vsr("live", clip, target, *WORDS)
    assert "already exists; give another name or allow overwriting (-y); the stream" in done.out
    with lock_target(str(target)):
        done = vsr("live", clip, target, "-y", *WORDS)
        assert "another run writes" in done.out
    assert target.read_bytes() == b"precious"
    assert "ok  live target" in vsr("live", clip, target, "-y", *WORDS).out
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]
