"""What ``--skip-still`` gives on still footage: ``python -m benchmarks.still CLIP…``.

Each clip is reduced, coded by libx264, and restored in a stream with and without it. With
``--slide`` it is a talk: the clip moves in a corner of a picture. The share is that of the pixels
that the network was given.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.cli.tables import print_table
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.ops.imresize import imresize, quantise
from vsr.quality.coding import Coding, code
from vsr.quality.metrics import luma, psnr
from vsr.restorer import Restorer
from vsr.streams import open_reader
from vsr.streams.decode.image_reader import read_image
from vsr.types import Chunk

CORNER = 0.2
"""Share of a slide that moves."""

HEADINGS = ("clip", "frames", "share restored", "times as fast", "PSNR-Y", "with --skip-still")


class Given:
    """Counts the pixels of frames that a network is given."""

    def __init__(self, network: Network[Any]) -> None:
        self.pixels = 0
        self._step = network.step
        network.step = self  # type: ignore[method-assign]

    def __call__(self, window_BTCHW: Tensor, state: Any, num_keep: int, **more: Any) -> Any:
        self.pixels += num_keep * window_BTCHW.shape[-2] * window_BTCHW.shape[-1]
        return self._step(window_BTCHW, state, num_keep, **more)


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--slide", type=click.Path(path_type=Path, exists=True), help="A picture.")
@click.option("--size", type=(int, int), default=(1280, 720), show_default=True, help="Of a slide.")
@click.option("--model", default="compact-x2-video", show_default=True)
@click.option("--frames", type=int, default=64, show_default=True)
@click.option("--crf", type=int, default=23, show_default=True)
def main(
    clips: Sequence[Path],
    slide: Path | None,
    size: tuple[int, int],
    model: str,
    frames: int,
    crf: int,
) -> None:
    """Print a row for each clip."""
    rows = []
    for clip in clips:
        truth = read(clip, frames)
        if slide is not None:
            truth = in_the_corner(truth, read_image(slide), size)
        scale = load_network(model).facts.scale
        truth = cropped(truth, 2 * scale)
        low = coded(truth, scale, crf)
        (plain, _, slow), (skipping, share, quick) = (
            scored(load_network(model, skip_still=skip), low, truth) for skip in (False, True)
        )
        cells = (f"{share:.2f}", f"{slow / quick:.2f}", f"{plain:.3f}", f"{skipping:.3f}")
        rows.append((clip.stem, str(len(truth)), *cells))
    print_table(HEADINGS, rows)


def read(clip: Path, num_frames: int) -> Tensor:
    """The first frames, (T, 3, H, W)."""
    with open_reader(clip) as reader:
        return torch.cat([c.frames for c in within(reader.chunks(16), num_frames)])[:num_frames]


def within(chunks: Iterator[Chunk], num_frames: int) -> Iterator[Chunk]:
    """Chunks up to that of a frame."""
    for chunk in chunks:
        yield chunk
        num_frames -= len(chunk)
        if num_frames <= 0:
            return


def cropped(frames: Tensor, multiple: int) -> Tensor:
    """Frames without what their sides are beyond a multiple."""
    height, width = (side // multiple * multiple for side in frames.shape[-2:])
    return frames[..., :height, :width]


def in_the_corner(frames: Tensor, slide: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames that move in a corner of a slide."""
    width, height = size
    small = (round(CORNER**0.5 * height), round(CORNER**0.5 * width))
    talk = F.interpolate(slide[None], (height, width), mode="area").repeat(len(frames), 1, 1, 1)
    moving = F.interpolate(frames, small, mode="bilinear", antialias=True)
    talk[..., -small[0] - 16 : -16, -small[1] - 16 : -16] = moving
    return quantise(talk)


def coded(truth: Tensor, scale: int, crf: int) -> Tensor:
    """The truth, reduced, coded and decoded."""
    small = imresize(truth, 1 / scale).clamp(0, 1).mul(255).round().byte()
    return code(small, Coding(codec="libx264", options={"crf": str(crf)})).float() / 255


def scored(network: Network[Any], low: Tensor, truth: Tensor) -> tuple[float, float, float]:
    """Mean PSNR-Y, the share of pixels that were restored, and seconds of the processor."""
    restorer = Restorer(network)
    given = Given(getattr(restorer.network, "network", restorer.network))
    chunk = Chunk(frames=low, pts=tuple(range(len(low))), time_base=Fraction(1, 25))
    started = time.process_time()
    chunks = [*restorer.iter_push(chunk), *restorer.iter_drain()]
    seconds = time.process_time() - started
    restored = torch.cat([one.frames for one in chunks]).clamp(0, 1)
    score = float(psnr(luma(restored), luma(truth)).mean())
    return score, given.pixels / (len(low) * low[0, 0].numel()), seconds


if __name__ == "__main__":
    main()
