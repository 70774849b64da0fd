"""Restoring several scenes of one stream at a time, for devices that small frames leave idle.

Scenes do not depend on each other, so that several can be stepped together. Their frames still
arrive scene by scene: those of later scenes wait until enough scenes have arrived, and restored
ones until all frames before them are emitted, up to a number of frames that the caller sets.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from vsr.engine.batch import BatchRestorer
from vsr.engine.device_transfer import send
from vsr.engine.settings import Settings
from vsr.engine.stream import Counts
from vsr.engine.window import AcceptedInput, accept
from vsr.errors import ConfigurationError
from vsr.models.network import Network
from vsr.types import Chunk


@dataclass(kw_only=True, eq=False)
class _Lane:
    """One scene in progress.

    Attributes:
        key: Key of its stream in the batch.
        ended: Whether its last frame has been pushed.
        restored: Restored chunks that wait for their turn.
    """

    key: int
    ended: bool = False
    restored: list[Chunk] = field(default_factory=list)

    @property
    def num_restored(self) -> int:
        return sum(map(len, self.restored))


class ParallelScenes:
    """Restores one stream, several scenes at a time; used like a ``Restorer``.

    Args:
        network: See ``Restorer``.
        scenes: Maximum number of scenes in one joint step.
        held: Frames that may wait, restored ones included, before scenes are no longer waited for.
        chunk: See ``Restorer``.
        look_ahead: See ``Restorer``.
        tiles: See ``Restorer``.
        device: See ``Restorer``.
        precision: See ``Restorer``.
    """

    def __init__(
        self,
        network: Network[Any],
        *,
        scenes: int,
        held: int | None = None,
        chunk: int | None = None,
        look_ahead: int | str | None = None,
        tiles: tuple[int, int] = (1, 1),
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self._batch = BatchRestorer(
            network,
            chunk=chunk,
            look_ahead=look_ahead,
            tiles=tiles,
            device=device,
            precision=precision,
            largest=scenes,
        )
        self._scenes = scenes
        self._size: tuple[int, int] | None = None
        self._held = num_held(self._batch.settings, scenes) if held is None else held
        if self._held < 1:
            raise ConfigurationError(f"{held} frames may wait; give 1 or more")
        self.reset()

    @property
    def network(self) -> Network[Any]:
        """The network."""
        return self._batch.network

    @property
    def device(self) -> Any:
        """Where the network is."""
        return self._batch.device

    @property
    def settings(self) -> Settings:
        """Sizes of the next step; smaller than asked for once memory has run out."""
        return self._batch.settings_at(self._size) if self._size else self._batch.settings

    @property
    def chunk(self) -> int:
        """Frames restored per step and scene."""
        return self.settings.chunk

    @property
    def counts(self) -> Counts:
        """Counts of all scenes so far."""
        return sum((self._batch.counts_of(key) for key in self._batch.keys), self._past)

    def reset(self) -> None:
        """Forget the stream."""
        for key in self._batch.keys:
            self._batch.discard(key)
        self._lanes: deque[_Lane] = deque()
        self._accepted: AcceptedInput | None = None
        self._next_key, self._past = 0, Counts()

    def push(self, chunk: Chunk) -> list[Chunk]:
        """As ``Restorer.push``."""
        return list(self.iter_push(chunk))

    def iter_push(self, chunk: Chunk) -> Iterator[Chunk]:
        """As ``Restorer.iter_push``."""
        self._accepted = accept(chunk, self._accepted)
        self._size = self._accepted.size
        chunk = replace(chunk, frames=send(chunk.frames, self.device))
        for scene_begins, piece in _at_cuts(chunk):
            if scene_begins or not self._lanes or self._lanes[-1].ended:
                self._begin_lane()
            self._batch.add({self._lanes[-1].key: piece})
            yield from self._advance()

    def drain(self) -> list[Chunk]:
        """As ``Restorer.drain``."""
        return list(self.iter_drain())

    def iter_drain(self) -> Iterator[Chunk]:
        """As ``Restorer.iter_drain``."""
        self._end_lane()
        while self._lanes:
            yield from self._step()
        self._accepted = None

    def _begin_lane(self) -> None:
        self._end_lane()
        self._lanes.append(_Lane(key=self._next_key))
        self._next_key += 1

    def _end_lane(self) -> None:
        if self._lanes and not self._lanes[-1].ended:
            self._lanes[-1].ended = True
            self._batch.end(self._lanes[-1].key)

    def _advance(self) -> Iterator[Chunk]:
        """Step while enough scenes, or too many frames, are waiting."""
        while self._ready() and (len(self._ready()) >= self._scenes or self._is_full()):
            yield from self._step()

    def _ready(self) -> list[int]:
        keys = (lane.key for lane in list(self._lanes)[: self._scenes])
        return [key for key in keys if self._batch.is_ready(key)]

    def _is_full(self) -> bool:
        waiting = sum(self._batch.num_waiting(lane.key) for lane in self._lanes)
        return waiting + self._num_restored() >= self._held

    def _num_restored(self) -> int:
        return sum(lane.num_restored for lane in self._lanes)

    def _step(self) -> list[Chunk]:
        """Step the first scenes; only the first if too many restored frames wait."""
        ready = self._ready() if self._num_restored() < self._held // 2 else self._ready()[:1]
        restored = self._batch.step(ready)
        for lane in self._lanes:
            lane.restored += restored.get(lane.key, [])
        return list(self._emit())

    def _emit(self) -> Iterator[Chunk]:
        """Yield restored chunks in the order of scenes."""
        while self._lanes:
            lane = self._lanes[0]
            yield from lane.restored
            lane.restored = []
            if not lane.ended or self._batch.num_waiting(lane.key):
                return
            self._past += self._batch.counts_of(lane.key)
            self._batch.discard(lane.key)
            self._lanes.popleft()


def num_held(settings: Settings, scenes: int) -> int:
    """Default limit of waiting frames: two steps of every scene."""
    return 2 * scenes * (settings.chunk + (settings.look_ahead or 0))


def _at_cuts(chunk: Chunk) -> Iterator[tuple[bool, Chunk]]:
    """Split a chunk at scene starts; with each part, whether it starts a scene."""
    borders = sorted({0, *chunk.scene_starts, len(chunk)})
    for start, end in itertools.pairwise(borders):
        begins = start in chunk.scene_starts
        yield (
            begins,
            replace(
                chunk,
                frames=chunk.frames[start:end],
                pts=chunk.pts[start:end],
                scene_starts=frozenset({0} if begins else ()),
            ),
        )
