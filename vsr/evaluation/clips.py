"""Clips with their ground truth, and those of any two folders or videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vsr.errors import ConfigurationError, OpenError
from vsr.evaluation.completeness import MissingFrames, pair_up
from vsr.evaluation.frames import Frames, find_source, holds_images, open_frames
from vsr.quality.degradation import DEGRADATIONS


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip to restore, with its ground truth.

    Attributes:
        name: Name in its data set.
        low: Input frames, or the ground truth they are made from if ``make`` is set.
        make: The degradation that turns ``low`` into low resolution, a name of
            ``vsr.quality.degradation.DEGRADATIONS``; None where ``low`` is that already.
        truth: Ground truth of the frames that are scored.
        scored: Their positions in ``low``.
        mirrored: Whether recurrent networks see the clip and then its mirror image in time.
    """

    name: str
    low: Frames
    make: str | None
    truth: Frames
    scored: tuple[int, ...]
    mirrored: bool = False


@dataclass(frozen=True, kw_only=True)
class FoundPair:
    """Clips to evaluate.

    Attributes:
        title: Title of the data set in tables.
        channels: ``RGB`` or ``Y``: what published figures compare.
        degradation: ``BI``, a dialect of ``BD``, or ``given`` for a pair with its own input.
        made: Whether the low resolution is made here, and not read.
        clips: In the data set's order.
        notes: What is missing or unusual, a sentence each.
    """

    title: str
    channels: str
    degradation: str
    made: bool
    clips: tuple[Clip, ...]
    notes: tuple[str, ...] = ()


def find_pair(
    truth: Path, low: Path | None, *, degradation: str | None = None, partial: bool = False
) -> FoundPair:
    """Pair two folders or two videos; folders of folders or of videos are many clips.

    Args:
        truth: Ground truth.
        low: Low resolution of the same frames; None to make it.
        degradation: One of ``vsr.quality.degradation.DEGRADATIONS`` to make it with; None for BI.
        partial: Take the clips and frames that exist, and note missing ones.

    Raises:
        OpenError: Nothing is there, or only one side has a clip or frame, which is named.
    """
    gaps = MissingFrames(partial)
    degradation = known_degradation(degradation or "BI")
    clips = []
    for name, of_truth, of_low in _paired_sources(truth, low, gaps):
        frames = open_frames(of_truth)
        lower = None if of_low is None else open_frames(of_low)
        clips.append(make_clip(name, frames, lower, degradation, gaps))
    if not clips:
        raise OpenError(f"'{truth}' and '{low}' have no clip in common; give matching folders")
    return FoundPair(
        title=truth.name or str(truth),
        channels="Y",
        degradation="given" if low else degradation,
        made=low is None,
        clips=tuple(clips),
        notes=tuple(gaps.notes),
    )


def known_degradation(degradation: str) -> str:
    """Check the name of a degradation and return it.

    Raises:
        ConfigurationError: There is no such degradation.
    """
    if degradation not in DEGRADATIONS:
        raise ConfigurationError(
            f"degradation {degradation!r} is unknown; known are {', '.join(DEGRADATIONS)}"
        )
    return degradation


def make_clip(
    name: str, truth: Frames, low: Frames | None, degradation: str, gaps: MissingFrames
) -> Clip:
    """A clip of which every frame is scored.

    Args:
        name: Name of the clip.
        truth: Ground truth.
        low: Low resolution of the same frames; None to make it.
        degradation: Degradation that makes the input.
        gaps: Takes frames that only one side has.
    """
    if low is not None:
        truth, low = pair_up(name, truth, low, gaps)
    count = len(truth.names)
    make = degradation if low is None else None
    return Clip(name=name, low=low or truth, make=make, truth=truth, scored=tuple(range(count)))


def _paired_sources(
    truth: Path, low: Path | None, gaps: MissingFrames
) -> Iterator[tuple[str, Path, Path | None]]:
    """Name, ground truth and low resolution of each clip of a pair."""
    for path in filter(None, (truth, low)):
        if not path.exists():
            raise OpenError(f"'{path}' is not there; give a folder of images or a video")
    if truth.is_file() or holds_images(truth):
        yield _clip_name(truth), truth, low
        return
    children = sorted(path for path in truth.iterdir() if not path.name.startswith("."))
    for child in children:
        source = find_source(child.with_suffix("")) if child.is_file() else child
        if source != child or (child.is_dir() and not holds_images(child)):
            continue
        name = _clip_name(child)
        of_low = None if low is None else find_source(low / name)
        if low is not None and of_low is None:
            gaps.report(f"clip {name!r} is not in '{low}'")
            continue
        yield name, child, of_low


def _clip_name(source: Path) -> str:
    """A folder's name may have dots, a video's has a suffix."""
    return source.name if source.is_dir() else source.stem
