"""Quality on Vid4: ``python -m benchmarks.vid4 --root FOLDER``.

FOLDER holds ``GT/CLIP/*`` and ``BIx4/CLIP/*``. PSNR and SSIM on Y as in the published tables,
output rounded to 8 bit first, mean over frames, then over clips; streamed by the engine as users
run it, and as one whole clip.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vsr.metrics import luma, psnr, ssim
from vsr.models.catalogue import load_network
from vsr.models.imresize import quantise
from vsr.restorer import FULL, Restorer
from vsr.types import Chunk

CLIPS = ("calendar", "city", "foliage", "walk")


@click.command()
@click.option("--root", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--model", default="compact-x4", show_default=True)
@click.option("--weights", default=None)
@click.option("--chunk", type=int, default=None)
@click.option("--look-ahead", type=int, default=None)
@click.option("--precision", default="auto", show_default=True)
def main(
    root: Path,
    model: str,
    weights: str | None,
    chunk: int | None,
    look_ahead: int | None,
    precision: str,
) -> None:
    """Print PSNR-Y and SSIM-Y of each clip, streamed and whole."""
    network = load_network(model, weights)
    rows = []
    for clip in CLIPS:
        truth, inputs = (read_frames(root / kind / clip) for kind in ("GT", "BIx4"))
        streamed = Restorer(network, chunk=chunk, look_ahead=look_ahead, precision=precision)
        whole = Restorer(network, chunk=len(inputs), look_ahead=FULL, precision=precision)
        scores = score(restore(streamed, inputs), truth) + score(restore(whole, inputs), truth)
        rows.append(scores)
        print_row(clip, scores)
    print_row("mean", tuple(float(x) for x in np.mean(rows, 0)))
    print(f"{model}, chunk {streamed.chunk}, look-ahead {streamed.look_ahead}, {precision}")


def print_row(name: str, scores: tuple[float, ...]) -> None:
    """One line: streamed and whole, and what streaming loses."""
    a, b, c, d = scores
    print(
        f"{name:9} streamed {a:.3f} dB {b:.4f}   whole {c:.3f} dB {d:.4f}   loss {c - a:+.3f} dB",
        flush=True,
    )


def read_frames(folder: Path) -> Tensor:
    """All images of a folder in order of name: (T, 3, H, W) in [0, 1]."""
    images = (np.array(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir()))
    return torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images]).float() / 255


def restore(restorer: Restorer, frames: Tensor) -> Tensor:
    """All frames through a restorer, rounded to 8 bit."""
    entering = Chunk(frames=frames, pts=tuple(range(len(frames))), time_base=Fraction(1, 25))
    left = restorer.push(entering) + restorer.drain()
    return torch.cat([quantise(chunk.frames.cpu()) for chunk in left])


def score(restored: Tensor, truth: Tensor) -> tuple[float, float]:
    """Mean PSNR-Y and SSIM-Y."""
    pairs = [(luma(r), luma(t)) for r, t in zip(restored, truth, strict=True)]
    return (
        float(torch.stack([psnr(r, t) for r, t in pairs]).mean()),
        float(torch.stack([ssim(r, t) for r, t in pairs]).mean()),
    )


if __name__ == "__main__":
    main()
