"""A network in the whole pipeline next to the network alone: ``python -m benchmarks.end_to_end``.

Where cores or a GPU leave room for decoder and encoder, both rates should be the same. Where they
do not, the parts beside the network take their share of the processor, which is stated: what of it
is the pipeline's own, and what any program would pay for decoding and encoding.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import click
import torch
from torch import Tensor

from benchmarks.parts import Cost, Parts, first_frames, measure, measure_parts, render, vsr_words
from vsr.cli.startup import prepare
from vsr.models.loading import load_network
from vsr.restorer import Restorer
from vsr.types import Chunk

SHORT = 64
"""Frames of the run that measures the start."""

WARM_UP = 48
"""Frames restored before the clock runs."""


class Alone(NamedTuple):
    """A network: frames a second, the processor's milliseconds a frame, some restored frames."""

    fps: float
    cpu_ms: float
    frames: Tensor


@click.command()
@click.option("--model", default="compact-x4", show_default=True)
@click.option("--size", default="320x180", show_default=True)
@click.option("--frames", default=320, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--encoder", default="libx264", show_default=True)
@click.option("--encode-args", default="-preset veryfast -crf 17", show_default=True)
def main(model: str, size: str, frames: int, rounds: int, encoder: str, encode_args: str) -> None:
    """Print both rates and each part's share."""
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        source = render(Path(folder) / "source.mp4", size, frames)
        target = Path(folder) / "target.mkv"
        encoding = ("--encoder", encoder, "--encode-args", encode_args)
        network = max((restore_alone(model, source, frames) for _ in range(rounds)), key=_fps)
        print(f"network alone         {network.fps:6.2f} frames/s")
        for name, sink, options in (
            ("end to end", target, encoding),
            ("end to end, null sink", Path("null"), ()),
        ):
            fps = steady(source, sink, frames, rounds, "--model", model, *options)
            print(f"{name:21s} {fps:6.2f} frames/s ({fps / network.fps:.0%})")
        torch.set_num_threads(1)
        parts = measure_parts(source, network.frames, encoder, encode_args.split(), rounds)
    report(network, parts)


def restore_alone(model: str, source: Path, frames: int) -> Alone:
    """Restore frames that are in memory already, as a stream."""
    restorer = Restorer(load_network(model))
    pictures = first_frames(source, restorer.chunk)
    chunks = _again(pictures, WARM_UP + frames)
    for chunk in islice(chunks, -(-WARM_UP // len(pictures))):
        restorer.push(chunk)
    clock, processor, count = time.perf_counter(), time.process_time(), 0
    for chunk in chunks:
        for restored in restorer.push(chunk):
            count += len(restored)
            last = restored.frames.float().cpu()
    passed = time.perf_counter() - clock
    return Alone(count / passed, 1000 * (time.process_time() - processor) / count, last)


def steady(source: Path, target: Path, frames: int, rounds: int, *options: str) -> float:
    """Frames a second of ``vsr restore``, what a short run takes being left out."""
    whole = _best(measure(vsr_words(source, target, *options)) for _ in range(rounds))
    short = ("--end", str(SHORT / 25))
    start = _best(measure(vsr_words(source, target, *options, *short)) for _ in range(rounds))
    return (frames - SHORT) / (whole - start)


def report(network: Alone, parts: Parts) -> None:
    """Where the processor's time goes."""
    beside = sum(parts)
    own = parts.to_rgb + parts.from_rgb + parts.pipe
    print("each part by itself, of the processor a frame:")
    print(f"  {'network':26s} {network.cpu_ms:7.2f} ms")
    print(parts.table())
    everything = network.cpu_ms + beside
    print(f"beside the network {beside:.2f} ms, {beside / everything:.0%} of everything;")
    print(f"decoder and encoder left out {own:.2f} ms, {own / everything:.0%}")


def _again(pictures: Tensor, count: int) -> Iterator[Chunk]:
    """The same pictures forwards and backwards, as so many frames of one stream."""
    for start in range(0, count, len(pictures)):
        frames = pictures if start // len(pictures) % 2 == 0 else pictures.flip(0)
        pts = tuple(range(start, start + len(pictures)))
        yield Chunk(frames=frames, pts=pts, time_base=Fraction(1, 25))


def _best(costs: Iterator[Cost]) -> float:
    return min(cost.wall for cost in costs)


def _fps(alone: Alone) -> float:
    return alone.fps


if __name__ == "__main__":
    main()
