"""What ``--steady`` does to an image network: ``python -m benchmarks.steadiness CLIP…``.

The middle of each clip is reduced to a quarter, coded by libx264, and restored without and with it.
Warping error is the mean squared change along the flow of the ground truth, in thousandths;
sharpness the mean gradient of luma, in levels of 255 a pixel.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import torch
from torch import Tensor

from vsr.evaluation.scoring import ClipScorer, Scoring
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.ops.imresize import imresize, quantise
from vsr.quality.coding import Coding, code
from vsr.quality.metrics import luma
from vsr.streams import open_reader

SCALE = 4

COLUMNS = {
    "warp_truth": "warping error of the truth",
    "warp": "of the restored",
    "sharpness": "sharpness",
    "vmaf_neg": "VMAF-NEG",
    "psnr_y": "PSNR-Y",
}
"""Scores of a clip, and what the table calls them."""


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--model", default="realesr-animevideov3", show_default=True)
@click.option("--frames", type=int, default=16, show_default=True)
@click.option(
    "--size", type=(int, int), default=(640, 352), show_default=True, help="Of the truth."
)
@click.option("--crf", type=int, default=28, show_default=True)
def main(clips: Sequence[Path], model: str, frames: int, size: tuple[int, int], crf: int) -> None:
    """Print a table as Markdown: each score without, with, and by how much it has changed."""
    networks = [load_network(model, steady=steady) for steady in (False, True)]
    print(f"| clip | {' | '.join(COLUMNS.values())} | CPU time |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for path in clips:
        truth = read_middle(path, frames, size)
        low = coded(truth, crf)
        plain, steady = (restored_scores(network, low, truth) for network in networks)
        cells = [f"{plain[key]:.4g} → {steady[key]:.4g}" for key in COLUMNS]
        cells[0] = f"{plain['warp_truth']:.4g}"
        added = steady["seconds"] / plain["seconds"] - 1
        print(f"| {path.stem} | {' | '.join(cells)} | {added:+.0%} |", flush=True)


def read_middle(path: Path, num_frames: int, size: tuple[int, int]) -> Tensor:
    """The first frames of a clip, of which the middle (T, 3, H, W) is taken, at even places."""
    width, height = size
    read: list[Tensor] = []
    with open_reader(path) as reader:
        for chunk in reader.chunks(num_frames):
            read.append(chunk.frames)
            if sum(map(len, read)) >= num_frames:
                break
    frames = torch.cat(read)[:num_frames]
    top, left = (frames.shape[-2] - height) // 4 * 2, (frames.shape[-1] - width) // 4 * 2
    return quantise(frames[..., top : top + height, left : left + width])


def coded(truth: Tensor, crf: int) -> Tensor:
    """The truth at a quarter of its size, coded and decoded."""
    small = imresize(truth, 1 / SCALE).clamp(0, 1).mul(255).round().byte()
    return code(small, Coding(codec="libx264", options={"crf": str(crf)})).float() / 255


@torch.inference_mode()
def restored_scores(network: Network[None], low: Tensor, truth: Tensor) -> dict[str, float]:
    """The means of a clip's scores over frames, and the processor's seconds of restoring it."""
    started = time.process_time()
    restored = network(low[None])[0].clamp(0, 1)
    seconds = time.process_time() - started
    scorer = ClipScorer(Scoring(temporal=("warp",), libvmaf=("vmaf-neg",)))
    scorer.add(low, restored, truth)
    scores, _ = scorer.finish()
    kept = {key: [value for value in values if value is not None] for key, values in scores.items()}
    means = {key: sum(values) / len(values) for key, values in kept.items()}
    return means | {"sharpness": 255 * sharpness(restored), "seconds": seconds}


def sharpness(frames: Tensor) -> float:
    """The mean gradient of luma along both axes, in [0, 1] a pixel."""
    grey = luma(frames)
    return sum(float(grey.diff(dim=axis).abs().mean()) for axis in (-2, -1)) / 2


if __name__ == "__main__":
    main()
