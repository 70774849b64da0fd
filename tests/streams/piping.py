"""Standard input and output as pipes, in this process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STANDARD_INPUT, STANDARD_OUTPUT = 0, 1

SYNC_POINT = bytes.fromhex("4e4be4adeeca4569")
"""What NUT has where reading can begin; a reader keeps each in memory until the stream ends."""


@contextmanager
def piped_in(data: bytes) -> Iterator[str]:
    """Bytes that come through standard input; gives the name by which it is opened."""
    out, into = os.pipe()
    kept = os.dup(STANDARD_INPUT)
    os.dup2(out, STANDARD_INPUT)
    os.close(out)
    feeder = threading.Thread(target=_feed, args=(into, data))
    feeder.start()
    try:
        yield "-"
    finally:
        os.dup2(kept, STANDARD_INPUT)
        os.close(kept)
        feeder.join()


def _feed(into: int, data: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(into, "wb") as file:
        file.write(data)


@contextmanager
def piped_out() -> Iterator[bytearray]:
    """Collects what goes to standard output; complete once the context is left."""
    out, into = os.pipe()
    kept = os.dup(STANDARD_OUTPUT)
    os.dup2(into, STANDARD_OUTPUT)
    os.close(into)
    taken = bytearray()
    taker = threading.Thread(target=_take, args=(out, taken))
    taker.start()
    try:
        yield taken
    finally:
        os.dup2(kept, STANDARD_OUTPUT)
        os.close(kept)
        taker.join()


def _take(out: int, taken: bytearray) -> None:
    with os.fdopen(out, "rb") as file:
        while part := file.read1(1 << 16):
            taken += part
