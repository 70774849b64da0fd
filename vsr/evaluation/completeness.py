"""Checking that no frames are missing."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from vsr.errors import OpenError
from vsr.evaluation.data_sets import DataSet
from vsr.evaluation.frames import Frames, open_frames

log = logging.getLogger(__name__)

_NAMED = 3
"""Missing frames that a message names; the others are counted."""


class MissingFrames:
    """Missing frames: an error, or a note with ``--partial``.

    Attributes:
        notes: A sentence for each tolerated gap.
    """

    def __init__(self, partial: bool) -> None:
        self.partial = partial
        self.notes: list[str] = []

    def report(self, gap: str) -> None:
        """Take a gap, a sentence without its end.

        Raises:
            OpenError: Gaps are not tolerated.
        """
        if not self.partial:
            raise OpenError(f"{gap}; bring what is missing, or score the rest with --partial")
        self.notes.append(f"partial: {gap}")


def require_frames(
    data_set: DataSet, clip: str, source: Path, expected: int | None, gaps: MissingFrames
) -> Frames:
    """The frames of a clip, checked for missing ones.

    Args:
        data_set: The data set, which determines the names of its frames.
        clip: Name of the clip, for the message.
        source: A folder of images or a video.
        expected: Frames the clip has; None if only gaps in their numbering can tell.
        gaps: Takes what is missing.
    """
    frames = open_frames(source)
    missing = _missing(data_set, frames.names, expected)
    if missing:
        there = f"{len(frames.names)} of {len(frames.names) + len(missing)} are there"
        gaps.report(f"clip {clip!r} lacks {_listed(missing)} in '{source}' ({there})")
    elif expected is not None and len(frames.names) > expected:
        gaps.report(
            f"clip {clip!r} has {len(frames.names)} frames in '{source}', "
            f"{expected} in {data_set.title}"
        )
    return frames


def pair_up(clip: str, truth: Frames, low: Frames, gaps: MissingFrames) -> tuple[Frames, Frames]:
    """Ground truth and low resolution of the same frames.

    Frames belong together by name; where no name is common to both, by order, if there are equally
    many.
    """
    if truth.names == low.names:
        return truth, low
    common = [name for name in truth.names if name in low.names]
    if not common and len(truth.names) == len(low.names):
        return truth, low
    unpaired = sorted(set(truth.names) ^ set(low.names))
    gaps.report(f"clip {clip!r}: {_listed(unpaired)} of ground truth or input has no counterpart")
    if not common:
        raise OpenError(f"clip {clip!r}: no frame of the ground truth has an input of its name")
    return tuple(x.only([x.names.index(name) for name in common]) for x in (truth, low))  # type: ignore[return-value]


def _missing(data_set: DataSet, names: Sequence[str], expected: int | None) -> list[str]:
    """Names of missing frames."""
    if expected is None:
        return _holes(names)
    holes = _holes(names)
    if len(names) >= expected and not holes:
        return []
    wanted = [data_set.frame_name.format(data_set.first_frame + i) for i in range(expected)]
    if set(names) & set(wanted):
        return [name for name in wanted if name not in names]
    # Another numbering: its holes can be named, what lacks at its ends only counted.
    return holes or [f"number {i + 1}" for i in range(len(names), expected)]


def _holes(names: Sequence[str]) -> list[str]:
    """Names missing from the numbering of the others."""
    numbered = [re.fullmatch(r"(.*?)(\d+)(\D*)", name) for name in names]
    found = {int(match[2]): match for match in numbered if match}
    if len(found) < len(names) or not found:
        return []
    before, digits, after = found[min(found)].groups()
    gaps = [number for number in range(min(found), max(found)) if number not in found]
    return [f"{before}{number:0{len(digits)}}{after}" for number in gaps]


def _listed(names: Sequence[str]) -> str:
    """Frames as text: the first few by name."""
    some = ", ".join(repr(name) for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"frame{'s' if len(names) > 1 else ''} {some}{more}"
