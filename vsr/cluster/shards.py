"""Dividing a film into shards: consecutive scenes that one worker restores alone."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from vsr.engine.settings import Settings
from vsr.resume.checkpoints import is_due

SHARDS_PER_WORKER = 16
"""Shards that each worker gets at least, where scenes allow: the last ones end at almost the same
time, and little is lost with a worker."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Consecutive frames that depend on no others.

    Attributes:
        frames: Number of frames.
        first_pts: Pts of the first frame.
        last_pts: Pts of the last frame.
        digest: Digest of a sample of the pixels, see ``FrameDigest``.
    """

    frames: int
    first_pts: int
    last_pts: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Scenes restored together; its segments begin and end where those of a whole run do.

    Attributes:
        number: 0 for the first.
        first: Number of its first frame, counted from the first wanted one of the source.
        frames: Number of frames.
        first_pts: Pts of the first frame.
        last_pts: Pts of the last frame.
        starts: Positions of scene starts in it; 0 is the first.
        digest: Digest of the scenes' digests.
    """

    number: int
    first: int
    frames: int
    first_pts: int
    last_pts: int
    starts: tuple[int, ...]
    digest: str

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """A shard of a journal's header."""
        return cls(**{**facts, "starts": tuple(facts["starts"])})

    def as_json(self) -> dict[str, Any]:
        """The shard as a journal's header has it."""
        return asdict(self)


def divide(
    scenes: Sequence[Scene], settings: Settings, *, segment: int, workers: int
) -> list[Shard]:
    """Divide a film into shards.

    Args:
        scenes: All scenes in order.
        settings: Step sizes of the restoration.
        segment: Maximum number of frames of a segment; a shard has at least as many where it can.
        workers: Number of workers.

    Returns:
        Shards in order. Each begins at a cut where a run of one machine begins a segment, too.
    """
    total = sum(scene.frames for scene in scenes)
    wanted = max(segment, total // (SHARDS_PER_WORKER * workers))
    groups: list[list[Scene]] = []
    for block in _blocks(scenes, settings, segment):
        length, more = _frames(groups[-1]) if groups else 0, _frames(block)
        fits = length + more <= wanted or (length < segment and more < wanted)
        if groups and fits:
            groups[-1].extend(block)
        else:
            groups.append(list(block))
    shards, first = [], 0
    for number, group in enumerate(groups):
        shards.append(_shard(number, first, group))
        first += shards[-1].frames
    return shards


def longest_first(shards: Iterable[Shard]) -> list[Shard]:
    """Shards in the order in which they are handed out."""
    return sorted(shards, key=lambda shard: (-shard.frames, shard.number))


def efficiency(durations: Sequence[float], speeds: Sequence[float]) -> float:
    """Share of all workers' time that is spent restoring.

    Args:
        durations: Seconds of each shard on a worker of speed 1, in the order they are handed out.
        speeds: Speed of each worker.

    Returns:
        1 where all workers end at the same moment.
    """
    if not durations:
        return 1.0
    free = [(0.0, number) for number in range(len(speeds))]
    end = 0.0
    for duration in durations:
        begin, worker = heapq.heappop(free)
        end = max(end, begin + duration / speeds[worker])
        heapq.heappush(free, (begin + duration / speeds[worker], worker))
    return sum(durations) / (end * sum(speeds))


def combined(digests: Iterable[str]) -> str:
    """The digest of several scenes."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def _blocks(scenes: Sequence[Scene], settings: Settings, segment: int) -> list[list[Scene]]:
    """Scenes up to the next cut at which a run of one machine ends a segment."""
    blocks: list[list[Scene]] = [[]]
    since = 0
    for number, scene in enumerate(scenes):
        blocks[-1].append(scene)
        left = scene.frames
        while left > settings.chunk:
            left, since = left - settings.chunk, since + settings.chunk
            since = 0 if is_due(since, settings, segment, starts_scene=False) else since
        since += left
        if number + 1 < len(scenes) and is_due(since, settings, segment, starts_scene=True):
            blocks.append([])
            since = 0
    return [block for block in blocks if block]


def _shard(number: int, first: int, scenes: Sequence[Scene]) -> Shard:
    starts, length = [], 0
    for scene in scenes:
        starts.append(length)
        length += scene.frames
    return Shard(
        number=number,
        first=first,
        frames=length,
        first_pts=scenes[0].first_pts,
        last_pts=scenes[-1].last_pts,
        starts=tuple(starts),
        digest=combined(scene.digest for scene in scenes),
    )


def _frames(scenes: Iterable[Scene]) -> int:
    return sum(scene.frames for scene in scenes)
