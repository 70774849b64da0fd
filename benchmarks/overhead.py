"""What the pipeline costs beside the encoder: ``python -m benchmarks.overhead``.

``vsr restore --model identity`` of a 1080p file next to ffmpeg's own transcode of it with the same
encoder and options, in turns, each in a process of its own; and the frames' way alone, decoded,
converted and thrown away. Seconds of the processor count what both have to do, whatever else the
machine is busy with; seconds of the clock say how long one waits.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from vsr.streams.ffmpeg import find_ffmpeg

RATE = 25
NO_SCENES = ("--scenes", "off")
"""Cuts matter to networks that look around; this one does not."""


class Cost(NamedTuple):
    """Seconds of the clock, and of the processor, children included."""

    wall: float
    cpu: float


@click.command()
@click.option("--size", default="1920x1080", show_default=True)
@click.option("--frames", default=200, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--encoder", default="libx264", show_default=True)
@click.option("--encode-args", default="-preset veryfast -crf 17", show_default=True)
def main(size: str, frames: int, rounds: int, encoder: str, encode_args: str) -> None:
    """Print milliseconds a frame and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        source = render(Path(folder) / "source.mp4", size, frames)
        target = Path(folder) / "target.mkv"
        ways = {
            "ffmpeg": ffmpeg_words(source, target, encoder, encode_args.split()),
            "vsr": vsr_words(source, target, "--encoder", encoder, "--encode-args", encode_args),
            "vsr, no encoder": vsr_words(source, Path("null")),
            "vsr, one frame": vsr_words(source, Path("null"), "--end", str(0.5 / RATE)),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, words in ways.items():
                costs[name].append(measure(words))
        report(costs, frames)


def ffmpeg_words(source: Path, target: Path, encoder: str, options: Sequence[str]) -> list[str]:
    """A transcode by ffmpeg alone."""
    words = [find_ffmpeg(), "-v", "error", "-y", "-i", str(source), "-c:v", encoder, *options]
    return [*words, "-c:a", "copy", str(target)]


def vsr_words(source: Path, target: Path, *options: str) -> list[str]:
    """The pipeline with a network that does nothing."""
    words = [sys.executable, "-m", "vsr", "restore", str(source), str(target)]
    return [*words, "--model", "identity", "--quiet", "--overwrite", *options, *NO_SCENES]


def measure(words: Sequence[str]) -> Cost:
    """Run a command."""
    before, started = _children(), time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return Cost(time.perf_counter() - started, _children() - before)


def report(costs: dict[str, list[Cost]], frames: int) -> None:
    """The best of all rounds: what disturbs a run only makes it longer."""
    best = {n: Cost(min(c.wall for c in cs), min(c.cpu for c in cs)) for n, cs in costs.items()}
    start = best["vsr, one frame"]
    for name, cost in best.items():
        print(
            f"{name:16s} {1000 * cost.wall / frames:7.2f} ms of the clock,"
            f" {1000 * cost.cpu / frames:7.2f} ms of the processor a frame"
        )
    ours, theirs = best["vsr"], best["ffmpeg"]
    print(f"ratio: clock {ours.wall / theirs.wall:.2f}, processor {ours.cpu / theirs.cpu:.2f}")
    print(
        f"without starting up: clock {(ours.wall - start.wall) / theirs.wall:.2f},"
        f" processor {(ours.cpu - start.cpu) / theirs.cpu:.2f}"
    )


def render(path: Path, size: str, frames: int) -> Path:
    """A moving test picture with grain and sound."""
    picture = f"testsrc2=size={size}:rate={RATE}:duration={frames / RATE},noise=alls=8:allf=t"
    words = [find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", picture]
    words += ["-f", "lavfi", "-i", f"sine=duration={frames / RATE}", "-c:a", "aac"]
    words += ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(words, check=True)
    return path


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
