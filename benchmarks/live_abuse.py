"""What strangers, slow clients and a congested network do to a running stream: nothing, or little.

    python -m benchmarks.live_abuse                 # a line each, and whether it holds

`vsr live`, a process of its own, listens for a publisher and sends to an RTMP server behind a line
that can be made narrow. One abuse after the other is tried on it, while the publisher goes on.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.live_abuse_files import Alone
from benchmarks.live_ends import write_loop
from benchmarks.live_process import LiveProcess, restoring
from tests.live.harness import Server, ffmpeg, free_port, has_server
from vsr.streams.ffmpeg.process import find_ffmpeg

KEY = "k3y-that-nobody-knows"
FPS = 25
LATENCY_S = 0.8
WATCHED_S = 8.0
CONGESTED_S = 28.0
UPLINK = 0.7
"""Share of the bit rate that the narrow line carries."""

CALM_S = 8.0
"""At the end of that time nothing may be dropped any more."""

RECOVERY_S = 5.0


class Line:
    """Copies bytes from a port to another one, as fast as it is told.

    Attributes:
        bytes_s: Bytes a second towards the server; None for as fast as they come.
        carried: Bytes so far.
    """

    def __init__(self, port: int) -> None:
        self.bytes_s: float | None = None
        self.carried = 0
        self._behind = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._server.accept()
            behind = socket.create_connection(("127.0.0.1", self._behind))
            for one, other, paced in ((client, behind, True), (behind, client, False)):
                threading.Thread(target=self._copy, args=(one, other, paced), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket, paced: bool) -> None:
        with suppress(OSError):
            while data := one.recv(4096):
                other.sendall(data)
                if paced:
                    self.carried += len(data)
                    if self.bytes_s is not None:
                        time.sleep(len(data) / self.bytes_s)
        for line in (one, other):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class Abuse:
    """The stream that is abused, and what was found.

    Args:
        running: `vsr live`.
        address: Where it listens, with the key.
        clip: What is published.
        line: To the server.
        said: What it writes to its standard error.
    """

    def __init__(
        self, running: LiveProcess, address: str, clip: Path, line: Line, said: StringIO
    ) -> None:
        self._running, self._address, self._clip = running, address, clip
        self._line, self._said = line, said
        self.holds = True

    def run(self) -> None:
        """Everything, one after the other."""
        with self._publishing():
            self._wait_for_frames()
            self._row("20 silent clients and a wrong key", self._beside_strangers)
            self._row("44 slow clients of the status page", self._beside_slow_clients)
        with self._publishing():
            self._row("a publisher that was killed and is back", self._recovers)
            self._row(f"an uplink of {UPLINK:.0%} for {CONGESTED_S:.0f} s", self._congested)
        self._row("secrets and tracebacks in what can be seen", self._shows_nothing)

    def run_alone(self, alone: Alone) -> None:
        """What needs no server."""
        for what, measure in alone.rows():
            self._row(what, measure)

    def _row(self, what: str, measure: Callable[[], tuple[bool, str]]) -> None:
        try:
            holds, figure = measure()
        except (AssertionError, subprocess.TimeoutExpired) as error:  # it never happened
            holds, figure = False, str(error)
        self.holds = self.holds and holds
        print(f"{'ok  ' if holds else 'MISS'} {what}: {figure}", flush=True)

    @contextmanager
    def _publishing(self) -> Iterator[subprocess.Popen[bytes]]:
        words: list[str | Path] = [
            "-re",
            "-stream_loop",
            "-1",
            "-i",
            self._clip,
            "-c",
            "copy",
            "-f",
            "flv",
        ]
        with ffmpeg(*words, self._address) as process:
            yield process

    def _count(self, name: str) -> float:
        return self._running.figures()[name]

    def _wait_for_frames(self) -> None:
        begun = time.monotonic()
        while self._count("vsr_frames_out_total") < FPS and time.monotonic() < begun + 60:
            time.sleep(0.05)

    def _rate(self) -> float:
        before, began = self._count("vsr_frames_out_total"), time.monotonic()
        time.sleep(WATCHED_S)
        return (self._count("vsr_frames_out_total") - before) / (time.monotonic() - began)

    def _beside_strangers(self) -> tuple[bool, str]:
        parts = urlsplit(self._address)
        stranger = [find_ffmpeg(), "-loglevel", "quiet", "-re", "-i", str(self._clip), "-c", "copy"]
        with ExitStack() as clients:
            for _ in range(20):
                clients.enter_context(socket.create_connection((parts.hostname, parts.port)))
            refused = subprocess.run(
                [*stranger, "-f", "flv", self._address.replace(KEY, "guess")], check=False
            )
            rate = self._rate()
        holds = rate > 0.95 * FPS and refused.returncode != 0
        return holds, f"{rate:.1f} frames/s, wrong key refused: {refused.returncode != 0}"

    def _beside_slow_clients(self) -> tuple[bool, str]:
        page = urlsplit(self._running.page)
        with ExitStack() as clients:
            for _ in range(44):
                client = socket.create_connection((page.hostname, page.port))
                clients.enter_context(client).sendall(b"GET /output.jpg?stream=s HTTP/1.1\r\nX: ")
            rate = self._rate()
        return rate > 0.95 * FPS, f"{rate:.1f} frames/s, and the page answers"

    def _recovers(self) -> tuple[bool, str]:
        began, before = time.monotonic(), self._count("vsr_restored_total")
        passed = self._count("vsr_passed_through_total")
        while time.monotonic() < began + 60:
            done = self._count("vsr_restored_total") + self._count("vsr_passed_through_total")
            if done > before + passed + FPS / 2:
                break
            time.sleep(0.02)
        took_s = time.monotonic() - began
        return took_s < RECOVERY_S, f"{took_s:.2f} s"

    def _congested(self) -> tuple[bool, str]:
        before, lost = self._line.carried, self._count("vsr_sink_lost_packets_total")
        time.sleep(WATCHED_S)
        usual = (self._line.carried - before) / WATCHED_S
        self._line.bytes_s = UPLINK * usual
        lags, until = [], time.monotonic() + CONGESTED_S
        late_lost = 0.0
        while (now := time.monotonic()) < until:
            lags.append(self._count("vsr_sink_lag_seconds"))
            if now < until - CALM_S:
                late_lost = self._count("vsr_sink_lost_packets_total")
            time.sleep(0.2)
        limit = self._count("vsr_bit_rate_limit")
        self._line.bytes_s = None
        in_the_end = self._count("vsr_sink_lost_packets_total")
        holds = max(lags) <= LATENCY_S + 1.1 and limit > 0 and in_the_end == late_lost
        return holds, (
            f"lag {max(lags):.2f} s at most, {in_the_end - lost:.0f} packets dropped, "
            f"{in_the_end - late_lost:.0f} of them in the last {CALM_S:.0f} s, at "
            f"{limit / 1000:.0f} of {usual / 125:.0f} kbit/s"
        )

    def _shows_nothing(self) -> tuple[bool, str]:
        lines = [self._said.getvalue()]
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes()
                if b"loglevel" not in words or b"-re" not in words:  # not our publisher
                    lines.append(words.decode(errors="replace"))
        found = sum(KEY in line for line in lines)
        tracebacks = lines[0].count("Traceback")
        return not found and not tracebacks, f"{found} secrets, {tracebacks} tracebacks"


def _noisy(clip: Path) -> Path:
    """A clip that takes bits which a narrow line has not."""
    words = ["-vf", "noise=alls=25:allf=t", "-preset", "ultrafast", "-g", str(2 * FPS)]
    noisy = clip.with_name("noisy.mp4")
    command = [find_ffmpeg(), "-loglevel", "error", "-i", clip, *words, "-c:a", "copy", noisy]
    subprocess.run([str(word) for word in command], check=True)
    return noisy


def run(asked: argparse.Namespace, folder: Path) -> bool:
    """All abuses; whether everything holds."""
    width, height = map(int, asked.size.split("x"))
    clip = _noisy(write_loop(folder / "loop.mp4", height, width, FPS))
    server = Server(folder)
    server.start()
    line, said = Line(server.port), StringIO()
    source = f"rtmp://127.0.0.1:{free_port()}/app/{KEY}"
    streams = folder / "streams.toml"
    target = f"rtmp://127.0.0.1:{line.port}/app/{KEY}-out"
    streams.write_text(
        f'[[stream]]\nname = "s"\nsource = "{source}"\ntarget = "{target}"\nlisten = true\n'
        f'latency = "{round(1000 * LATENCY_S)}ms"\n'
    )
    try:
        with redirect_stderr(said), restoring(["--streams", str(streams), "-m", asked.model]) as it:
            abuse = Abuse(it, source, clip, line, said)
            abuse.run()
            it.terminate()
            alone = folder / "alone"
            alone.mkdir()
            abuse.run_alone(Alone(clip, alone, asked.model))
            ended = it.process.returncode == 0
    finally:
        server.stop()
    print(f"{'ok  ' if ended else 'MISS'} it ends in order: exit code {it.process.returncode}")
    return abuse.holds and ended


def main() -> None:
    """Run it and print a line for each abuse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", default="160x90")
    parser.add_argument("--model", default="bicubic-x2")
    asked = parser.parse_args()
    if not has_server():
        sys.exit("no nginx with its RTMP module; apt-get install nginx libnginx-mod-rtmp")
    with TemporaryDirectory() as name:
        sys.exit(0 if run(asked, Path(name)) else 1)


if __name__ == "__main__":
    main()
