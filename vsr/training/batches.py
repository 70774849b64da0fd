"""Batches for a training run, from the folders its configuration names.

B batch, T time, H, W size.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from vsr.errors import ConfigurationError, OpenError, VSRError
from vsr.training.clips import ClipShape, TrainingClips, Video, load_photographs, open_videos
from vsr.training.config import DataSettings, TrainingConfig
from vsr.training.degraded_clips import DegradedClips, ReducedClips, coded_shape
from vsr.training.flow_pairs import FlowPairs
from vsr.training.sample_order import Place


def flow_batches(
    config: TrainingConfig, photographs: Sequence[Tensor], iteration: int, scale: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of frame pairs and flows; empty if the flow is not trained separately.

    Raises:
        ConfigurationError: The schedule asks for that, and there are no photographs.
    """
    schedule = config.schedule
    if iteration >= schedule.flow_iterations and not schedule.flow_weight:
        return iter(())
    batch = schedule.batch * 2
    pairs = FlowPairs(
        photographs,
        size=schedule.patch,
        scale=scale,
        motion=config.data.camera,
        seed=schedule.seed,
        place=Place(start=iteration * batch, batch=batch),
    )
    if not pairs.photographs:
        raise ConfigurationError(
            "learning flow needs photographs at least 1.5 patches wide; add some, or set "
            "flow_iterations and flow_weight to 0"
        )
    return in_workers(pairs, batch=batch, workers=config.data.workers)


def clip_batches(
    config: TrainingConfig, data: Path, photographs: Sequence[Tensor], iteration: int, scale: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of inputs (B, T, 3, h, w) and truths (B, T, 3, H, W), both uint8.

    A run resumed at ``iteration`` sees the batches of an uninterrupted one.

    Raises:
        OpenError: Data that is not there.
        ConfigurationError: Clips that no footage holds, or that an encoder does not take.
    """
    schedule, settings = config.schedule, config.data
    shape = ClipShape(frames=schedule.frames, size=schedule.patch * scale)
    degradation = settings.degradation
    drawn = shape if degradation is None else coded_shape(shape, scale, degradation)
    if degradation is not None and drawn.size // scale % 2:
        raise ConfigurationError(
            f"patch and margin add up to {drawn.size // scale}, and encoders take even sides; "
            "change one of them by 1"
        )
    videos = _training_videos(data, settings)
    if config.faces is not None:
        _check_faces(videos, drawn.size)
    clips = TrainingClips(
        photographs,
        videos,
        drawn,
        motion=settings.camera,
        scene=settings.scene,
        photograph_share=settings.photograph_share,
        candidates=settings.candidates,
        skip_share=settings.skip_share,
        mirrored=settings.mirrored,
        upright=settings.upright,
        seed=schedule.seed,
        place=Place(
            start=max(0, iteration - schedule.flow_iterations) * schedule.batch,
            batch=schedule.batch,
        ),
    )
    pairs: IterableDataset[tuple[Tensor, Tensor]] = (
        ReducedClips(clips, scale, settings.reduction)
        if degradation is None
        else DegradedClips(clips, shape, scale, degradation)
    )
    return in_workers(pairs, batch=schedule.batch, workers=settings.workers)


def _check_faces(videos: Sequence[Video], size: int) -> None:
    """Check that nothing is cut off aligned faces.

    Raises:
        ConfigurationError: A video of other sides than a clip.
    """
    for video in videos:
        height, width = video.shape[-2:]
        if (height, width) != (size, size):
            raise ConfigurationError(
                f"[faces] needs whole faces, and one is {width}x{height} where clips are "
                f"{size}x{size} (patch times scale, and the margin of a degradation); give faces "
                "of that size"
            )


def in_workers(dataset: IterableDataset[Any], *, batch: int | None, workers: int) -> Iterator[Any]:
    """Batches of a data set, or its items as they are, made by other processes.

    These are forked from this one. A decoder that waits here for the garbage collector would be
    freed there, where its threads are not, and waits for them for ever: garbage goes first.
    """
    gc.collect()
    return _with_plain_errors(iter(DataLoader(dataset, batch_size=batch, num_workers=workers)))


def _with_plain_errors(batches: Iterator[Any]) -> Iterator[Any]:
    """The batches; an error of ours has the words it had in its process, without its traceback."""
    try:
        yield from batches
    except VSRError as error:
        kind = type(error)
        words = str(error).strip().splitlines()[-1]
        raise kind(words.removeprefix(f"{kind.__module__}.{kind.__qualname__}: ")) from error


def photographs_of(data: Path, settings: DataSettings) -> list[Tensor]:
    """The photographs of a run; none where it names no folder of them."""
    return load_photographs(data / settings.photographs) if settings.photographs else []


def _training_videos(data: Path, settings: DataSettings) -> list[Video]:
    if not settings.videos:
        return []
    names = _listed_in(data / settings.names) if settings.names else ()
    return open_videos(data / settings.videos, names=names, exclude=settings.hold_out)


def _listed_in(path: Path) -> list[str]:
    """The names in a text file, one in a line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise OpenError(
            f"'{path}' cannot be read ({error.strerror}); give a file with a name in each line"
        ) from error
    return [name for line in lines if (name := line.strip())]
