"""What scenes that are restored side by side hold, found out by restoring frames of one pixel.

How many scenes a step takes, and how many restored frames wait meanwhile, depends on where the cuts
fall. ``ParallelScenes`` itself is run on as many scenes as it takes to see, with a network that
only notes what it is given.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from vsr.engine.parallel_scenes import ParallelScenes
from vsr.engine.settings import FULL, Settings
from vsr.models.network import Network, NetworkFacts
from vsr.types import Chunk

SUPPOSED = (20, 30, 45, 70, 100, 150, 250)
"""Frames of scenes whose cuts are not known before the run: more can be held at once where all are
of some lengths than of others."""

REPEATED = 16
"""Scenes of a length until nothing new comes."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A step, and what is held beside it.

    Attributes:
        scenes: That are stepped together.
        num_keep: Frames to restore of each.
        num_ahead: Frames of each that are only seen.
        waiting: Frames of all scenes that wait to be restored, those of the step included.
        kept: Restored frames whose turn has not come.
    """

    scenes: int
    num_keep: int
    num_ahead: int
    waiting: int
    kept: int

    def exceeds(self, other: Moment) -> bool:
        """Whether nothing of another moment is larger."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return self != other and all(mine >= theirs for mine, theirs in pairs)


def rehearse(
    facts: NetworkFacts,
    settings: Settings,
    scenes: int,
    lengths: Sequence[int] | None,
    num_frames: int | None = None,
) -> list[Moment]:
    """The moments at which most is held; others hold no more of anything.

    Args:
        facts: Of the network.
        settings: Sizes of its steps.
        scenes: Stepped together at most.
        lengths: Frames of one scene after the other; None where they are not known.
        num_frames: Of all scenes, where that is known.
    """
    films = [lengths] if lengths else [_film(length, num_frames) for length in SUPPOSED]
    return _most(set().union(*(_moments(facts, settings, scenes, film) for film in films)))


def _film(length: int, num_frames: int | None) -> list[int]:
    """Scenes of one length, within a source of so many frames."""
    total = min(REPEATED * length, num_frames or REPEATED * length)
    return [min(length, total - start) for start in range(0, total, length)]


def _moments(
    facts: NetworkFacts, settings: Settings, scenes: int, lengths: Sequence[int]
) -> set[Moment]:
    network = _Noting(facts)
    lanes = ParallelScenes(
        network,
        scenes=scenes,
        chunk=settings.chunk,
        look_ahead=FULL if settings.look_ahead is None else settings.look_ahead,
        device="cpu",
    )
    for chunk in _chunks(settings.chunk, lengths):
        network.entered += len(chunk)
        for out in lanes.iter_push(chunk):
            network.left += len(out)
    for out in lanes.iter_drain():
        network.left += len(out)
    return network.moments


def _most(moments: set[Moment]) -> list[Moment]:
    return [one for one in moments if not any(other.exceeds(one) for other in moments)]


def _chunks(size: int, lengths: Iterable[int]) -> Iterator[Chunk]:
    """Frames as they are decoded: in chunks of a size, whatever the scenes."""
    borders = list(itertools.accumulate(lengths, initial=0))
    starts, total = set(borders[:-1]), borders[-1]
    for first in range(0, total, size):
        pts = range(first, min(first + size, total))
        yield Chunk(
            frames=torch.zeros(len(pts), 3, 1, 1),
            pts=tuple(pts),
            time_base=Fraction(1, 25),
            scene_starts=frozenset(i for i, frame in enumerate(pts) if frame in starts),
        )


class _Noting(Network[Any]):
    """Returns what it is given, and notes what is held meanwhile.

    Attributes:
        entered: Frames so far; the caller counts them, as those that left.
        left: Frames so far.
        moments: All that were different.
    """

    def __init__(self, facts: NetworkFacts) -> None:
        super().__init__()
        self.facts = replace(facts, scale=1)
        self.entered = self.left = self._restored = 0
        self.moments: set[Moment] = set()

    def step(
        self, window_BTCHW: Tensor, state: Any, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, Any]:
        scenes, num_seen = window_BTCHW.shape[:2]
        self.moments.add(
            Moment(
                scenes=scenes,
                num_keep=num_keep,
                num_ahead=num_seen - num_keep,
                waiting=self.entered - self._restored,
                kept=self._restored - self.left,
            )
        )
        self._restored += scenes * num_keep
        # What is known of the frames ahead tells states that cannot be stepped together apart.
        return window_BTCHW[:, :num_keep], num_seen - num_keep
