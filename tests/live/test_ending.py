"""Ending a stream by a signal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.harness import PATIENCE_S, Server, free_port, look, publish, until

STOPPED_WHILE_LOADING = """
import builtins, os, signal
load = builtins.__import__
def stopped(name, *others, **more):
    if name == "vsr.live.service":
        os.kill(os.getpid(), signal.SIGTERM)
    return load(name, *others, **more)
builtins.__import__ = stopped
from vsr.cli.startup import main
main()
"""


@pytest.mark.slow
def test_sigterm_while_the_program_is_loaded_is_heard(tmp_path: Path) -> None:
    words = ["live", f"udp://127.0.0.1:{free_port()}", "out.mkv", "-m", "identity", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_WHILE_LOADING, *words],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["state"] == "ended"


@pytest.mark.slow
def test_sigterm_before_there_is_a_source_ends_at_once(tmp_path: Path) -> None:
    source = f"rtmp://127.0.0.1:{free_port()}/app/s3cret"
    words = ["live", source, "out.mkv", "-m", "identity", "--status", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vsr", *words], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stderr is not None
    said = [process.stderr.readline()]
    while "connecting again" not in said[-1]:
        said.append(process.stderr.readline())
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, rest
    assert "s3cret" not in "".join(said) + rest
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)]
)
def test_a_signal_closes_the_output_in_order(
    number: signal.Signals, clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    source = f"udp://127.0.0.1:{free_port()}"
    words = ["live", source, target, "-m", "bicubic-x2", "--json", "--latency", "30s"]
    # Where the tests themselves run under nohup, the program would ignore SIGHUP as well.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "vsr", *map(str, words), "--status", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(number, before)
    assert process.stderr is not None
    with publish(clip, source, "-stream_loop", "-1"):
        for line in process.stderr:
            if "frames/s" in line:
                break
        part = target.with_name(".out.part.mp4")
        until(lambda: part.exists() and part.stat().st_size > 0, "something is written")
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    (figures,) = json.loads(out)
    seen = look(target)
    assert len(seen.numbers) == figures["frames_out"] > 0
    assert figures["state"] == "ended"
    seen.assert_ordered()


@pytest.mark.slow
def test_sigterm_while_a_connected_source_is_silent_ends_in_order(
    server: Server, clip: Path
) -> None:
    """The reading thread waits in the library: what it works on must not be taken from it."""
    words = ["live", server.address("in"), server.address("out"), "-m", "identity", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "vsr", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with publish(clip, server.address("in"), "-stream_loop", "-1"):
        for line in process.stderr:
            if "frames/s" in line:
                break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    (figures,) = json.loads(out)
    assert figures["state"] == "ended"
