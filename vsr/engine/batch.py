"""Restoring several streams with one network in joint steps."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vsr.engine.memory import give_back, may_be_out_of_memory
from vsr.engine.settings import Settings, settings_for
from vsr.engine.step import restore_next
from vsr.engine.stream import Counts, Stream
from vsr.engine.tiling import tiled
from vsr.engine.window import Step
from vsr.errors import ConfigurationError
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.models.state_tree import concatenate, signature, unbatch
from vsr.types import Chunk

log = logging.getLogger(__name__)

Key = Any
"""The caller's key of a stream; hashable."""

Size = tuple[int, int]
"""Rows and columns of a frame."""

Outcome = Chunk | Exception
"""Result of a stream's step: restored frames, or the error in their place."""

Ready = tuple[Key, Stream, Step, Any]
"""A stream whose next step can be taken, and the state it starts from."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest steps that have fitted into memory so far.

    Attributes:
        settings: Step sizes of one stream.
        largest: Number of streams in one joint step.
    """

    settings: Settings
    largest: int


class JointStepper:
    """Steps several streams together and remembers the largest step that fitted into memory.

    Args:
        network: Placed on its device, in its precision.
        settings: Initial step sizes of a stream.
        largest: Maximum number of streams in one joint step.
    """

    def __init__(self, network: Network[Any], settings: Settings, largest: int) -> None:
        self._network, self._asked = network, Limits(settings=settings, largest=largest)
        self._limits: dict[Size, Limits] = {}

    def settings_at(self, size: Size) -> Settings:
        """Initial step sizes of a new stream with frames of this size."""
        return self._asked.settings.within(self._limits_at(size).settings)

    @torch.inference_mode()
    def step(self, streams: Iterable[tuple[Key, Stream]]) -> list[tuple[Key, Outcome]]:
        """Take one step of every stream that is ready; returns outcomes by stream."""
        return [
            left
            for group in _stepped_alike(self._ready(list(streams)))
            for part in self._parts(group)
            for left in self._step_together(part)
        ]

    def _limits_at(self, size: Size) -> Limits:
        return self._limits.get(size, self._asked)

    def _ready(self, streams: list[tuple[Key, Stream]]) -> list[Ready]:
        for _, stream in streams:
            self._apply_limit(stream)
        steps = ((key, stream, stream.next_step()) for key, stream in streams)
        return [(key, stream, step, stream.past(step)) for key, stream, step in steps if step]

    def _apply_limit(self, stream: Stream) -> None:
        """Limit a stream's step sizes to those that have fitted into memory."""
        limits = self._limits.get(size) if (size := stream.timeline.size) else None
        if limits is not None:
            stream.limit_to(limits.settings)

    def _parts(self, group: list[Ready]) -> list[list[Ready]]:
        """Split a group into parts that fit into one joint step."""
        largest = self._limits_at(_size(group[0][1])).largest
        return [group[i : i + largest] for i in range(0, len(group), largest)]

    def _step_together(self, group: list[Ready]) -> list[tuple[Key, Outcome]]:
        """Step all streams of a group, in smaller parts where memory runs out.

        After any other error each is stepped alone, so that only the stream at fault fails.
        """
        if len(group) == 1:
            return [self._step_alone(*group[0][:2])]
        try:
            together = self._run(group)
        except Exception as error:
            if not isinstance(error, MemoryError | RuntimeError) or not may_be_out_of_memory(error):
                return [self._step_alone(key, stream) for key, stream, *_ in group]
        else:
            return self._settle(group, together)
        self._halve(group)
        return [left for part in self._parts(group) for left in self._step_together(part)]

    def _halve(self, group: list[Ready]) -> None:
        """Halve the number of joint streams; the retry is counted for the first of them."""
        first, fewer = group[0][1], len(group) // 2
        first.counts.retries += 1
        self._limits[_size(first)] = replace(self._limits_at(_size(first)), largest=fewer)
        log.warning("out of memory: going on with %d at a time", fewer)

    def _settle(
        self, group: list[Ready], together: list[tuple[torch.Tensor, Any]]
    ) -> list[tuple[Key, Outcome]]:
        left: list[tuple[Key, Outcome]] = []
        for (key, stream, _, past), (restored, state) in zip(group, together, strict=True):
            chunk = stream.take_result(past, restored, state)
            left.append((key, chunk) if chunk else self._step_alone(key, stream))
        return left

    def _step_alone(self, key: Key, stream: Stream) -> tuple[Key, Outcome]:
        """Step one stream that is ready; an error is its outcome."""
        try:
            return key, self._restore_alone(stream)
        except Exception as error:
            return key, error

    def _restore_alone(self, stream: Stream) -> Chunk:
        """Step one stream, with smaller settings if memory has run out since."""
        self._apply_limit(stream)
        step, before = stream.next_step(), stream.settings
        assert step is not None, "a smaller step waits for less than the one that was ready"
        chunk = restore_next(self._network, stream, step)
        if stream.settings != before:
            self._remember_limit(stream)
        return chunk

    def _remember_limit(self, stream: Stream) -> None:
        """Remember the settings that fitted after memory ran out."""
        limits = self._limits_at(_size(stream))
        stream.limit = stream.settings.within(limits.settings)
        self._limits[_size(stream)] = replace(limits, settings=stream.limit)

    def _run(self, group: list[Ready]) -> list[tuple[torch.Tensor, Any]]:
        _, first, step, past = group[0]
        state = None if past is None else concatenate([past for *_, past in group])
        restored, new_state = tiled(self._network, first.settings.tiles).step(
            torch.stack([stream.timeline.window(step.num_seen) for _, stream, _, _ in group]),
            state,
            step.num_keep,
            ends_scene=step.ends_scene,
        )
        if restored.device.type == "cpu":
            # What leaves now may wait for long, on top of what the step needed and has freed.
            give_back()
        return unbatch(restored, new_state)


def _size(stream: Stream) -> Size:
    assert stream.timeline.size is not None, "a stream that is stepped has frames"
    return stream.timeline.size


def _stepped_alike(ready: list[Ready]) -> list[list[Ready]]:
    """Groups of streams that can share one step."""
    groups: dict[Hashable, list[Ready]] = {}
    for one in ready:
        _, stream, step, past = one
        size = tuple(stream.timeline.frames[0].pixels.shape)
        alike = (size, step.num_keep, step.num_seen, step.ends_scene, stream.settings.tiles)
        groups.setdefault((*alike, signature(past)), []).append(one)
    return list(groups.values())


class BatchRestorer:
    """Restores many streams with one network. Not thread-safe.

    A stream begins with the first chunk pushed under its key and ends with its ``drain``; a key
    under which there is none is a ``KeyError``. Results are those of a ``Restorer`` except for the
    rounding of convolutions, which sum in another order over several streams: 1e-5 in float32,
    in bfloat16 in places one step of 8 bits.

    Where memory runs out, fewer streams are stepped together, then steps become smaller; streams
    of frames of that size, those that begin later too, use the reduced sizes. ``change`` can
    raise the settings of one of them again.

    Args:
        network: See ``Restorer``.
        chunk: See ``Restorer``, for streams that begin from now on.
        look_ahead: See ``Restorer``.
        tiles: See ``Restorer``.
        device: See ``Restorer``.
        precision: See ``Restorer``.
        largest: Streams stepped together at most; memory grows with it.

    Raises:
        ConfigurationError: See ``Restorer``.
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
        self._steps = JointStepper(self.network, self.settings, largest)
        self._streams: dict[Key, Stream] = {}

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys of the streams that have begun and have not been drained."""
        return tuple(self._streams)

    def settings_of(self, key: Key) -> Settings:
        """Step sizes of a stream's next step."""
        return self._streams[key].settings

    def settings_at(self, size: Size) -> Settings:
        """Initial step sizes of a new stream with frames of this size."""
        return self._steps.settings_at(size)

    def counts_of(self, key: Key) -> Counts:
        """Counts of one stream so far."""
        return self._streams[key].counts

    def num_waiting(self, key: Key) -> int:
        """Number of frames pushed and not yet emitted."""
        return len(self._streams[key].timeline.frames)

    def change(
        self, key: Key, *, chunk: int | None = None, look_ahead: int | str | None = None
    ) -> None:
        """Change the step sizes of one stream, as ``Restorer.change`` does."""
        stream = self._streams[key]
        stream.settings = stream.settings.changed(chunk=chunk, look_ahead=look_ahead)

    def push(self, chunks: Mapping[Key, Chunk]) -> dict[Key, list[Chunk]]:
        """Push frames of any streams and return all chunks that could be restored.

        Args:
            chunks: Frames by stream; a new key begins a stream.

        Returns:
            Restored chunks by stream; streams without any are left out.

        Raises:
            ConfigurationError: See ``Restorer.push``; no stream has changed.
        """
        self.add(chunks)
        return self._restore_ready(self.keys)

    def add(self, chunks: Mapping[Key, Chunk]) -> None:
        """Push frames without restoring any yet; errors as for ``push``."""
        streams = {key: self._streams.get(key) or self._new_stream() for key in chunks}
        received = {key: streams[key].receive(chunk) for key, chunk in chunks.items()}
        for key, chunk in received.items():
            streams[key].push(chunk)
        self._streams |= streams

    def end(self, key: Key) -> None:
        """Mark the end of a stream, so that its last frames can be restored."""
        self._streams[key].end()

    def pass_through(self, key: Key, chunk: Chunk) -> list[Chunk]:
        """Push frames of one stream and enlarge all waiting ones; errors as for ``push``."""
        self.add({key: chunk})
        return self._streams[key].pass_through()

    def is_ready(self, key: Key) -> bool:
        """Whether a stream has all frames of its next step."""
        return self._streams[key].next_step() is not None

    def step(self, keys: Iterable[Key] | None = None) -> dict[Key, list[Chunk]]:
        """Take one step of every stream that is ready.

        Args:
            keys: Streams to step; None for all.

        Returns:
            As ``push``.

        Raises:
            Exception: A stream's own error, once all others have been stepped; ``try_step`` returns
                their results.
        """
        restored: dict[Key, list[Chunk]] = {}
        for key, outcome in self.try_step(keys).items():
            if isinstance(outcome, Exception):
                raise outcome
            restored[key] = [outcome]
        return restored

    def try_step(self, keys: Iterable[Key] | None = None) -> dict[Key, Outcome]:
        """Take one step of every stream that is ready; the error of one does not affect the others.

        Args:
            keys: Streams to step; None for all.

        Returns:
            A restored chunk or an error by stream; those that were not ready are left out.
        """
        streams = ((key, self._streams[key]) for key in (self.keys if keys is None else keys))
        return dict(self._steps.step(streams))

    def drain(self, key: Key) -> list[Chunk]:
        """Restore a stream's waiting frames and remove the stream."""
        self.end(key)
        restored = self._restore_ready([key]).get(key, [])
        self.discard(key)
        return restored

    def discard(self, key: Key) -> None:
        """Remove a stream and its waiting frames."""
        del self._streams[key]

    def _restore_ready(self, keys: Sequence[Key]) -> dict[Key, list[Chunk]]:
        restored: dict[Key, list[Chunk]] = {}
        while stepped := self.step(keys):
            for key, chunks in stepped.items():
                restored.setdefault(key, []).extend(chunks)
        return restored

    def _new_stream(self) -> Stream:
        return Stream(self.network.facts, self.settings, self.device)
