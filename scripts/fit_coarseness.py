"""Fit the weights of models/coarseness.py: ``python -m scripts.fit_coarseness DATA``.

DATA is the folder that ``vsr train configs/assess.toml`` is given. Clips are coded by known
quantisers, or not at all; least squares finds how far coarse over fine detail and steps on the grid
of a cell's surroundings tell the severity of coding. Clips of the held-out videos, coded by MPEG-2,
too, say how well that orders them.

N cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.assessment.samples import Amounts, make_sample
from vsr.models.coarseness import (
    DETAIL_WEIGHT,
    GRID_WEIGHT,
    OFFSET,
    detail_and_grid,
    mean_around,
)
from vsr.models.ops.grey import grey
from vsr.quality import draw
from vsr.toml_tables import read_toml
from vsr.training.assessor import AssessorConfig, rank_correlation
from vsr.training.assessor_samples import SampleSettings
from vsr.training.clips import ClipShape, TrainingClips, load_photographs, open_videos
from vsr.training.virtual_camera import CameraMotion

CONFIG = Path(__file__).parents[1] / "configs" / "assess.toml"
FRAMES, SIDE, TEST_SIDE = 3, 512, 320
CODED_SHARE = 0.8
SEED = 19


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--count", default=500, show_default=True, help="Clips to fit to.")
@click.option("--test-count", default=150, show_default=True, help="Clips of held-out videos.")
def main(data: Path, count: int, test_count: int) -> None:
    """Print the fitted weights beside those in use, and how well both order held-out cells."""
    settings = read_toml(AssessorConfig, CONFIG).samples
    measured_N2, severity_N = _cells(_clips(settings, data), settings.encoders, count)
    ones_N1 = torch.ones(len(measured_N2), 1)
    fitted_3 = torch.linalg.lstsq(torch.cat((measured_N2, ones_N1), 1), severity_N).solution
    held = replace(settings, photographs="", hold_out=(), side=TEST_SIDE)
    encoders = (*settings.encoders, "mpeg2video")
    test_N2, truth_N = _cells(_clips(held, data, settings.hold_out), encoders, test_count)
    used_3 = torch.tensor([DETAIL_WEIGHT, GRID_WEIGHT, OFFSET])
    for name, weights_3 in (("fitted", fitted_3), ("in use", used_3)):
        ranks = rank_correlation(test_N2 @ weights_3[:2], truth_N)
        click.echo(
            f"{name}: {[round(float(w), 3) for w in weights_3]}, rank correlation {ranks:.3f}"
        )


def _clips(settings: SampleSettings, data: Path, names: tuple[str, ...] = ()) -> TrainingClips:
    photographs = load_photographs(data / settings.photographs) if settings.photographs else []
    return TrainingClips(
        photographs,
        open_videos(data / settings.videos, names=names, exclude=settings.hold_out),
        ClipShape(frames=FRAMES, size=settings.side),
        motion=CameraMotion(),
        photograph_share=settings.photograph_share,
        seed=SEED,
    )


def _cells(clips: TrainingClips, encoders: tuple[str, ...], count: int) -> tuple[Tensor, Tensor]:
    """Measurements (N, 2) and severities (N,) of the cells of the last frame of each clip."""
    rng = torch.Generator().manual_seed(SEED)
    parts = [_measured(clip, encoders, rng) for clip in _first(clips, count)]
    return torch.cat([measured for measured, _ in parts]), torch.cat([truth for _, truth in parts])


def _measured(
    clip: Tensor, encoders: tuple[str, ...], rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    clean = F.interpolate(clip.float() / 255, scale_factor=0.5, mode="area")
    codec = encoders[draw.index(len(encoders), rng)] if draw.chance(CODED_SHARE, rng) else ""
    amounts = Amounts(codec=codec, qp=draw.between(14.0, 46.0, rng) if codec else 0.0)
    sample = make_sample(clean, amounts, rng)
    cells = [mean_around(m).flatten() for m in detail_and_grid(255 * grey(sample.frames[-1:]))]
    return torch.stack(cells, 1), sample.severities[0].expand(len(cells[0]))


def _first(clips: TrainingClips, count: int) -> Iterator[Tensor]:
    return (clip for clip, _ in zip(clips, range(count), strict=False))


if __name__ == "__main__":
    main()
