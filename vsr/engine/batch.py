"""Several streams through one network, their steps taken together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vsr.engine.joint_steps import JointSteps, Key, Size
from vsr.engine.settings import Settings, settings_for
from vsr.engine.stream import Counts, Stream
from vsr.errors import ConfigurationError
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.types import Chunk


class BatchRestorer:
    """Restores many streams with one network. Not thread-safe.

    A stream begins with the first chunk pushed under its key and ends with its ``drain``; a key
    under which there is none is a ``KeyError``. Results are those of a ``Restorer`` but for the
    rounding of convolutions, which sum in another order over several streams: to 1e-5 in float32,
    in bfloat16 at places by a step of 8 bits.

    Where memory runs out, fewer streams are stepped together, then steps become smaller; streams
    of frames of that size, those that begin later too, go on with what was left. ``change`` can
    raise the settings of one of them again.

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
        self._steps = JointSteps(self.network, self.settings, largest)
        self._streams: dict[Key, Stream] = {}

    @property
    def keys(self) -> tuple[Key, ...]:
        """Streams that have begun and not been drained."""
        return tuple(self._streams)

    def settings_of(self, key: Key) -> Settings:
        """Sizes of a stream's next step."""
        return self._streams[key].settings

    def settings_at(self, size: Size) -> Settings:
        """Sizes of the first step of a stream of such frames that begins now."""
        return self._steps.settings_at(size)

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
            ConfigurationError: As of ``Restorer.push``; nothing of any stream was taken.
        """
        self.add(chunks)
        return self._restore_ready(self.keys)

    def add(self, chunks: Mapping[Key, Chunk]) -> None:
        """Take frames and restore none yet; errors as of ``push``."""
        streams = {key: self._streams.get(key) or self._new_stream() for key in chunks}
        received = {key: streams[key].receive(chunk) for key, chunk in chunks.items()}
        for key, chunk in received.items():
            streams[key].push(chunk)
        self._streams |= streams

    def end(self, key: Key) -> None:
        """Say that a stream gets no more frames; its last ones can be restored then."""
        self._streams[key].end()

    def pass_through(self, key: Key, chunk: Chunk) -> list[Chunk]:
        """Take frames of one stream and enlarge all that wait; errors as of ``push``."""
        self.add({key: chunk})
        return self._streams[key].pass_through()

    def is_ready(self, key: Key) -> bool:
        """Whether a step of a stream can be taken."""
        return self._streams[key].next_step() is not None

    def step(self, keys: Iterable[Key] | None = None) -> dict[Key, list[Chunk]]:
        """Take one step of every stream that can take one.

        Args:
            keys: Streams to step; None for all.

        Returns:
            As ``push``.
        """
        streams = ((key, self._streams[key]) for key in (self.keys if keys is None else keys))
        return {key: [chunk] for key, chunk in self._steps.step(streams)}

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

    def _new_stream(self) -> Stream:
        return Stream(self.network.facts, self.settings, self.device)
