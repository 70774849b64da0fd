"""Training of the assessor: ``vsr train configs/assess.toml``.

Clips are degraded by known amounts, and a small network learns the severities from their pixels and
from measurements. 20 minutes of one core, most of it for making samples.

OUT/samples/               samples made so far, so that an interrupted run resumes from there
OUT/assessor.safetensors   the trained network

N samples, T frames, F features, S severities, H, W size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.assessment.regression import LEARNT, Assessor, save_assessor
from vsr.errors import ConfigurationError
from vsr.training.assessor_samples import FRAMES, Samples, SampleSettings, make_samples

NOTABLE = 0.3
"""Severity of the strongest degradation from which on a sample counts for its kind."""

KNEE = 0.05
"""Error of a severity from which on it counts linearly: what is left is their median, which is 0
where damage is less likely than not."""

ERROR_WEIGHT = 0.3
"""Weight of the expected errors beside the severities in the loss."""

"""Table of a configuration by which it is known as an assessor's."""


@dataclass(frozen=True, kw_only=True)
class AssessorSettings:
    """Shape of the network.

    Attributes:
        channels: Features of the four layers that see frames.
        hidden: Units of each of the two hidden layers behind them.
    """

    channels: tuple[int, ...] = (16, 32, 32, 48)
    hidden: int = 96

    def __post_init__(self) -> None:
        if len(self.channels) != 4:
            raise ConfigurationError(
                f"channels are {list(self.channels)}; give four numbers, one for each layer"
            )


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How the network learns: AdamW, its rate falling to 0 on a cosine.

    Attributes:
        steps: Steps of the optimiser.
        batch: Samples a step.
        patch: Side of the part of each sample that is seen, in pixels.
        learning_rate: Peak.
        weight_decay: AdamW's.
        jitter: Noise on the measurements, relative to their deviations.
    """

    steps: int = 6000
    batch: int = 32
    patch: int = 96
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    jitter: float = 0.1


@dataclass(frozen=True, kw_only=True)
class AssessorConfig:
    """One training of an assessor."""

    assessor: AssessorSettings
    samples: SampleSettings
    fit: FitSettings = field(default_factory=FitSettings)


@dataclass(frozen=True, kw_only=True)
class AssessorReport:
    """What a training has made, judged by the held-out videos.

    Attributes:
        weights: The file of the ensemble.
        correlations: Spearman's rank correlation of estimated and true severities, by kind.
        kind_right: Share of the samples with a severity over ``NOTABLE`` whose strongest
            degradation is told, 0 to 1.
    """

    weights: Path
    correlations: dict[str, float]
    kind_right: float


def train_assessor(
    config: AssessorConfig,
    data: Path,
    out: Path,
    *,
    on_progress: Callable[[int, int], None] = lambda _, __: None,
) -> AssessorReport:
    """Make samples, or take those that ``out`` has, and train an assessor on them.

    Args:
        config: The run.
        data: Folder that the configuration's folders lie in.
        out: Folder of the run, created.
        on_progress: Called after each clip with the number of samples, done and in all.

    Raises:
        OpenError: Footage that is not there.
        ConfigurationError: None of the videos is held out, or an encoder is not in this ffmpeg.
    """
    samples, tests = make_samples(config.samples, data, out / "samples", on_progress)
    assessor = fit(samples, config.assessor, config.fit, seed=config.samples.seed)
    weights = out / "assessor.safetensors"
    save_assessor(assessor, weights, samples=config.samples.count, seed=config.samples.seed)
    return _report(assessor, weights, tests)


def fit(
    samples: Sequence[Samples],
    shape: AssessorSettings,
    settings: FitSettings,
    *,
    seed: int,
) -> Assessor:
    """Train a network; each step sees samples of one shard."""
    torch.manual_seed(seed)
    assessor = Assessor(channels=shape.channels, hidden=shape.hidden)
    features_NF = torch.cat([shard.features_NF for shard in samples])
    assessor.mean_F.copy_(features_NF.mean(0))
    assessor.scale_F.copy_(features_NF.std(0).clamp(min=0.05))
    optimiser = torch.optim.AdamW(
        assessor.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    for _ in range(settings.steps):
        shard = samples[int(torch.randint(len(samples), ()))]
        loss = _loss(assessor, shard, settings)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(assessor.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return assessor.eval().requires_grad_(False)


def _loss(assessor: Assessor, shard: Samples, settings: FitSettings) -> Tensor:
    """Of some samples of a shard, each seen in part and mirrored at random."""
    chosen = torch.randint(len(shard.luma_NTHW), (settings.batch,))
    pairs = _patches(shard.luma_NTHW[chosen], settings.patch)
    features_NF = shard.features_NF[chosen]
    features_NF = features_NF + settings.jitter * torch.randn_like(features_NF) * assessor.scale_F
    with torch.autocast("cpu", torch.bfloat16):
        seen = assessor.look(pairs)
    described_ND = torch.cat((features_NF, seen), 1)
    estimated_NS, expected_NS = assessor(described_ND)
    error_NS = estimated_NS - shard.severities_NS[chosen]
    # Nothing is clearer than clean: an estimate below 0 is right where there is no damage.
    is_clean = (shard.severities_NS[chosen] == 0) & (estimated_NS < 0)
    error_NS = error_NS.masked_fill(is_clean, 0)
    of_severity = F.smooth_l1_loss(error_NS, torch.zeros_like(error_NS), beta=KNEE)
    return of_severity + ERROR_WEIGHT * F.l1_loss(expected_NS, error_NS.detach().abs())


def _patches(luma_NTHW: Tensor, side: int) -> Tensor:
    """Two consecutive frames of each sample, a part of them, mirrored or not; float32."""
    height, width = luma_NTHW.shape[-2:]
    rows, columns = min(side, height), min(side, width)
    first, top, left = (
        int(torch.randint(free + 1, ())) for free in (FRAMES - 2, height - rows, width - columns)
    )
    pairs = luma_NTHW[:, first : first + 2, top : top + rows, left : left + columns].float()
    return pairs.flip(3) if int(torch.randint(2, ())) else pairs


def _report(assessor: Assessor, weights: Path, samples: Sequence[Samples]) -> AssessorReport:
    described_ND = torch.cat([_described(assessor, shard) for shard in samples])
    severities_NS = torch.cat([shard.severities_NS for shard in samples])
    estimated_NS = assessor.estimate(described_ND).severity
    return AssessorReport(
        weights=weights,
        correlations={
            kind: rank_correlation(a, b)
            for kind, a, b in zip(LEARNT, estimated_NS.T, severities_NS.T, strict=True)
        },
        kind_right=_kind_right(estimated_NS, severities_NS),
    )


@torch.inference_mode()
def _described(assessor: Assessor, samples: Samples) -> Tensor:
    """(N, D): what the network is told of whole samples; see ``Assessor.describe``."""
    pairs_NP2HW = samples.luma_NTHW.view(
        len(samples.luma_NTHW), -1, 2, *samples.luma_NTHW.shape[2:]
    )
    seen = [assessor.look(pairs.float()).mean(0) for pairs in pairs_NP2HW]
    return torch.cat((samples.features_NF, torch.stack(seen)), 1)


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation; equal values share their mean rank."""
    ranks = torch.stack([_ranks(a), _ranks(b)])
    return float(torch.corrcoef(ranks)[0, 1])


def _ranks(values: Tensor) -> Tensor:
    _, place, count = torch.unique(values, return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    ranks: Tensor = last[place] - (count.double()[place] - 1) / 2
    return ranks


def _kind_right(estimated_NS: Tensor, severities_NS: Tensor) -> float:
    strongest, kind = severities_NS.max(1)
    right = estimated_NS.argmax(1) == kind
    return float(right[strongest > NOTABLE].float().mean())
