"""Several streams through one network, their steps taken together.

Small frames leave a device idle; several streams of one size at once fill it. Streams are stepped
together whenever their next steps are alike: as many frames, as much of a past. Others are stepped
by themselves, so that nothing ever waits for another stream.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch

from vsr.engine.settings import Settings, settings_for
from vsr.engine.state import concatenate, signature, split
from vsr.engine.stepping import restore_next
from vsr.engine.stream import Counts, Stream
from vsr.engine.tiles import tiled
from vsr.engine.timeline import Step
from vsr.errors import ConfigurationError
from vsr.memory import may_be_out_of_memory
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.types import Chunk

Key = Any
"""What the caller calls a stream; hashable."""

Ready = tuple[Key, Stream, Step, Any]
"""A stream whose next step can be taken, and the state it goes on from."""


class BatchRestorer:
    """Restores many streams with one network. Not thread-safe.

    A stream begins with the first chunk pushed under its key and ends with its ``drain``; a key
    under which there is none is a ``KeyError``.

    Args:
        network: As for ``Restorer``.
        chunk: As for ``Restorer``, for streams that begin from now on.
        look_ahead: As for ``Restorer``.
        tiles: As for ``Restorer``.
        device: As for ``Restorer``.
        precision: As for ``Restorer``.
        largest: Streams stepped together at most; memory grows with it.

    Raises:
        ConfigurationError: As for ``Restorer``.
    """

    def __init__(
        self,
        network: Network[Any],
        *,
        chunk: int | None = None,
        look_ahead: int | str | None = None,
        tiles: tuple[int, int] = (1, 1),
        device: str = "auto",
        precision: str = "auto",
        largest: int = 8,
    ) -> None:
        self.settings = settings_for(network.facts, chunk=chunk, look_ahead=look_ahead, tiles=tiles)
        if largest < 1:
            raise ConfigurationError(f"{largest} streams at once; give 1 or more")
        self.network, self.device = place(network, device=device, precision=precision)
        self.largest = largest
        self._streams: dict[Key, Stream] = {}

    @property
    def keys(self) -> tuple[Key, ...]:
        """Streams that have begun and not been drained."""
        return tuple(self._streams)

    def settings_of(self, key: Key) -> Settings:
        """Sizes of a stream's next step."""
        return self._streams[key].settings

    def counts_of(self, key: Key) -> Counts:
        """What happened to a stream so far."""
        return self._streams[key].counts

    def num_waiting(self, key: Key) -> int:
        """Frames of a stream that entered and have not left."""
        return len(self._streams[key].timeline.frames)

    def change(
        self, key: Key, *, chunk: int | None = None, look_ahead: int | str | None = None
    ) -> None:
        """Give one stream other sizes, as ``Restorer.change`` does."""
        stream = self._streams[key]
        stream.settings = stream.settings.changed(chunk=chunk, look_ahead=look_ahead)

    def push(self, chunks: Mapping[Key, Chunk]) -> dict[Key, list[Chunk]]:
        """Take frames of any streams, and return those of any stream that could be restored.

        Args:
            chunks: Frames by stream; a new key begins a stream.

        Returns:
            Restored chunks by stream; streams without any are left out.

        Raises:
            ConfigurationError: As of ``Restorer.push``.
        """
        self.add(chunks)
        return self._restore_ready(self.keys)

    def add(self, chunks: Mapping[Key, Chunk]) -> None:
        """Take frames and restore none yet."""
        for key, chunk in chunks.items():
            if key not in self._streams:
                self._streams[key] = Stream(self.network.facts, self.settings, self.device)
            self._streams[key].push(chunk)

    def end(self, key: Key) -> None:
        """Say that a stream gets no more frames; its last ones can be restored then."""
        self._streams[key].end()

    def pass_through(self, key: Key, chunk: Chunk) -> list[Chunk]:
        """Take frames of one stream and enlarge all that wait, as in ``Restorer``."""
        self.add({key: chunk})
        return self._streams[key].pass_through()

    def is_ready(self, key: Key) -> bool:
        """Whether a step of a stream can be taken."""
        return self._streams[key].next_step() is not None

    @torch.inference_mode()
    def step(self, keys: Iterable[Key] | None = None) -> dict[Key, list[Chunk]]:
        """Take one step of every stream that can take one.

        Args:
            keys: Streams to step; None for all.

        Returns:
            As ``push``.
        """
        ready = self._ready(self.keys if keys is None else keys)
        return {
            key: [chunk]
            for group in _alike(ready, self.largest)
            for key, chunk in self._step_together(group)
        }

    def drain(self, key: Key) -> list[Chunk]:
        """Restore what waits of a stream, and forget the stream."""
        self.end(key)
        restored = self._restore_ready([key]).get(key, [])
        self.forget(key)
        return restored

    def forget(self, key: Key) -> None:
        """Drop a stream with all that waits of it."""
        del self._streams[key]

    def _restore_ready(self, keys: Sequence[Key]) -> dict[Key, list[Chunk]]:
        restored: dict[Key, list[Chunk]] = {}
        while stepped := self.step(keys):
            for key, chunks in stepped.items():
                restored.setdefault(key, []).extend(chunks)
        return restored

    def _ready(self, keys: Iterable[Key]) -> list[Ready]:
        streams = ((key, self._streams[key]) for key in keys)
        steps = ((key, stream, stream.next_step()) for key, stream in streams)
        return [(key, stream, step, stream.past(step)) for key, stream, step in steps if step]

    def _step_together(self, group: list[Ready]) -> list[tuple[Key, Chunk]]:
        """One step of every stream of a group, by themselves where memory does not suffice."""
        if len(group) == 1:
            return [self._step_alone(*group[0][:3])]
        try:
            together = self._run(group)
        except (MemoryError, RuntimeError) as error:
            if not may_be_out_of_memory(error):
                raise
        else:
            return self._settle(group, together)
        return [self._step_alone(key, stream, step) for key, stream, step, _ in group]

    def _settle(
        self, group: list[Ready], together: list[tuple[torch.Tensor, Any]]
    ) -> list[tuple[Key, Chunk]]:
        left = []
        for (key, stream, step, past), (restored, state) in zip(group, together, strict=True):
            chunk = stream.settle(past, restored, state)
            left.append((key, chunk) if chunk else self._step_alone(key, stream, step))
        return left

    def _step_alone(self, key: Key, stream: Stream, step: Step) -> tuple[Key, Chunk]:
        return key, restore_next(self.network, stream, step)

    def _run(self, group: list[Ready]) -> list[tuple[torch.Tensor, Any]]:
        _, first, step, past = group[0]
        windows = [stream.timeline.window(step.num_seen) for _, stream, _, _ in group]
        state = None if past is None else concatenate([past for *_, past in group])
        restored, new_state = tiled(self.network, first.settings.tiles).step(
            torch.stack(windows), state, step.num_keep, ends_scene=step.ends_scene
        )
        return list(zip(restored, split(new_state, len(group)), strict=True))


def _alike(ready: list[Ready], largest: int) -> list[list[Ready]]:
    """Groups that can be stepped together."""
    groups: dict[Hashable, list[Ready]] = {}
    for one in ready:
        _, stream, step, past = one
        size = tuple(stream.timeline.frames[0].pixels.shape)
        alike = (size, step.num_keep, step.num_seen, step.ends_scene, stream.settings.tiles)
        groups.setdefault((*alike, signature(past)), []).append(one)
    return [g[i : i + largest] for g in groups.values() for i in range(0, len(g), largest)]
