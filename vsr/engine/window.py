"""The waiting frames of one stream and the window of the next step.

    frames   0 1 2 3 4 5 6 7 8 9 10 11 ...
    step 1   [------ keep ------][ look-ahead ]
    step 2                    8  [------ keep ------][ look-ahead ]

A step waits for its chunk and look-ahead, or for the end of its scene.

T time, H, W size.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from vsr.chunks import stack
from vsr.engine.settings import Settings
from vsr.errors import ConfigurationError
from vsr.types import Chunk

COLOURS = 3


TENSOR_WANTED = (
    f"torch tensor (T, {COLOURS}, H, W) in [0, 1], such as "
    "torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255"
)


@dataclass(frozen=True, kw_only=True)
class AcceptedInput:
    """Size, time base and last pts of the frames accepted so far.

    Attributes:
        size: Rows and columns of all frames.
        time_base: Time base of their pts.
        last_pts: The latest pts; None if unknown.
    """

    size: tuple[int, int]
    time_base: Fraction
    last_pts: int | None


def accept(chunk: Chunk, before: AcceptedInput | None) -> AcceptedInput:
    """Validate a chunk and return the updated description of the input.

    Args:
        chunk: The next frames.
        before: Description of the input so far; None for the first chunk.

    Raises:
        ConfigurationError: Frames that are not floating point, not (T, 3, H, W) with T pts, or not
            of the size of those before; pts that do not increase, or are in another time base;
            scene starts outside the chunk.
    """
    size = _check_frames(chunk)
    if before is not None:
        _check_alike(chunk, size, before)
    last_pts = None if before is None else before.last_pts
    _check_order(chunk, last_pts)
    return AcceptedInput(
        size=size, time_base=chunk.time_base, last_pts=chunk.pts[-1] if chunk.pts else last_pts
    )


def _check_frames(chunk: Chunk) -> tuple[int, int]:
    if not isinstance(chunk, Chunk):
        raise ConfigurationError(
            f"{type(chunk).__name__} was pushed; give vsr.Chunk(frames=..., pts=..., "
            f"time_base=...), whose frames are a {TENSOR_WANTED}"
        )
    if not isinstance(chunk.frames, Tensor):
        raise ConfigurationError(
            f"frames are of type {type(chunk.frames).__name__}; give a {TENSOR_WANTED}"
        )
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


def _check_alike(chunk: Chunk, size: tuple[int, int], before: AcceptedInput) -> None:
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
                f"pts {later} comes after {earlier}; give pts that increase from frame to frame"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One waiting frame: (3, H, W), its pts, and whether a scene starts with it."""

    pixels: Tensor
    pts: int
    starts_scene: bool


@dataclass(frozen=True, kw_only=True)
class Step:
    """The frames of one step.

    Attributes:
        num_keep: Number of frames to restore.
        num_seen: Number of frames in the window, including those to restore.
        starts_scene: Whether its first frame starts the scene.
        ends_scene: Whether its last frame ends the scene.
    """

    num_keep: int
    num_seen: int
    starts_scene: bool
    ends_scene: bool


class Timeline:
    """The waiting frames of a stream in order.

    Attributes:
        frames: Waiting frames.
        accepted: Description of all frames so far; None before the first.
        ended: Whether no more frames come.
        at_scene_start: Whether the next frame starts a scene even if it is not marked.
    """

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.accepted: AcceptedInput | None = None
        self.ended, self.at_scene_start = False, True

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and columns of its frames; None before the first."""
        return None if self.accepted is None else self.accepted.size

    def push(self, chunk: Chunk) -> None:
        """Append frames.

        Raises:
            ConfigurationError: See ``accept``; nothing was appended.
        """
        self.accepted = accept(chunk, self.accepted)
        for i, (pixels, pts) in enumerate(zip(chunk.frames, chunk.pts, strict=True)):
            starts = i in chunk.scene_starts
            self.frames.append(Frame(pixels=pixels, pts=pts, starts_scene=starts))

    def next_step(self, settings: Settings, *, sees_end: bool) -> Step | None:
        """The next step, or None if it still waits for frames.

        Args:
            settings: Step sizes.
            sees_end: As in ``NetworkFacts``.
        """
        in_scene = self._num_in_scene()
        scene_ended = self.ended or in_scene < len(self.frames)
        ahead = in_scene if settings.look_ahead is None else settings.look_ahead
        num_keep = min(settings.chunk, in_scene)
        if not num_keep or (not scene_ended and in_scene < settings.chunk + ahead + sees_end):
            return None
        num_seen = min(in_scene, num_keep + ahead)
        return Step(
            num_keep=num_keep,
            num_seen=num_seen,
            starts_scene=self.starts_scene,
            ends_scene=scene_ended and num_seen == in_scene,
        )

    @property
    def starts_scene(self) -> bool:
        """Whether the first waiting frame starts a scene."""
        return self.at_scene_start or self.frames[0].starts_scene

    def window(self, num_frames: int) -> Tensor:
        """The next frames (T, 3, H, W), float32, on their device."""
        return stack([self.frames[i].pixels for i in range(num_frames)]).float()

    def emit(self, restored: Tensor) -> Chunk:
        """Remove the next frames and return their restored versions as a chunk."""
        assert self.accepted is not None, "frames that leave have entered"
        left = [self.frames.popleft() for _ in range(len(restored))]
        self.at_scene_start = False
        return Chunk(
            frames=restored,
            pts=tuple(frame.pts for frame in left),
            time_base=self.accepted.time_base,
            scene_starts=frozenset(i for i, frame in enumerate(left) if frame.starts_scene),
        )

    def _num_in_scene(self) -> int:
        """Number of waiting frames in the scene of the first one."""
        return _first_start(self.frames) if self.frames else 0


def _first_start(frames: Sequence[Frame]) -> int:
    later = (i for i, frame in enumerate(frames) if i and frame.starts_scene)
    return next(later, len(frames))
