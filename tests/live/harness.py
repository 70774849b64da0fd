"""Publishers, players, a server, and streams that run in this process."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from tests.media import read_number
from vsr.live.monitor.figures import Figures
from vsr.live.options import StreamOptions
from vsr.live.restoration import LiveRestorer
from vsr.live.stream import LiveStream
from vsr.models.architectures.baselines import Bicubic
from vsr.restorer import Restorer
from vsr.streams.ffmpeg.process import find_ffmpeg

PATIENCE_S = 60.0
"""For what has to happen: far beyond what it takes on a slow machine."""

FIRST_PORT, PORTS_EACH, PORT_RANGES = 12_000, 2_000, 10

RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")

NO_SERVER = (
    "no nginx with its RTMP module (apt-get install nginx libnginx-mod-rtmp); "
    "only ffmpeg's own listener is tested"
)


def has_server() -> bool:
    return shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") is not None and (
        RTMP_MODULE.exists()
    )


def free_port() -> int:
    """A port that no program listens at.

    It lies below those that the system gives to outgoing connections, and each worker of
    pytest-xdist draws from its own: nothing else takes it before the test does.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PORT_RANGES
    while True:
        port = FIRST_PORT + worker * PORTS_EACH + random.randrange(PORTS_EACH)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def until(happened: Callable[[], Any], what: str) -> None:
    """Wait for something that has to happen."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.02)


class Server:
    """nginx with its RTMP module on the loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "nginx.conf").write_text(
            f"load_module {RTMP_MODULE};\n"
            f"daemon off; master_process off; pid {folder}/nginx.pid;\n"
            f"error_log {folder}/error.log info;\n"
            "events {}\n"
            f"rtmp {{ server {{ listen 127.0.0.1:{self.port};\n"
            "application app { live on; } } }\n"
        )

    def address(self, key: str) -> str:
        return f"rtmp://127.0.0.1:{self.port}/app/{key}"

    def start(self) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert program is not None
        log = str(self.folder / "error.log")
        self.process = subprocess.Popen(
            [program, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", log],
            stderr=subprocess.DEVNULL,
        )
        until(self._answers, "nginx listens")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def ffmpeg(*words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """An ffmpeg that runs meanwhile."""
    command = [find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    process = subprocess.Popen([*command, *map(str, words)], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address at which a folder's files are served."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: object) -> None:
            pass

        def copyfile(self, source: Any, outputfile: Any) -> None:
            with suppress(OSError):  # a reader may go away
                super().copyfile(source, outputfile)

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def publish(clip: Path, address: str, *words: str) -> Any:
    """A publisher that sends a clip once, in real time."""
    kind = "flv" if address.startswith("rtmp") else "mpegts"
    return ffmpeg("-re", *words, "-i", clip, "-c", "copy", "-f", kind, address)


@dataclass
class Running:
    """A stream in a thread of this process."""

    options: StreamOptions
    restorer: LiveRestorer
    figures: Figures = field(default_factory=lambda: Figures(name="live"))
    said: list[str] = field(default_factory=list)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.stream = LiveStream(self.options, self.restorer, self.figures, say=self.said.append)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.stream.run(self.stop)
        except BaseException as error:
            self.error = error

    def wait(self) -> None:
        """Until it has ended by itself."""
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive(), self.figures.plain()
        if self.error is not None:
            raise self.error

    def until(self, what: str, **least: int) -> None:
        """Until counts are at least so high."""

        def reached() -> bool:
            if self.error is not None:
                raise self.error
            return all(getattr(self.figures.tally, key) >= n for key, n in least.items())

        until(reached, f"{what}: {least}, {self.figures.plain()}")


def asked(source: str | Path, target: str | Path, **others: Any) -> StreamOptions:
    """Options with a latency that no busy machine is too slow for."""
    given = {"latency_s": 30.0, **others}
    return StreamOptions(source=str(source), target=str(target), **given)


@contextmanager
def running(options: StreamOptions, restorer: LiveRestorer | None = None) -> Iterator[Running]:
    """A stream that is stopped in order at the end."""
    stream = Running(options, restorer or cheap_restorer())
    stream.thread.start()
    try:
        yield stream
    finally:
        stream.stop.set()
        stream.thread.join(PATIENCE_S)
    assert not stream.thread.is_alive()


def cheap_restorer() -> Restorer:
    return Restorer(Bicubic(scale=2), chunk=2, device="cpu", precision="float32")


@dataclass(frozen=True)
class Seen:
    """What a file holds.

    Attributes:
        numbers: That the frames carry.
        times: Times of the frames.
        sound: Times of the packets of sound.
        size: Rows and columns.
    """

    numbers: list[int]
    times: list[Fraction]
    sound: list[Fraction]
    size: tuple[int, int]

    def assert_ordered(self) -> None:
        assert all(a < b for a, b in zip(self.times, self.times[1:], strict=False)), self.times
        assert all(a < b for a, b in zip(self.sound, self.sound[1:], strict=False)), self.sound


def look(path: Path) -> Seen:
    numbers, times, sound = [], [], []
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        size = (video.height, video.width)
        for packet in container.demux():
            if packet.stream.type == "audio" and packet.size:
                assert packet.pts is not None
                sound.append(packet.pts * packet.time_base)
            if packet.stream.type == "video":
                for frame in video.decode(packet):
                    assert frame.pts is not None
                    pixels = torch.from_numpy(frame.to_ndarray(format="rgb24"))
                    numbers.append(read_number(pixels.movedim(-1, 0).float() / 255))
                    times.append(frame.pts * Fraction(video.time_base or 1))
    return Seen(numbers, times, sound, size)


def take_no_ffmpeg(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a file in a folder, ``ffmpeg``, taken for the program that no system can start."""
    program = folder / "ffmpeg"
    program.write_bytes(b"no program of this system")
    program.chmod(0o755)
    monkeypatch.setenv("VSR_FFMPEG", str(program))
