"""A source that breaks off: what is tried again, and how often."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vsr.errors import VSRError
from vsr.live.input.connection import Connection, FormatChange
from vsr.live.input.retry import Retry
from vsr.live.input.source import Source, SourceLost

ADDRESS = "rtmp://127.0.0.1/app/key"


def losses(source: Source) -> list[SourceLost]:
    """All of them, up to the last."""
    source.start()
    found: list[SourceLost] = []
    while not found or not found[-1].final:
        event = source.next_event(5)
        assert event is not None
        found += [event] if isinstance(event, SourceLost) else []
    source.close()
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.live.input.retry.FIRST_DELAY_S", 0.001)


@pytest.mark.usefixtures("quick")
def test_what_the_machine_refuses_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("vsr.live.input.source.Connection", refused)
    found = losses(Source(ADDRESS, retry=Retry(3)))
    assert [one.final for one in found] == [False, False, False, True]
    assert str(found[-1].error) == "rtmp://127.0.0.1/… broke off (Too many open files)"


def test_what_others_say_of_a_failure_has_no_secret_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired(["ffmpeg", "-i", ADDRESS], 5)

    monkeypatch.setattr("vsr.live.input.source.Connection", refused)
    said = str(losses(Source(ADDRESS, retry=Retry(0)))[-1].error)
    assert "timed out" in said
    assert "key" not in said


@pytest.mark.usefixtures("quick")
def test_a_source_that_breaks_off_as_soon_as_it_is_there_is_not_tried_for_ever(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking(Connection):
        """A connection that gives a frame, and no more."""

        def __init__(self, _: str, **options: Any) -> None:
            super().__init__(str(clip), **options)

        def arrivals(self) -> Iterator[Any]:
            for event in super().arrivals():
                yield event
                if not isinstance(event, FormatChange):
                    raise VSRError("kicked")

    monkeypatch.setattr("vsr.live.input.source.Connection", Breaking)
    source = Source(ADDRESS, retry=Retry(3))
    assert len(losses(source)) == 4
    assert source.reconnects == 3
