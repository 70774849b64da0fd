"""Cost of the pipeline beside decoder and encoder: ``python -m benchmarks.overhead``.

``vsr restore --model identity`` of a 1080p file next to ffmpeg's own transcode of it with the same
encoder and options, in turns, each in a process of its own; and each part of the way alone. Seconds
of the processor count what both have to do, whatever else the machine is busy with; seconds of the
clock say how long one waits.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from benchmarks.parts import (
    NUM_FRAMES,
    RATE,
    Cost,
    first_frames,
    measure,
    measure_parts,
    render,
    vsr_words,
)
from vsr.cli.startup import prepare
from vsr.streams.encode.encoders import default_options, parse_options
from vsr.streams.ffmpeg.process import find_ffmpeg

IDENTITY = ("--model", "identity")


@click.command()
@click.option("--size", default="1920x1080", show_default=True)
@click.option("--frames", default=200, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--encoder", default="libx264", show_default=True)
@click.option("--encode-args", default="-preset veryfast -crf 17", show_default=True)
def main(size: str, frames: int, rounds: int, encoder: str, encode_args: str) -> None:
    """Print milliseconds a frame and ratios."""
    prepare()
    # As after an installation: with its modules compiled, which some environments forbid to keep.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    encoding = ("--encoder", encoder, "--encode-args", encode_args)
    with tempfile.TemporaryDirectory() as folder:
        source = render(Path(folder) / "source.mp4", size, frames)
        target, nothing = Path(folder) / "target.mkv", Path("null")
        ways = {
            "ffmpeg": ffmpeg_words(source, target, encoder, encode_args.split()),
            "vsr": vsr_words(source, target, *IDENTITY, *encoding),
            "vsr, one frame": vsr_words(
                source, target, *IDENTITY, *encoding, "--end", str(0.5 / RATE)
            ),
            "vsr, no encoder": vsr_words(source, nothing, *IDENTITY),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, words in ways.items():
                costs[name].append(measure(words))
        report(costs, frames)
        torch.set_num_threads(1)
        pictures = first_frames(source, min(frames, NUM_FRAMES))
        print("each part by itself, of the processor a frame:")
        print(measure_parts(source, pictures, encoder, encode_args.split(), rounds).table())


def ffmpeg_words(source: Path, target: Path, encoder: str, options: Sequence[str]) -> list[str]:
    """A transcode by ffmpeg alone; what the options leave open is as ``vsr restore`` has it."""
    words = [find_ffmpeg(), "-v", "error", "-y", "-i", str(source), "-c:v", encoder]
    for name, value in default_options(encoder, parse_options(options)).items():
        words += [f"-{name}", str(value)]
    return [*words, *options, "-c:a", "copy", str(target)]


def report(costs: dict[str, list[Cost]], frames: int) -> None:
    """The best of all rounds: what disturbs a run only makes it longer."""
    best = {n: Cost(min(c.wall for c in cs), min(c.cpu for c in cs)) for n, cs in costs.items()}
    for name, cost in best.items():
        print(
            f"{name:16s} {1000 * cost.wall / frames:7.2f} ms of the clock,"
            f" {1000 * cost.cpu / frames:7.2f} ms of the processor a frame"
        )
    theirs, ours, start = best["ffmpeg"], best["vsr"], best["vsr, one frame"]
    print(_ratios("vsr", ours, theirs))
    without = Cost(ours.wall - start.wall, ours.cpu - start.cpu)
    print(_ratios("vsr, without starting up", without, theirs))


def _ratios(name: str, ours: Cost, theirs: Cost) -> str:
    clock, processor = ours.wall / theirs.wall, ours.cpu / theirs.cpu
    return f"{name}, over ffmpeg: clock {clock:.2f}, processor {processor:.2f}"


if __name__ == "__main__":
    main()
