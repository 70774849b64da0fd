"""A bounded queue between two stages that passes the end and errors both ways."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

LOOK_EVERY_S = 0.1
"""Interval at which a wait for the next item checks for a stop."""


class StageQueue(Generic[Item]):
    """One thread puts, another iterates. Either may close it; waiting items are still delivered.

    Args:
        size: Maximum number of waiting items; ``put`` blocks at the limit.
        stop: Once set, iteration ends, even if no item arrives.
    """

    def __init__(self, size: int, *, stop: threading.Event | None = None) -> None:
        self._items: deque[Item] = deque()
        self._size, self._stop = size, stop or threading.Event()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> bool:
        """Append an item; blocks until there is room.

        Returns:
            False if the queue was closed in the meantime and the item was dropped.

        Raises:
            BaseException: The error that the queue was closed with.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            self.raise_error()
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def close(self, error: BaseException | None = None) -> None:
        """Close the queue; an error is raised on both sides. Only the first call counts."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                while not (self._closed or self._items or self._stop.is_set()):
                    self._changed.wait(LOOK_EVERY_S)
                if self._stop.is_set():
                    return
                if not self._items:
                    self.raise_error()
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
            del item  # not to keep it alive while waiting for the next

    def raise_error(self) -> None:
        """Raise the error that the queue was closed with, if any."""
        if self._error is not None:
            raise self._error
