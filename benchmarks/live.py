"""Latency, completeness, sound and memory of a running stream, glass to glass.

    python -m benchmarks.live                                   # 60 s of 320x180 at 25 frames/s
    python -m benchmarks.live --seconds 300 --latency 800ms     # the soak
    python -m benchmarks.live --size 640x360 --fps 50           # more than the machine can do

A publisher sends numbered frames, with a beep at every 64th, to an RTMP server; `vsr live`, a
process of its own, restores them into the same server; a viewer decodes what comes out. Latency is
from the moment a frame of a number is sent to the moment the viewer has decoded the frame that
carries it: publisher, server, network, encoder and player included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import ProxyHandler, build_opener

import av
import numpy as np
import torch
from av.audio.stream import AudioStream

from tests.live.harness import Server, has_server
from tests.media import BITS, SAMPLE_RATE, numbered_frame, read_number

NUMBERS = 2**BITS
BEEP_EVERY = 64
BEEP_S = 0.02
LOUD = 0.1
SETTLING_S = 10.0
"""Frames sent in the first seconds are not judged: the stream is being met and measured."""

Sound = np.ndarray[Any, np.dtype[np.float32]]


def write_loop(path: Path, height: int, width: int, fps: int) -> Path:
    """A clip that can be sent again and again: 256 frames, and sound of the same length."""
    beep_every = BEEP_EVERY * SAMPLE_RATE // fps
    wave = np.zeros(NUMBERS * SAMPLE_RATE // fps, dtype=np.float32)
    tone = np.sin(2 * np.pi * 1000 * np.arange(int(BEEP_S * SAMPLE_RATE)) / SAMPLE_RATE)
    for start in range(0, len(wave), beep_every):
        wave[start : start + len(tone)] = 0.5 * tone
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(2 * fps)}
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE)
        assert isinstance(audio, AudioStream)
        audio.layout = "mono"
        for number in range(NUMBERS):
            picture = av.VideoFrame.from_ndarray(numbered_frame(number, height, width), "rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
        for start in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(audio.encode(frame))
    return path


class Publisher(threading.Thread):
    """Sends the clip in real time and notes when each frame went out."""

    def __init__(self, clip: Path, address: str, fps: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.sent: list[float] = []
        self._clip, self._address, self._fps, self._seconds = clip, address, fps, seconds

    def run(self) -> None:
        length = Fraction(NUMBERS, self._fps)
        with (
            av.open(str(self._clip)) as source,
            av.open(self._address, "w", format="flv") as target,
        ):
            streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
            packets = sorted(
                (p for p in source.demux() if p.size and p.dts is not None),
                key=lambda packet: (packet.dts or 0) * packet.time_base,
            )
            copies = [
                (bytes(p), p.stream_index, p.pts or 0, p.time_base, p.is_keyframe) for p in packets
            ]
            began, round_number = time.monotonic(), 0
            while round_number * length < self._seconds:
                for data, index, pts, base, is_key in copies:
                    moment = pts * base + round_number * length
                    if moment < 0:
                        continue
                    time.sleep(max(0.0, began + float(moment) - time.monotonic()))
                    packet: av.Packet[Any] = av.Packet(data)
                    packet.time_base, packet.is_keyframe = base, is_key
                    packet.pts = packet.dts = round(moment / base)
                    packet.stream = streams[index]
                    if packet.stream.type == "video":
                        self.sent.append(time.monotonic())
                    target.mux(packet)
                round_number += 1


class Viewer(threading.Thread):
    """Plays the output and notes when each frame was there to be shown."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[int, float, float]] = []
        self.beeps: list[float] = []
        self._address = address
        self._quiet = True

    def run(self) -> None:
        options = {"rtmp_live": "live", "analyzeduration": "500000"}
        with av.open(self._address, options=options, timeout=(60, 20)) as container:
            container.streams.video[0].thread_type = "SLICE"
            try:
                for packet in container.demux():
                    for frame in packet.decode():
                        self._note(frame)
            except av.error.FFmpegError:
                return

    def _note(self, frame: Any) -> None:
        if isinstance(frame, av.VideoFrame):
            grey = torch.from_numpy(frame.to_ndarray(format="gray"))[None].float() / 255
            self.seen.append((read_number(grey), time.monotonic(), float(frame.time or 0)))
        else:
            self._listen(np.abs(frame.to_ndarray()[0]), float(frame.time))

    def _listen(self, loudness: Sound, begins: float) -> None:
        loud = np.flatnonzero(loudness > LOUD)
        if len(loud) and self._quiet:
            self.beeps.append(begins + loud[0] / SAMPLE_RATE)
        self._quiet = not len(loud)


@contextmanager
def restoring(words: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`vsr live` and the address of its figures."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vsr", "live", *words, "--status", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    while "figures at" not in line:
        line = process.stderr.readline()
    said = threading.Thread(target=lambda: sys.stderr.writelines(process.stderr or ()), daemon=True)
    said.start()
    try:
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.wait()


def resident_mib(figures: str) -> float:
    """Memory of `vsr live` as it says itself."""
    with build_opener(ProxyHandler({})).open(f"{figures}metrics") as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith("process_resident_memory_bytes ")]
    return float(line.split()[1]) / 2**20


def unwrap(numbers: list[int]) -> list[int]:
    """Numbers of eight bits as numbers that grow."""
    grown, last = [], 0
    for number in numbers:
        ahead = (number - last) % NUMBERS
        last += ahead if ahead < NUMBERS // 2 else ahead - NUMBERS
        grown.append(last)
    return grown


def judge(publisher: Publisher, viewer: Viewer, fps: int, budget_s: float) -> dict[str, Any]:
    """What publisher and viewer noted, compared."""
    numbers = unwrap([number for number, *_ in viewer.seen])
    # The viewer may have come rounds later: its first frame was sent less than a round before.
    first_at = viewer.seen[0][1]
    round_ = max(
        r
        for r in range(len(publisher.sent) // NUMBERS + 1)
        if publisher.sent[min(numbers[0] + r * NUMBERS, len(publisher.sent) - 1)] < first_at
    )
    numbers = [number + round_ * NUMBERS for number in numbers]
    firsts: dict[int, tuple[float, float]] = {}
    for number, (_, at, pts) in zip(numbers, viewer.seen, strict=True):
        firsts.setdefault(number, (at, pts))
    began = publisher.sent[0] + SETTLING_S
    judged = [n for n in firsts if n < len(publisher.sent) and publisher.sent[n] > began]
    latencies = sorted(firsts[n][0] - publisher.sent[n] for n in judged)
    expected = range(min(judged), max(judged) + 1)
    shown = [moment for _, _, moment in viewer.seen]
    offsets = [
        beep
        - min((firsts[n][1] for n in judged if n % BEEP_EVERY == 0), key=lambda t: abs(t - beep))
        for beep in viewer.beeps
    ]
    offsets = [1000 * offset for offset in offsets if abs(offset) < BEEP_EVERY / fps / 2]
    return {
        "frames judged": len(expected),
        "missing": len(expected) - len(judged),
        "shown again": len(numbers) - len(firsts),
        "times that went back": sum(b <= a for a, b in pairwise(shown)),
        "latency median ms": round(1000 * median(latencies)),
        "latency 99 % ms": round(1000 * latencies[int(0.99 * (len(latencies) - 1))]),
        "latency longest ms": round(1000 * latencies[-1]),
        "under the latency %": round(
            100 * sum(t < budget_s for t in latencies) / len(latencies), 2
        ),
        "beeps": len(offsets),
        "sound late ms, first": round(offsets[0]) if offsets else None,
        "sound late ms, last": round(offsets[-1]) if offsets else None,
        "sound late ms, spread": round(max(offsets) - min(offsets)) if offsets else None,
    }


def main() -> None:
    """Run it and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--fps", type=int, default=25, choices=(24, 25, 30, 50, 60))
    parser.add_argument("--latency", default="800ms")
    parser.add_argument("--model", default="compact-x4")
    parser.add_argument("--on-overload", default="degrade")
    asked = parser.parse_args()
    if not has_server():
        sys.exit("no nginx with its RTMP module; apt-get install nginx libnginx-mod-rtmp")
    from vsr.live.several import duration_s

    width, height = map(int, asked.size.split("x"))
    with TemporaryDirectory() as name:
        folder = Path(name)
        clip = write_loop(folder / "loop.mp4", height, width, asked.fps)
        server = Server(folder)
        server.start()
        words = [server.address("in"), server.address("out"), "-m", asked.model]
        words += ["--latency", asked.latency, "--on-overload", asked.on_overload]
        try:
            with restoring(words) as (process, figures):
                publisher = Publisher(clip, server.address("in"), asked.fps, asked.seconds)
                viewer = Viewer(server.address("out"))
                publisher.start()
                viewer.start()
                time.sleep(min(SETTLING_S, asked.seconds / 2))
                memory = [resident_mib(figures)]
                publisher.join()
                memory.append(resident_mib(figures))
                process.terminate()
                out, _ = process.communicate(timeout=60)
                viewer.join(30)
        finally:
            server.stop()
    found = judge(publisher, viewer, asked.fps, duration_s(asked.latency))
    found |= {"resident MiB, first": round(memory[0]), "resident MiB, last": round(memory[1])}
    found |= {"exit code": process.returncode, "vsr says": json.loads(out)[0]}
    print(json.dumps({"asked": vars(asked), **found}, indent=1))


if __name__ == "__main__":
    main()
