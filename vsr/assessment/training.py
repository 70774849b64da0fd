"""Training the assessor: ``python -m vsr.assessment.training --data FOLDER --out FILE``.

Clips are degraded by known amounts, measured, and a small ensemble learns the amounts from the
measurements. Half an hour of one core, most of it for making samples.

N samples, F features, S severities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.assessment.features import NUM_FEATURES, measure
from vsr.assessment.regression import LEARNT, NUM_MEMBERS, Assessor, save_assessor
from vsr.assessment.samples import Amounts, degrade, draw_amounts
from vsr.training.clips import ClipShape, TrainingClips, load_photographs, open_videos
from vsr.training.virtual_camera import CameraMotion

TRAINING_ENCODERS = ("libx264", "libx265", "mpeg4")
TEST_ENCODERS = (*TRAINING_ENCODERS, "mpeg2video", "libvpx-vp9")
"""MPEG-2 and VP9 are never trained on."""

SIDE, FRAMES = 512, 4
"""Side of the drawn clips, which are halved to be clean, and their length."""

PER_CLIP = 2
STEPS, BATCH, RATE, DECAY, JITTER = 6000, 64, 3e-3, 0.05, 0.1


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--hold-out", multiple=True, help="Videos for the test alone; their file names.")
@click.option("--samples", default=3000, show_default=True)
@click.option("--test-samples", default=300, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(
    data: Path, out: Path, hold_out: tuple[str, ...], samples: int, test_samples: int, seed: int
) -> None:
    """Train on stills/ and clips/ below DATA, write OUT, print rank correlations of the test."""
    videos = {path.name for path in (data / "clips").iterdir()}
    rng = torch.Generator().manual_seed(seed)
    clips = _clips(data, exclude=hold_out, photographs=True, seed=seed)
    assessor = fit(*_collect(clips, samples, TRAINING_ENCODERS, rng), seed=seed)
    save_assessor(assessor, out, samples=samples, seed=seed)
    if hold_out:
        held = _clips(data, exclude=sorted(videos - set(hold_out)), photographs=False, seed=seed)
        features_NF, severities_NS = _collect(held, test_samples, TEST_ENCODERS, rng)
        estimated = assessor.estimate(features_NF).severity
        for kind, a, b in zip(LEARNT, estimated.T, severities_NS.T, strict=True):
            click.echo(f"{kind:10} {rank_correlation(a, b):.3f}")


def fit(features_NF: Tensor, severities_NS: Tensor, *, seed: int, steps: int = STEPS) -> Assessor:
    """Train the ensemble; each member sees batches of its own."""
    torch.manual_seed(seed)
    assessor = Assessor()
    assessor.mean_F.copy_(features_NF.mean(0))
    assessor.scale_F.copy_(features_NF.std(0).clamp(min=0.05))
    optimiser = torch.optim.AdamW(assessor.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        chosen = torch.randint(len(features_NF), (NUM_MEMBERS, BATCH))
        jitter = JITTER * torch.randn(NUM_MEMBERS, BATCH, NUM_FEATURES) * assessor.scale_F
        estimated = assessor(features_NF[chosen] + jitter)
        loss = F.smooth_l1_loss(estimated, severities_NS[chosen], beta=0.1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return assessor.eval().requires_grad_(False)


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation; equal values share their mean rank."""
    ranks = torch.stack([_ranks(a), _ranks(b)])
    return float(torch.corrcoef(ranks)[0, 1])


def _ranks(values: Tensor) -> Tensor:
    _, place, count = torch.unique(values, return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    ranks: Tensor = last[place] - (count.double()[place] - 1) / 2
    return ranks


def _clips(data: Path, *, exclude: Sequence[str], photographs: bool, seed: int) -> Iterator[Tensor]:
    return iter(
        TrainingClips(
            load_photographs(data / "stills") if photographs else [],
            open_videos(data / "clips", exclude=exclude),
            ClipShape(frames=FRAMES, size=SIDE if photographs else SIDE * 2 // 3),
            motion=CameraMotion(),
            photograph_share=0.45 if photographs else 0.0,
            seed=seed,
        )
    )


def _collect(
    clips: Iterator[Tensor], count: int, encoders: Sequence[str], rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Features (N, F) and severities (N, S) of degraded clips."""
    amounts: list[Amounts] = []
    features: list[Tensor] = []
    while len(features) < count:
        clean = F.interpolate(next(clips).float() / 255, scale_factor=0.5, mode="area")
        for _ in range(PER_CLIP):
            amounts.append(draw_amounts(rng, encoders))
            features.append(measure(degrade(clean, amounts[-1], rng)))
    return torch.stack(features), torch.stack([a.severities() for a in amounts])


if __name__ == "__main__":
    main()
