"""What frames a stream accepts, checked before any is taken."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

from vsr.errors import ConfigurationError
from vsr.types import Chunk

COLOURS = 3


@dataclass(frozen=True, kw_only=True)
class Entered:
    """What the frames that entered a stream so far have in common, and where they end.

    Attributes:
        size: Rows and columns.
        time_base: Of their pts.
        last_pts: The latest; None where that is not known.
    """

    size: tuple[int, int]
    time_base: Fraction
    last_pts: int | None


def enter(chunk: Chunk, before: Entered | None) -> Entered:
    """What has entered with a chunk.

    Args:
        chunk: Frames that follow.
        before: What entered in front of them; None where they are the first.

    Raises:
        ConfigurationError: Frames that are not floating point, not (T, 3, H, W) with T pts, or not
            of the size of those before; pts that do not increase, or are in another time base;
            marks of scenes that are on no frame.
    """
    size = _check_frames(chunk)
    if before is not None:
        _check_alike(chunk, size, before)
    last_pts = None if before is None else before.last_pts
    _check_order(chunk, last_pts)
    return Entered(
        size=size, time_base=chunk.time_base, last_pts=chunk.pts[-1] if chunk.pts else last_pts
    )


def _check_frames(chunk: Chunk) -> tuple[int, int]:
    shape = tuple(chunk.frames.shape)
    if len(shape) != 4 or shape[1] != COLOURS or shape[0] != len(chunk.pts) or 0 in shape[2:]:
        raise ConfigurationError(
            f"frames are {shape} with {len(chunk.pts)} pts; give (T, {COLOURS}, H, W) and T pts"
        )
    if not chunk.frames.is_floating_point():
        kind = str(chunk.frames.dtype).removeprefix("torch.")
        raise ConfigurationError(f"frames are {kind}; give floats, black 0 and white 1")
    beyond = [i for i in chunk.scene_starts if not 0 <= i < len(chunk)]
    if beyond:
        raise ConfigurationError(
            f"scenes start at {sorted(beyond)} of {len(chunk)} frames; count from 0 in each chunk"
        )
    return shape[2], shape[3]


def _check_alike(chunk: Chunk, size: tuple[int, int], before: Entered) -> None:
    if size != before.size:
        raise ConfigurationError(
            f"frames are {size[1]}x{size[0]} in a stream of {before.size[1]}x{before.size[0]}; "
            "drain it before frames of another size"
        )
    if chunk.time_base != before.time_base:
        raise ConfigurationError(
            f"pts are in units of {chunk.time_base} s in a stream of {before.time_base} s; "
            "rescale them, or drain it before"
        )


def _check_order(chunk: Chunk, last_pts: int | None) -> None:
    times = chunk.pts if last_pts is None else (last_pts, *chunk.pts)
    for earlier, later in itertools.pairwise(times):
        if later <= earlier:
            raise ConfigurationError(
                f"pts {later} comes behind {earlier}; give pts that increase from frame to frame"
            )
