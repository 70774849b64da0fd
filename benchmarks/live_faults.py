"""How soon the output of a running stream recovers when its source or its server comes back.

    python -m benchmarks.live_faults                # 20 restarts of the source, 5 of the server
    python -m benchmarks.live_faults --sources 3 --servers 1

An ffmpeg publishes numbered frames to an RTMP server, `vsr live`, a process of its own, restores
them into the same server, and a viewer that connects again and again reads what comes out. Source
or server are killed, stay away for one to seven seconds, and come back. From the moment that the
publisher is started again, or that the server takes connections again, until the viewer has decoded
the first frame that is not the held one: that is the recovery, publisher's start and viewer's
connection included. In the end the recorded copy says whether its times went back, and how long the
longest holes of picture and sound are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import torch

from benchmarks.live_ends import write_loop
from benchmarks.live_process import LiveProcess, restoring
from tests.live.harness import Server, has_server
from tests.media import read_number
from vsr.streams.ffmpeg.process import find_ffmpeg

SETTLED_S = 3.0
"""Between a recovery and the next fault."""

SHORTEST_S, SPREAD_S = 1.5, 5.5
"""How long source or server stay away: spread, so that attempts to connect meet the return at any
moment of their rhythm."""

PATIENCE_S = 60.0


class PersistentViewer(threading.Thread):
    """Plays the output, connecting again whenever it breaks off.

    Attributes:
        number: Number that the latest frame carries; -1 before any.
        changed_at: When it became another one.
    """

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.number, self.changed_at = -1, 0.0
        self._address, self._ended = address, threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            with suppress(av.error.FFmpegError, OSError):
                self._play()

    def end(self) -> None:
        """Wait until it no longer plays: ffmpeg does not survive the interpreter's end."""
        self._ended.set()
        if self.is_alive():
            self.join()

    def _play(self) -> None:
        options = {"rtmp_live": "live", "analyzeduration": "2000000"}
        with av.open(self._address, options=options, timeout=(5, 5)) as container:
            if not container.streams.video:
                return  # only sound came while the stream was met
            video = container.streams.video[0]
            video.thread_type = "SLICE"
            for packet in container.demux(video):
                if self._ended.is_set():
                    return
                for frame in packet.decode():
                    grey = torch.from_numpy(frame.to_ndarray(format="gray"))[None].float() / 255
                    if (number := read_number(grey)) != self.number:
                        self.number, self.changed_at = number, time.monotonic()


class Scene:
    """Server, publisher and viewer around one `vsr live`."""

    def __init__(self, clip: Path, server: Server, viewer: PersistentViewer) -> None:
        self._clip, self._server, self._viewer = clip, server, viewer
        self._publisher: subprocess.Popen[bytes] | None = None

    def publish(self) -> float:
        """Start the publisher; the moment it was started."""
        words = ["-re", "-stream_loop", "-1", "-i", str(self._clip), "-c", "copy", "-f", "flv"]
        command = [find_ffmpeg(), "-loglevel", "quiet", "-nostdin", *words]
        began = time.monotonic()
        self._publisher = subprocess.Popen([*command, self._server.address("in")])
        return began

    def stop_publishing(self) -> None:
        """Kill it."""
        if self._publisher is not None:
            self._publisher.kill()
            self._publisher.wait()

    def lose_source(self, away_s: float) -> float:
        """Kill the publisher and start it again; when it came back."""
        self.stop_publishing()
        time.sleep(away_s)
        return self.publish()

    def lose_server(self, away_s: float) -> float:
        """Kill the server, with it the publisher, and start both again; when they came back."""
        self._server.stop()
        self.stop_publishing()
        time.sleep(away_s)
        self._server.start()
        return self.publish()

    def recovery_s(self, back_at: float) -> float:
        """Wait until the viewer sees frames that go on; how long after the return."""
        while self._viewer.changed_at <= back_at:
            if time.monotonic() > back_at + PATIENCE_S:
                return float("inf")
            time.sleep(0.01)
        return self._viewer.changed_at - back_at


def measure(kind: str, times: int, lose: Callable[[float], float], scene: Scene) -> list[float]:
    """Fault after fault; prints each."""
    recoveries = []
    for number in range(times):
        time.sleep(SETTLED_S)
        away_s = SHORTEST_S + SPREAD_S * (number * 0.618 % 1)
        recoveries.append(scene.recovery_s(lose(away_s)))
        print(f"{kind:8} {number + 1:3}  away {away_s:4.1f} s  recovered {recoveries[-1]:5.2f} s")
        sys.stdout.flush()
    return recoveries


def times_of(copy: Path) -> dict[str, list[float]]:
    """Seconds of the copy's packets, by the kind of their stream."""
    times: dict[str, list[float]] = {}
    with av.open(str(copy)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                moment = float(packet.pts * packet.time_base)
                times.setdefault(packet.stream.type, []).append(moment)
    return times


def report_times(copy: Path) -> None:
    """Whether the copy's times went back, and its longest hole."""
    for kind, moments in times_of(copy).items():
        steps = [later - earlier for earlier, later in pairwise(moments)]
        back = sum(step <= 0 for step in steps)
        print(f"{kind}: times that went back: {back}, longest hole {max(steps):.2f} s")


def run(asked: argparse.Namespace, folder: Path) -> None:
    """All faults, then the table."""
    width, height = map(int, asked.size.split("x"))
    clip = write_loop(folder / "loop.mp4", height, width, asked.fps)
    server, copy = Server(folder), folder / "copy.mkv"
    server.start()
    words = [server.address("in"), server.address("out"), "-m", asked.model]
    words += ["--record", str(copy)]
    viewer = PersistentViewer(server.address("out"))
    scene = Scene(clip, server, viewer)
    try:
        with restoring(words) as running:
            viewer.start()
            scene.recovery_s(scene.publish())
            found = {
                "source": measure("source", asked.sources, scene.lose_source, scene),
                "server": measure("server", asked.servers, scene.lose_server, scene),
            }
            report(found, running)
    finally:
        scene.stop_publishing()
        server.stop()
        viewer.end()
    report_times(copy)


def report(found: dict[str, list[float]], running: LiveProcess) -> None:
    """The table, and how it ended."""
    went_on = running.process.poll() is None
    running.terminate()
    for kind, recoveries in found.items():
        if recoveries:
            worst, mean = max(recoveries), sum(recoveries) / len(recoveries)
            print(f"{kind}: {len(recoveries)} times, worst {worst:.2f} s, mean {mean:.2f} s")
    print(f"ran on until it was asked to end: {went_on}; exit code {running.process.returncode}")


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sources", type=int, default=20)
    parser.add_argument("--servers", type=int, default=5)
    parser.add_argument("--size", default="160x90")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--model", default="compact-x4")
    asked = parser.parse_args()
    if not has_server():
        sys.exit("no nginx with its RTMP module; apt-get install nginx libnginx-mod-rtmp")
    with TemporaryDirectory() as name:
        run(asked, Path(name))


if __name__ == "__main__":
    main()
