"""One network shared by several streams, each in its own thread.

A thread whose stream is ready requests a step. The first one that finds the network free takes
the steps of all requests, jointly where they are alike; the others wait. Meanwhile
the next requests collect.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any

import torch

from vsr.engine.batch import BatchRestorer
from vsr.engine.cpu_threads import all_cores
from vsr.engine.settings import Settings
from vsr.engine.stream import Counts
from vsr.models.network import Network
from vsr.types import Chunk


class SharedNetwork:
    """Gives several threads access to one ``BatchRestorer``.

    Args:
        batch: Restorer that is used only through this object.
    """

    def __init__(self, batch: BatchRestorer) -> None:
        self.batch = batch
        self._changed = threading.Condition()
        self._asking: set[Hashable] = set()
        self._done: dict[Hashable, Chunk | BaseException | None] = {}
        self._busy = False

    def step(self, key: Hashable) -> list[Chunk]:
        """Take one step of a stream that is ready, jointly with other requests."""
        with self._changed:
            self._asking.add(key)
            self._changed.wait_for(lambda: key in self._done or not self._busy)
            if key in self._done:
                return _result(self._done.pop(key))
            keys = list(self._asking)
            self._asking.clear()
            self._busy = True
        outcomes = self._step_all(keys)
        with self._changed:
            self._busy = False
            self._done |= outcomes
            self._changed.notify_all()
            return _result(self._done.pop(key))

    def _step_all(self, keys: list[Hashable]) -> dict[Hashable, Chunk | BaseException | None]:
        try:
            with all_cores():
                stepped = self.batch.try_step(keys)
        except BaseException as error:  # every thread that waits has to get it
            return dict.fromkeys(keys, error)
        return {key: stepped.get(key) for key in keys}


class NetworkShare:
    """One stream's access to a shared network, with the interface of ``Restorer``.

    Args:
        shared: The network.
        key: Key of the stream.
    """

    def __init__(self, shared: SharedNetwork, key: Hashable) -> None:
        self._shared, self._batch, self._key = shared, shared.batch, key
        self._settings = shared.batch.settings
        self._past = Counts()

    @property
    def network(self) -> Network[Any]:
        """The network on its device."""
        return self._batch.network

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self._batch.device

    @property
    def settings(self) -> Settings:
        """Sizes of the next step."""
        return self._batch.settings_of(self._key) if self._has_begun else self._settings

    @property
    def counts(self) -> Counts:
        """Counts so far."""
        now = self._batch.counts_of(self._key) if self._has_begun else Counts()
        return self._past + now

    @property
    def num_waiting(self) -> int:
        """Frames that entered and have not left."""
        return self._batch.num_waiting(self._key) if self._has_begun else 0

    def change(self, *, chunk: int | None = None, look_ahead: int | None = None) -> None:
        """As in ``Restorer``."""
        old = self.settings
        self._settings = Settings(
            chunk=old.chunk if chunk is None else chunk,
            look_ahead=old.look_ahead if look_ahead is None else look_ahead,
            tiles=old.tiles,
        )
        self._apply()

    def push(self, chunk: Chunk) -> list[Chunk]:
        """As in ``Restorer``; waits for the network."""
        self._add(chunk)
        return self._restore_ready()

    def pass_through(self, chunk: Chunk) -> list[Chunk]:
        """As in ``Restorer``."""
        begun = self._has_begun
        left = self._batch.pass_through(self._key, chunk)
        if not begun:
            self._apply()
        return left

    def drain(self) -> list[Chunk]:
        """As in ``Restorer``."""
        if not self._has_begun:
            return []
        self._settings = self.settings
        self._batch.end(self._key)
        left = self._restore_ready()
        self._past += self._batch.counts_of(self._key)
        self._batch.discard(self._key)
        return left

    def discard(self) -> None:
        """Remove the stream and its waiting frames, if it has begun."""
        if self._has_begun:
            self._batch.discard(self._key)

    @property
    def _has_begun(self) -> bool:
        return self._key in self._batch.keys

    def _add(self, chunk: Chunk) -> None:
        begun = self._has_begun
        self._batch.add({self._key: chunk})
        if not begun:
            self._apply()

    def _apply(self) -> None:
        if self._has_begun:
            wanted = self._settings
            ahead = "full" if wanted.look_ahead is None else wanted.look_ahead
            self._batch.change(self._key, chunk=wanted.chunk, look_ahead=ahead)

    def _restore_ready(self) -> list[Chunk]:
        left: list[Chunk] = []
        while self._batch.is_ready(self._key):
            left += self._shared.step(self._key)
        return left


def _result(outcome: Chunk | BaseException | None) -> list[Chunk]:
    if isinstance(outcome, BaseException):
        raise outcome
    return [] if outcome is None else [outcome]
