"""Training of the assessor: ``vsr train configs/assess.toml``.

Clips are degraded by known amounts, and a small network learns the severities from their pixels and
from measurements. 20 minutes of one core, most of it for making samples.

OUT/samples/               samples made so far, so that an interrupted run resumes from there
OUT/assessor.safetensors   the trained network

N samples, T frames, F features, S severities, H, W size.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import IterableDataset

from vsr.assessment.features import LUMA, measure
from vsr.assessment.regression import LEARNT, Assessor, save_assessor
from vsr.assessment.samples import draw_amounts, make_sample
from vsr.errors import ConfigurationError
from vsr.models.checkpoints.checkpoint import write_tensors
from vsr.quality import draw
from vsr.training.batches import in_workers
from vsr.training.clips import ClipShape, TrainingClips, list_videos, load_photographs, open_videos
from vsr.training.sample_order import Place, generators
from vsr.training.virtual_camera import CameraMotion

FRAMES, LEAD = 4, 2
"""Frames that are measured together, and how many more are coded before or behind them."""

SHARD = 50
"""Clips whose samples are written to one file."""

NOTABLE = 0.3
"""Severity of the strongest degradation from which on a sample counts for its kind."""

KNEE = 0.05
"""Error of a severity from which on it counts linearly: what is left is their median, which is 0
where damage is less likely than not."""

ERROR_WEIGHT = 0.3
"""Weight of the expected errors beside the severities in the loss."""

TABLE = "assessor"
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
class SampleSettings:
    """Where samples come from; folders are relative to the one given on the command line.

    Attributes:
        photographs: Folder of photographs, or empty.
        videos: Folder of videos.
        hold_out: Names of videos that only the test samples are made of.
        photograph_share: How many of the clips come from photographs, 0 to 1.
        side: Side of the drawn clips in pixels, which are halved to be clean; a multiple of 4.
            Those of the test have two thirds of it.
        per_clip: Samples made of each drawn clip.
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
    per_clip: int = 4
    count: int = 6000
    test_count: int = 800
    encoders: tuple[str, ...] = ("libx264", "libx265", "mpeg4")
    unseen_encoders: tuple[str, ...] = ("mpeg2video", "libvpx-vp9")
    workers: int = 0
    seed: int = 1


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Degraded clips.

    Attributes:
        luma_NTHW: Their luma, uint8.
        features_NF: What ``measure`` returns of them.
        severities_NS: Their severities in the order of ``LEARNT``.
    """

    luma_NTHW: Tensor
    features_NF: Tensor
    severities_NS: Tensor

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, as they are written."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


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
    total = settings.count + settings.test_count
    store = _Store(out / "samples", settings.per_clip)
    clips = partial(_clips, settings, data)
    for done in store.fill("train", settings.count, clips):
        on_progress(done, total)
    held_clips = partial(_test_clips, settings, data, held_out)
    for done in store.fill("test", settings.test_count, held_clips):
        on_progress(settings.count + done, total)
    samples = store.read("train", settings.count)
    assessor = fit(samples, config.assessor, config.fit, seed=settings.seed)
    weights = out / "assessor.safetensors"
    save_assessor(assessor, weights, samples=settings.count, seed=settings.seed)
    return _report(assessor, weights, store.read("test", settings.test_count))


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


class _DegradedClips(IterableDataset[Samples]):
    """The samples of each clip, which is halved to be clean, and degraded in some ways."""

    def __init__(self, clips: TrainingClips, encoders: Sequence[str], per_clip: int) -> None:
        self.clips, self.encoders, self.per_clip = clips, encoders, per_clip

    def __iter__(self) -> Iterator[Samples]:
        # The clips draw from the seed itself.
        rngs = generators(self.clips.seed + 1, self.clips.place)
        for clip, rng in zip(self.clips, rngs, strict=False):
            clean = F.interpolate(clip.float() / 255, scale_factor=0.5, mode="area")
            yield _joined([self._sample(clean, rng) for _ in range(self.per_clip)])

    def _sample(self, clean: Tensor, rng: torch.Generator) -> Samples:
        sample = make_sample(clean, draw_amounts(rng, self.encoders), rng)
        first = draw.index(LEAD + 1, rng)
        frames = sample.frames[first : first + FRAMES]
        luma_THW = (255 * frames * torch.tensor(LUMA).view(3, 1, 1)).sum(1)
        return Samples(
            luma_NTHW=luma_THW.round().byte()[None],
            features_NF=measure(frames)[None],
            severities_NS=sample.severities[None],
        )


class _Store:
    """Samples of some sets, kept in files of ``SHARD`` clips each.

    Args:
        folder: Folder of the files, created; what it holds already is taken.
        per_clip: Samples of each clip.
    """

    def __init__(self, folder: Path, per_clip: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._per_clip = folder, per_clip

    def fill(
        self, name: str, count: int, clips: Callable[[int], Iterator[Samples]]
    ) -> Iterator[int]:
        """Make what a set lacks of ``count`` samples; the number so far, after every clip.

        Args:
            name: Name of the set.
            count: N, rounded up to whole files.
            clips: Samples of each clip from a number on.
        """
        first = next(i for i, path in enumerate(self._paths(name, None)) if not path.exists())
        done = first * SHARD * self._per_clip
        made = clips(first * SHARD) if done < count else iter(())
        for path in islice(self._paths(name, count), first, None):
            shard = []
            for samples in islice(made, SHARD):
                shard.append(samples)
                done += self._per_clip
                yield min(done, count)
            write_tensors(_joined(shard).tensors, path)

    def read(self, name: str, count: int) -> list[Samples]:
        """The shards of a set."""
        return [Samples(**load_file(path)) for path in self._paths(name, count)]

    def _paths(self, name: str, count: int | None) -> Iterator[Path]:
        """The files that hold ``count`` samples, or endless ones."""
        size = SHARD * self._per_clip
        numbers = itertools.count() if count is None else range(-(-count // size))
        return (self._folder / f"{name}-{number:04}.safetensors" for number in numbers)


def _joined(samples: Sequence[Samples]) -> Samples:
    tensors = [one.tensors for one in samples]
    return Samples(**{name: torch.cat([t[name] for t in tensors]) for name in tensors[0]})


def _clips(settings: SampleSettings, data: Path, start: int) -> Iterator[Samples]:
    """Clips to learn from, from a number on."""
    photographs = load_photographs(data / settings.photographs) if settings.photographs else []
    clips = TrainingClips(
        photographs,
        open_videos(data / settings.videos, exclude=settings.hold_out),
        ClipShape(frames=FRAMES + LEAD, size=settings.side),
        motion=CameraMotion(),
        photograph_share=settings.photograph_share,
        seed=settings.seed,
        place=Place(start=start),
    )
    return _made(clips, settings, settings.encoders)


def _test_clips(
    settings: SampleSettings, data: Path, held_out: Sequence[str], start: int
) -> Iterator[Samples]:
    """Clips of the test, from a number on."""
    clips = TrainingClips(
        [],
        open_videos(data / settings.videos, names=held_out),
        ClipShape(frames=FRAMES + LEAD, size=settings.side * 2 // 3 // 4 * 4),
        motion=CameraMotion(),
        photograph_share=0.0,
        seed=settings.seed,
        place=Place(start=start),
    )
    return _made(clips, settings, (*settings.encoders, *settings.unseen_encoders))


def _made(
    clips: TrainingClips, settings: SampleSettings, encoders: Sequence[str]
) -> Iterator[Samples]:
    """The samples of each clip, made by ``settings.workers`` processes."""
    samples = _DegradedClips(clips, encoders, settings.per_clip)
    return in_workers(samples, batch=None, workers=settings.workers)


def _held_out(folder: Path, names: Sequence[str]) -> list[str]:
    """Those of the videos that are held out."""
    held = [p.relative_to(folder).as_posix() for p in list_videos(folder)]
    if found := [name for name in held if name in names]:
        return found
    raise ConfigurationError(
        f"none of the videos of '{folder}' is held out to test the assessor on; name one in "
        "hold_out"
    )
