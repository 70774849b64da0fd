"""Latency, completeness, sound and memory of a running stream, glass to glass.

    python -m benchmarks.live                                   # 60 s of 320x180 at 25 frames/s
    python -m benchmarks.live --seconds 300 --latency 800ms     # the soak
    python -m benchmarks.live --seconds 800 --size 160x90       # 20,000 frames: memory
    python -m benchmarks.live --size 640x360 --fps 50           # more than the machine can do

A publisher sends numbered frames, with a beep at every 64th, to an RTMP server; `vsr live`, a
process of its own, restores them into the same server; a viewer decodes what comes out. Latency is
from the moment a frame of a number is sent to the moment the viewer has decoded the frame that
carries it: publisher, server, network, encoder and player included. Where the machine is too slow
for a size, a smaller one or fewer frames a second show the promise (`--size`, `--fps`).

Memory is read every second from the end of the first ten on. At any moment it holds as many
restored chunks as happen to be on their way, each several per cent of the whole, so that two single
readings say nothing: the mean of the last fifth of all readings is compared with that of the first.
The encoder and the sinks' processes, which `vsr live` starts, are read and judged apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.live_ends import BEEP_EVERY, EVEN_RATES, NUMBERS, Publisher, Viewer, write_loop
from benchmarks.live_process import LiveProcess, restoring
from tests.live.harness import Server, has_server
from vsr.units import duration_s

SETTLING_S = 10.0
"""Frames sent in the first seconds are not judged: the stream is being met and measured."""

LOOK_EVERY_S = 1.0

PARTS = 5
"""Number of parts of all memory readings; the first and the last part are compared."""


@dataclass(frozen=True)
class Noted:
    """What was read of the process while it ran, each from the end of the first seconds on.

    Attributes:
        passed_through: Frames that were only enlarged.
        resident_mib: Memory, every second.
        helpers_mib: Memory of the processes it started.
    """

    passed_through: int
    resident_mib: list[float]
    helpers_mib: list[float]


def watch(publisher: Publisher, running: LiveProcess) -> Noted:
    """Look at the process until the publisher is done."""
    publisher.join(SETTLING_S)
    before = running.passed_through()
    resident_mib, helpers_mib = [running.resident_mib()], [running.helpers_mib()]
    while publisher.is_alive():
        publisher.join(LOOK_EVERY_S)
        resident_mib.append(running.resident_mib())
        helpers_mib.append(running.helpers_mib())
    return Noted(running.passed_through() - before, resident_mib, helpers_mib)


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
    expected = [n for n, sent_at in enumerate(publisher.sent) if sent_at > began]
    judged = [n for n in expected if n in firsts]
    latencies = sorted(firsts[n][0] - publisher.sent[n] for n in judged)
    return {
        "frames judged": len(expected),
        "missing": len(expected) - len(judged),
        "shown again": len(numbers) - len(firsts),
        "times that went back": sum(b <= a for a, b in pairwise(pts for *_, pts in viewer.seen)),
        **latency_figures(latencies, budget_s),
        **sound_figures({n: firsts[n][1] for n in judged}, viewer.beeps, fps),
    }


def latency_figures(latencies: list[float], budget_s: float) -> dict[str, Any]:
    """A quantile of sorted latencies in seconds."""
    under = sum(latency < budget_s for latency in latencies)
    return {
        "latency median ms": round(1000 * median(latencies)),
        "latency 99 % ms": round(1000 * latencies[int(0.99 * (len(latencies) - 1))]),
        "latency longest ms": round(1000 * latencies[-1]),
        "under the latency %": round(100 * under / len(latencies), 2),
    }


def sound_figures(shown: Mapping[int, float], beeps: list[float], fps: int) -> dict[str, Any]:
    """How much later than its frame each beep is heard, by the times of the output."""
    marked = [moment for number, moment in shown.items() if number % BEEP_EVERY == 0]
    late = [beep - min(marked, key=lambda moment: abs(moment - beep)) for beep in beeps]
    late_ms = [round(1000 * one) for one in late if abs(one) < BEEP_EVERY / fps / 2]
    return {
        "beeps": len(late_ms),
        "sound late ms, first": late_ms[0] if late_ms else None,
        "sound late ms, last": late_ms[-1] if late_ms else None,
        "sound late ms, spread": max(late_ms) - min(late_ms) if late_ms else None,
    }


def memory_figures(noted: Noted) -> dict[str, Any]:
    """Growth is from the first part of the readings to the last."""
    seen = noted.resident_mib[:: max(1, len(noted.resident_mib) // 20)]
    return {
        "resident MiB": [round(one) for one in seen],
        "memory grew by %": _growth(noted.resident_mib, mean),
        "its highest grew by %": _growth(noted.resident_mib, max),
        "helpers MiB": round(noted.helpers_mib[-1], 1),
        "helpers grew by %": _growth(noted.helpers_mib, mean),
    }


def _growth(readings: list[float], of: Callable[[list[float]], float]) -> float:
    size = max(1, len(readings) // PARTS)
    return round(100 * (of(readings[-size:]) / of(readings[:size]) - 1), 1)


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Publish, restore, watch; all that was found."""
    width, height = map(int, asked.size.split("x"))
    clip = write_loop(folder / "loop.mp4", height, width, asked.fps)
    server = Server(folder)
    server.start()
    words = [server.address("in"), server.address("out"), "-m", asked.model]
    words += ["--latency", asked.latency, "--on-overload", asked.on_overload]
    try:
        with restoring(words) as running:
            publisher = Publisher(clip, server.address("in"), asked.fps, asked.seconds)
            viewer = Viewer(server.address("out"))
            publisher.start()
            viewer.start()
            noted = watch(publisher, running)
            said = json.loads(running.terminate())[0]
            viewer.join(30)
            code = running.process.returncode
    finally:
        server.stop()
    found = judge(publisher, viewer, asked.fps, duration_s(asked.latency))
    found |= {"passed through": noted.passed_through, **memory_figures(noted)}
    return found | {"exit code": code, "vsr says": said}


def print_table(asked: argparse.Namespace, found: Mapping[str, Any]) -> None:
    """What was promised, what is asked for, what was found."""
    rows = [
        ("passed through after the first seconds", "0", found["passed through"]),
        ("frames missing, of those judged", "0", f"{found['missing']} of {found['frames judged']}"),
        (
            "frames shown again, times that went back",
            "0, 0",
            f"{found['shown again']}, {found['times that went back']}",
        ),
        ("spread of the sound's offset", "< 20 ms", f"{found['sound late ms, spread']} ms"),
        ("latency that 99 % stay under", f"< {asked.latency}", f"{found['latency 99 % ms']} ms"),
        ("frames under the latency", "> 99 %", f"{found['under the latency %']} %"),
        (
            "growth of memory, and of its peaks",
            "< 3 %",
            f"{found['memory grew by %']} %, {found['its highest grew by %']} %",
        ),
        ("growth of its helpers' memory", "< 3 %", f"{found['helpers grew by %']} %"),
        ("exit code", "0", found["exit code"]),
    ]
    for what, wanted, came in rows:
        print(f"{what:42} {wanted:10} {came}")


def main() -> None:
    """Run it, and print the figures as JSON and as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--fps", type=int, default=25, choices=EVEN_RATES)
    parser.add_argument("--latency", default="800ms")
    parser.add_argument("--model", default="compact-x4")
    parser.add_argument("--on-overload", default="degrade")
    asked = parser.parse_args()
    # The viewer's share of the processor is missing where frames are restored.
    torch.set_num_threads(1)
    if not has_server():
        sys.exit("no nginx with its RTMP module; apt-get install nginx libnginx-mod-rtmp")
    with TemporaryDirectory() as name:
        found = run(asked, Path(name))
    print(json.dumps({"asked": vars(asked), **found}, indent=1))
    print_table(asked, found)


if __name__ == "__main__":
    main()
