"""Samples that an assessor learns from: clips degraded by known amounts, and their measurements.

N samples, T frames, F features, S severities, H, W size.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import IterableDataset

from vsr.assessment.features import LUMA, measure
from vsr.assessment.samples import draw_amounts, make_sample
from vsr.errors import ConfigurationError
from vsr.models.checkpoints.checkpoint import write_tensors
from vsr.quality import draw
from vsr.training.batches import in_workers
from vsr.training.clips import ClipShape, TrainingClips, list_videos, load_photographs, open_videos
from vsr.training.kept_settings import check_same_settings
from vsr.training.sample_order import Place, generators
from vsr.training.virtual_camera import CameraMotion

FRAMES, LEAD = 4, 2
"""Frames that are measured together, and how many more are coded before or behind them."""

EXTENDING = {"count", "test_count", "workers"}
"""Settings that may differ from those of samples that are kept."""

SHARD = 50
"""Clips whose samples are written to one file."""


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


def make_samples(
    settings: SampleSettings, data: Path, folder: Path, on_progress: Callable[[int, int], None]
) -> tuple[list[Samples], list[Samples]]:
    """Samples to learn from and those of the test, in shards; made where ``folder`` lacks them.

    Args:
        settings: Where they come from, and how many.
        data: Folder that the settings' folders lie in.
        folder: Folder of the samples, created; an interrupted call resumes from there.
        on_progress: Called after each clip with the number of samples, done and in all.

    Raises:
        OpenError: Footage that is not there.
        ConfigurationError: None of the videos is held out, an encoder is not in this ffmpeg, or
            the samples in the folder were made with other settings.
    """
    held_out = _held_out(data / settings.videos, settings.hold_out)
    total = settings.count + settings.test_count
    folder.mkdir(parents=True, exist_ok=True)
    made_with = {k: v for k, v in asdict(settings).items() if k not in EXTENDING}
    check_same_settings(folder / "settings.json", made_with)
    store = _Store(folder, settings.per_clip)
    clips = partial(_clips, settings, data)
    for done in store.fill("train", settings.count, clips):
        on_progress(done, total)
    held_clips = partial(_test_clips, settings, data, held_out)
    for done in store.fill("test", settings.test_count, held_clips):
        on_progress(settings.count + done, total)
    return store.read("train", settings.count), store.read("test", settings.test_count)


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
        folder: Folder of the files; what it holds already is taken.
        per_clip: Samples of each clip.
    """

    def __init__(self, folder: Path, per_clip: int) -> None:
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
