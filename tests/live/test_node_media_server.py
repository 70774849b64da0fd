"""A stream from and to node-media-server, over RTMP and HTTP-FLV."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.live.harness import asked, free_port, look, publish, running, until

PROGRAM = Path(__file__).resolve().parents[2] / ".servers/node_modules/node-media-server"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PROGRAM.is_dir() or shutil.which("node") is None,
        reason="no node-media-server (make servers, which needs npm)",
    ),
]


class NodeMediaServer:
    """The server on the loopback, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.rtmp, self.http, self._folder = free_port(), free_port(), folder
        self._process: subprocess.Popen[bytes] | None = None
        config = {
            "bind": "127.0.0.1",
            "rtmp": {"port": self.rtmp},
            "http": {"port": self.http},
            "auth": {"play": False, "publish": False},
        }
        (folder / "config.json").write_text(json.dumps(config))

    def start(self) -> None:
        node = shutil.which("node")
        assert node is not None
        script = json.loads((PROGRAM / "package.json").read_text())["bin"]
        path = PROGRAM / (script if isinstance(script, str) else next(iter(script.values())))
        words = ["--config", str(self._folder / "config.json"), "--no-admin"]
        words += ["--data-path", str(self._folder / "data")]
        self._process = subprocess.Popen(
            [node, str(path), *words],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: answers(self.rtmp) and answers(self.http), "node-media-server listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def address(self, key: str) -> str:
        return f"rtmp://127.0.0.1:{self.rtmp}/live/{key}"


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NodeMediaServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    one = NodeMediaServer(folder)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def test_a_stream_passes_through_it_and_outlives_it(
    server: NodeMediaServer, long_clip: Path, tmp_path: Path
) -> None:
    copy, source = tmp_path / "copy.mkv", server.address("in")
    options = asked(source, server.address("out"), record=str(copy), latency_s=2.0)
    with running(options) as stream:
        with publish(long_clip, source, "-stream_loop", "-1"):
            stream.until("frames leave", frames_out=50)
            # What it hands on is the restored stream.
            seen = tmp_path / "seen.mkv"
            with running(asked(server.address("out"), seen, latency_s=2.0)) as viewer:
                viewer.until("a viewer sees it", frames_in=25)
            assert look(seen).size == (4 * 72, 4 * 96)
            server.stop()
            stream.until("the sink is missed", lost_packets=1)
        server.start()
        with publish(long_clip, source, "-stream_loop", "-1"):
            stream.until("both are back", reconnects=1, reopened=1)
            before = stream.figures.tally.frames_in
            stream.until("it goes on", frames_in=before + 25)
        stream.stop.set()
        stream.wait()
    written = look(copy)
    written.assert_ordered()
    assert max(b - a for a, b in pairwise(written.times)) < 1
    assert max(b - a for a, b in pairwise(written.sound)) < Fraction(1, 8)


def test_flv_over_http_is_a_source(
    server: NodeMediaServer, long_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    copy = tmp_path / "copy.mkv"
    with (
        publish(long_clip, server.address("in"), "-stream_loop", "-1"),
        running(asked(f"http://127.0.0.1:{server.http}/live/in.flv", copy)) as stream,
    ):
        stream.until("frames come", frames_in=50)
    look(copy).assert_ordered()
