"""Several streams in one process, seen from outside.

    python -m benchmarks.live_several --seconds 300             # four streams, five minutes

Each is published to an RTMP server and restored into it by one `vsr live --streams`; a reader of
each output counts its pictures and looks at their times. What arrived, what was only enlarged or
left out, and how memory grew is said per stream.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av

from benchmarks.live import PARTS
from benchmarks.live_ends import write_loop
from benchmarks.live_process import restoring
from tests.live.harness import Server, ffmpeg, has_server, until

FPS = 25
SETTLING_S = 15.0
LOOK_EVERY_S = 1.0


class Reader(threading.Thread):
    """Reads an output without decoding it, and notes the time of every picture."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.times: list[float] = []
        self._address = address

    def run(self) -> None:
        while not self._read():  # there may be sound before the first picture
            pass

    def _read(self) -> bool:
        options = {"rtmp_live": "live", "analyzeduration": "500000"}
        with av.open(self._address, options=options, timeout=(60, 20)) as container:
            if not container.streams.video:
                return False
            try:
                for packet in container.demux(container.streams.video[0]):
                    if packet.pts is not None:
                        self.times.append(float(packet.pts * packet.time_base))
            except av.error.FFmpegError:  # the output has ended
                pass
        return True


def growth(readings: list[float]) -> float:
    """Per cent from the first part of the readings to the last."""
    size = max(1, len(readings) // PARTS)
    first, last = sum(readings[:size]) / size, sum(readings[-size:]) / size
    return round(100 * (last / first - 1), 1)


def run(asked: argparse.Namespace, folder: Path) -> bool:
    """Publish, restore, read; whether every stream held."""
    width, height = map(int, asked.size.split("x"))
    clip = write_loop(folder / "loop.mp4", height, width, FPS)
    server = Server(folder)
    server.start()
    names = [f"s{number}" for number in range(asked.streams)]
    tables = (
        f'[[stream]]\nname = "{name}"\nsource = "{server.address(name)}"\n'
        f'target = "{server.address(f"{name}-out")}"\n'
        for name in names
    )
    streams = folder / "streams.toml"
    streams.write_text(f'latency = "{asked.latency}"\n' + "".join(tables))
    readers = [Reader(server.address(f"{name}-out")) for name in names]
    loop: list[str | Path] = ["-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv"]
    try:
        with ExitStack() as publishers:
            for name in names:
                publishers.enter_context(ffmpeg(*loop, server.address(name)))
            words = ["--streams", str(streams), "-m", asked.model]
            with restoring(words) as running:
                until(lambda: running.figures()["vsr_frames_out_total"] > FPS, "frames leave")
                for reader in readers:
                    reader.start()
                time.sleep(SETTLING_S)
                before = [len(reader.times) for reader in readers]
                memory, began = [], time.monotonic()
                while time.monotonic() < began + asked.seconds:
                    time.sleep(LOOK_EVERY_S)
                    memory.append(running.resident_mib())
                took_s = time.monotonic() - began
                counts = [len(r.times) - b for r, b in zip(readers, before, strict=True)]
                said = json.loads(running.terminate())
                code = running.process.returncode
    finally:
        server.stop()
    rates = [count / took_s for count in counts]
    held = [holds(*one) for one in zip(said, readers, rates, strict=True)]
    print(f"memory grew by {growth(memory)} % in {took_s:.0f} s; exit code {code}")
    return all(held) and code == 0


def holds(said: dict[str, Any], reader: Reader, rate: float) -> bool:
    """Print a stream's line; whether nothing was lost or late for good."""
    back = sum(b <= a for a, b in zip(reader.times, reader.times[1:], strict=False))
    print(
        f"{said['name']}: {rate:.2f} frames/s, {said['restored']} restored, "
        f"{said['passed_through']} passed through, {said['skipped']} left out, "
        f"{said['held']} held, {said['lost_packets']} packets lost, {said['late']} late, "
        f"99 %: {said['latency_p99_ms']} ms, times that went back: {back}"
    )
    return rate > 0.99 * FPS and not back and not said["lost_packets"]


def main() -> None:
    """Run it and print a line for each stream."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--size", default="160x90")
    parser.add_argument("--latency", default="800ms")
    parser.add_argument("--model", default="compact-x4")
    asked = parser.parse_args()
    if not has_server():
        sys.exit("no nginx with its RTMP module; apt-get install nginx libnginx-mod-rtmp")
    with TemporaryDirectory() as name:
        held = run(asked, Path(name))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
