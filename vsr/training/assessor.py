"""Training of the assessor: ``vsr train configs/assess.toml``.

Clips are degraded by known amounts, measured, and a small ensemble learns the amounts from the
measurements. Half an hour of one core, most of it for making samples.

OUT/samples.safetensors   samples measured so far, so that an interrupted run resumes from there
OUT/assessor.safetensors  the trained ensemble

N samples, F features, S severities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import IterableDataset

from vsr.assessment.features import NUM_FEATURES, measure
from vsr.assessment.regression import LEARNT, Assessor, save_assessor
from vsr.assessment.samples import degrade, draw_amounts
from vsr.errors import ConfigurationError
from vsr.models.checkpoints.checkpoint import read_weights, write_tensors
from vsr.training.batches import in_workers
from vsr.training.clips import ClipShape, TrainingClips, list_videos, load_photographs, open_videos
from vsr.training.sample_order import Place, generators
from vsr.training.virtual_camera import CameraMotion

FRAMES = 4
"""Frames of a drawn clip, which are measured together."""

PER_CLIP = 2
"""Samples made of each drawn clip."""

SAVE_EVERY = 100
"""Clips between two writes of the samples."""

NOTABLE = 0.3
"""Severity of the strongest degradation from which on a sample counts for its kind."""

TABLE = "assessor"
"""Table of a configuration by which it is known as an assessor's."""


@dataclass(frozen=True, kw_only=True)
class AssessorSettings:
    """Shape of the ensemble; by default 28,340 parameters.

    Attributes:
        members: Perceptrons, whose spread tells how sure they are.
        hidden: Units of each of their two hidden layers.
    """

    members: int = 5
    hidden: int = 48


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """Where samples come from; folders are relative to the one given on the command line.

    Attributes:
        photographs: Folder of photographs, or empty.
        videos: Folder of videos.
        hold_out: Names of videos that only the test samples are made of.
        photograph_share: How many of the clips come from photographs, 0 to 1.
        side: Side of the drawn clips in pixels, which are halved to be clean; a multiple of 4.
            Those of the test have two thirds of it.
        count: Samples to learn from.
        test_count: Samples of the test.
        encoders: ffmpeg's encoders that samples are coded by.
        unseen_encoders: Those that code a part of the test samples besides.
        workers: Processes that make samples; 0 makes them in the training process.
        seed: Seed of samples and weights.
    """

    photographs: str = ""
    videos: str
    hold_out: tuple[str, ...]
    photograph_share: float = 0.45
    side: int = 512
    count: int = 3000
    test_count: int = 300
    encoders: tuple[str, ...] = ("libx264", "libx265", "mpeg4")
    unseen_encoders: tuple[str, ...] = ("mpeg2video", "libvpx-vp9")
    workers: int = 0
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How the ensemble learns: AdamW, its rate falling to 0 on a cosine.

    Attributes:
        steps: Steps of the optimiser.
        batch: Samples a step, of each member its own.
        learning_rate: Peak.
        weight_decay: AdamW's.
        jitter: Noise on the features, relative to their deviations.
    """

    steps: int = 6000
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
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
    settings = config.samples
    held_out = _held_out(data / settings.videos, settings.hold_out)
    out.mkdir(parents=True, exist_ok=True)
    samples = _Samples(out / "samples.safetensors")
    total = settings.count + settings.test_count
    for done in samples.make("train", settings.count, partial(_clips, settings, data)):
        on_progress(done, total)
    held_clips = partial(_test_clips, settings, data, held_out)
    for done in samples.make("test", settings.test_count, held_clips):
        on_progress(settings.count + done, total)
    assessor = fit(*samples.of("train"), config.assessor, config.fit, seed=settings.seed)
    weights = out / "assessor.safetensors"
    save_assessor(assessor, weights, samples=settings.count, seed=settings.seed)
    features_NF, severities_NS = samples.of("test")
    estimated_NS = assessor.estimate(features_NF).severity
    return AssessorReport(
        weights=weights,
        correlations={
            kind: rank_correlation(a, b)
            for kind, a, b in zip(LEARNT, estimated_NS.T, severities_NS.T, strict=True)
        },
        kind_right=_kind_right(estimated_NS, severities_NS),
    )


def fit(
    features_NF: Tensor,
    severities_NS: Tensor,
    shape: AssessorSettings,
    settings: FitSettings,
    *,
    seed: int,
) -> Assessor:
    """Train the ensemble; each member sees batches of its own."""
    torch.manual_seed(seed)
    assessor = Assessor(members=shape.members, hidden=shape.hidden)
    assessor.mean_F.copy_(features_NF.mean(0))
    assessor.scale_F.copy_(features_NF.std(0).clamp(min=0.05))
    optimiser = torch.optim.AdamW(
        assessor.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    for _ in range(settings.steps):
        chosen = torch.randint(len(features_NF), (shape.members, settings.batch))
        noise = torch.randn(shape.members, settings.batch, NUM_FEATURES)
        estimated = assessor(features_NF[chosen] + settings.jitter * noise * assessor.scale_F)
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


def _kind_right(estimated_NS: Tensor, severities_NS: Tensor) -> float:
    strongest, kind = severities_NS.max(1)
    right = estimated_NS.argmax(1) == kind
    return float(right[strongest > NOTABLE].float().mean())


class _MeasuredClips(IterableDataset[tuple[Tensor, Tensor]]):
    """Features (PER_CLIP, F) and severities (PER_CLIP, S) of each clip, degraded in some ways."""

    def __init__(self, clips: TrainingClips, encoders: Sequence[str]) -> None:
        self.clips, self.encoders = clips, encoders

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # The clips draw from the seed itself.
        rngs = generators(self.clips.seed + 1, self.clips.place)
        for clip, rng in zip(self.clips, rngs, strict=False):
            clean = F.interpolate(clip.float() / 255, scale_factor=0.5, mode="area")
            amounts = [draw_amounts(rng, self.encoders) for _ in range(PER_CLIP)]
            features = [measure(degrade(clean, amount, rng)) for amount in amounts]
            yield torch.stack(features), torch.stack([a.severities() for a in amounts])


class _Samples:
    """Samples of some sets, kept in a file while they are made.

    Args:
        path: The file; what it holds already is taken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tensors = dict(read_weights(path)) if path.exists() else {}

    def of(self, name: str) -> tuple[Tensor, Tensor]:
        """Features (N, F) and severities (N, S) of a set."""
        features_NF = self._tensors.get(f"{name}_features", torch.zeros(0, NUM_FEATURES))
        return features_NF, self._tensors.get(f"{name}_severities", torch.zeros(0, len(LEARNT)))

    def make(
        self, name: str, count: int, clips: Callable[[int], Iterator[tuple[Tensor, Tensor]]]
    ) -> Iterator[int]:
        """Make what a set lacks of ``count`` samples; the number so far, after every clip.

        Args:
            name: Name of the set.
            count: N.
            clips: Features and severities of each clip from a number on, (1, PER_CLIP, …).
        """
        features, severities = ([kept[:count]] for kept in self.of(name))
        done = len(features[0])
        made = clips(done // PER_CLIP) if done < count else iter(())
        while done < count:
            for parts, more in zip((features, severities), next(made), strict=True):
                parts.append(more[0])
            done += PER_CLIP
            if done >= count or done % (PER_CLIP * SAVE_EVERY) == 0:
                self._tensors[f"{name}_features"] = torch.cat(features)
                self._tensors[f"{name}_severities"] = torch.cat(severities)
                write_tensors(self._tensors, self._path)
            yield min(done, count)


def _clips(settings: SampleSettings, data: Path, start: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Clips to learn from, from a number on."""
    photographs = load_photographs(data / settings.photographs) if settings.photographs else []
    clips = TrainingClips(
        photographs,
        open_videos(data / settings.videos, exclude=settings.hold_out),
        ClipShape(frames=FRAMES, size=settings.side),
        motion=CameraMotion(),
        photograph_share=settings.photograph_share,
        seed=settings.seed,
        place=Place(start=start),
    )
    return in_workers(_MeasuredClips(clips, settings.encoders), batch=1, workers=settings.workers)


def _test_clips(
    settings: SampleSettings, data: Path, held_out: Sequence[str], start: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Clips of the test, from a number on."""
    clips = TrainingClips(
        [],
        open_videos(data / settings.videos, names=held_out),
        ClipShape(frames=FRAMES, size=settings.side * 2 // 3 // 4 * 4),
        motion=CameraMotion(),
        photograph_share=0.0,
        seed=settings.seed,
        place=Place(start=start),
    )
    encoders = (*settings.encoders, *settings.unseen_encoders)
    return in_workers(_MeasuredClips(clips, encoders), batch=1, workers=settings.workers)


def _held_out(folder: Path, names: Sequence[str]) -> list[str]:
    """Those of the videos that are held out."""
    held = [p.relative_to(folder).as_posix() for p in list_videos(folder)]
    if found := [name for name in held if name in names]:
        return found
    raise ConfigurationError(
        f"none of the videos of '{folder}' is held out to test the assessor on; name one in "
        "hold_out"
    )
