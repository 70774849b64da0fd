"""What a short look-ahead costs: ``python -m benchmarks.look_ahead --root FOLDER --out FOLDER``.

The root holds ``GT/CLIP/*`` and ``BIx4/CLIP/*``, as for Vid4. For every look-ahead and chunk: PSNR
of Y lost against the whole clip, and what is lost where every chunk is restored as a clip of its
own, as tools do that keep no state. The plot shows where: the error against the whole clip by the
number of frames to the end of the chunk, behind which the seam is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vsr.errors import MissingDependency
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.quality.metrics import luma, psnr
from vsr.restorer import FULL, Restorer
from vsr.types import Chunk

LOOK_AHEADS = ("0", "1", "2", "4", "8", "14", FULL)
CHUNKS = ("1", "4", "8", "15", "30")
INDEPENDENT = "independent chunks"
PLOTTED_CHUNK = 15
"""The chunk of the plot; the largest one tried where it is not among them."""

Restored = dict[str, Tensor]
"""Luma (T, 1, H, W) of every clip."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clips:
    """Frames of the test set by clip, (T, 3, H, W) in [0, 1]."""

    low: dict[str, Tensor]
    truth: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One way to restore, and what it loses with every chunk.

    Attributes:
        name: A look-ahead, or that chunks are independent.
        losses: dB against the whole clip, by chunk, mean over clips.
        errors: Root mean square error against the whole clip in 8-bit steps, by frames to the end
            of the chunk, for the plotted chunk.
    """

    name: str
    losses: list[float]
    errors: list[float]


@click.command()
@click.option("--root", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option("--model", default="compact-x4", show_default=True)
@click.option("--weights", default=None)
@click.option("--precision", default="auto", show_default=True)
@click.option("--clips", multiple=True, help="Names; all of the root where none is given.")
@click.option("--frames", type=int, default=None, help="Of each clip; all where not given.")
@click.option("--chunks", default=",".join(CHUNKS), show_default=True)
@click.option("--look-aheads", default=",".join(LOOK_AHEADS), show_default=True)
def main(
    root: Path,
    out: Path,
    model: str,
    weights: str | None,
    precision: str,
    clips: tuple[str, ...],
    frames: int | None,
    chunks: str,
    look_aheads: str,
) -> None:
    """Write the table, as Markdown, and the plot, as PNG."""
    require_matplotlib()
    network = load_network(model, weights)
    data = read_clips(root, clips, frames)
    sizes = [int(chunk) for chunk in chunks.split(",")]
    rows = []
    for row in study(network, data, sizes, look_aheads.split(","), precision):
        rows.append(row)
        print(table_line(row), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    title = f"{model}, precision {precision}: {', '.join(data.low)}"
    (out / f"look_ahead_{model}.md").write_text(table(rows, sizes, title), encoding="utf-8")
    plot(rows, plotted(sizes), title, out / f"look_ahead_{model}.png")


def study(
    network: Network[Any],
    clips: Clips,
    chunks: Sequence[int],
    look_aheads: Sequence[str],
    precision: str,
) -> Iterator[Row]:
    """A row for every look-ahead, then one for chunks by themselves."""
    longest = max(map(len, clips.low.values()))
    whole = restore(network, clips, longest, FULL, precision)
    for name in (*look_aheads, INDEPENDENT):
        losses, errors = [], []
        for chunk in chunks:
            apart = name == INDEPENDENT
            look_ahead: int | str = 0 if apart else name if name == FULL else int(name)
            restored = restore(network, clips, chunk, look_ahead, precision, apart=apart)
            losses.append(quality(whole, clips) - quality(restored, clips))
            if chunk == plotted(chunks):
                errors = errors_to_seam(restored, whole, chunk)
        yield Row(name=name, losses=losses, errors=errors)


def restore(
    network: Network[Any],
    clips: Clips,
    chunk: int,
    look_ahead: int | str,
    precision: str,
    *,
    apart: bool = False,
) -> Restored:
    """All clips as streams; a scene per chunk where chunks are independent."""
    restored = {}
    for name, frames in clips.low.items():
        restorer = Restorer(network, chunk=chunk, look_ahead=look_ahead, precision=precision)
        starts = frozenset(range(0, len(frames), chunk)) if apart else frozenset()
        entering = Chunk(
            frames=frames,
            pts=tuple(range(len(frames))),
            time_base=Fraction(1, 25),
            scene_starts=starts,
        )
        left = restorer.push(entering) + restorer.drain()
        restored[name] = torch.cat([luma(part.frames.cpu().clamp(0, 1)) for part in left])
    return restored


def quality(restored: Restored, clips: Clips) -> float:
    """PSNR of Y: mean over frames, then over clips."""
    means = [psnr(restored[n], luma(truth)).mean() for n, truth in clips.truth.items()]
    return float(torch.stack(means).mean())


def errors_to_seam(restored: Restored, whole: Restored, chunk: int) -> list[float]:
    """Root mean square differences by frames to the chunk's end; clips' last chunks separately."""
    squares: list[list[float]] = [[] for _ in range(chunk)]
    for name, frames in restored.items():
        difference = (frames - whole[name]).square().mean((1, 2, 3))
        for i in range(len(frames) // chunk * chunk - (len(frames) % chunk == 0) * chunk):
            squares[chunk - 1 - i % chunk].append(float(difference[i]))
    return [255 * float(np.sqrt(np.mean(s))) if s else float("nan") for s in squares]


def plotted(chunks: Sequence[int]) -> int:
    """The chunk of the plot."""
    return PLOTTED_CHUNK if PLOTTED_CHUNK in chunks else max(chunks)


def read_clips(root: Path, names: Sequence[str], num_frames: int | None) -> Clips:
    """The test set, or a part of it."""
    chosen = names or sorted(path.name for path in (root / "BIx4").iterdir())
    low, truth = (
        {name: read_frames(root / kind / name)[:num_frames] for name in chosen}
        for kind in ("BIx4", "GT")
    )
    return Clips(low=low, truth=truth)


def read_frames(folder: Path) -> Tensor:
    """All images of a folder in order of name: (T, 3, H, W) in [0, 1]."""
    images = (np.array(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir()))
    return torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images]).float() / 255


def table(rows: Sequence[Row], chunks: Sequence[int], title: str) -> str:
    """Markdown."""
    heads = " | ".join(f"chunk {chunk}" for chunk in chunks)
    lines = [f"| look-ahead | {heads} |", "|---" * (len(chunks) + 1) + "|"]
    return "\n".join([f"PSNR-Y lost against the whole clip, dB ({title})", "", *lines]) + "".join(
        f"\n{table_line(row)}" for row in rows
    )


def table_line(row: Row) -> str:
    """A row as Markdown."""
    return f"| {row.name} | " + " | ".join(f"{loss:.4f}" for loss in row.losses) + " |"


def plot(rows: Sequence[Row], chunk: int, title: str, path: Path) -> None:
    """Errors over the frames to the seam, a line per row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        style = "k--" if row.name == INDEPENDENT else "-"
        label = row.name if row.name == INDEPENDENT else f"look-ahead {row.name}"
        axes.plot(range(chunk), row.errors, style, label=label, marker=".")
    axes.set_xlabel(f"frames to the end of the chunk (of {chunk})")
    axes.set_ylabel("RMS error against the whole clip, 8-bit steps")
    axes.set_title(title)
    axes.invert_xaxis()
    axes.legend()
    figure.savefig(path, dpi=120)


def require_matplotlib() -> None:
    """Say what to install before the work, not after it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            "matplotlib is not installed; pip install 'vsr-stream[benchmarks]' brings it"
        ) from error


if __name__ == "__main__":
    main()
