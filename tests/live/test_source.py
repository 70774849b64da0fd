"""A source that breaks off: what is tried again, and how often."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.live.harness import free_port
from vsr.live.input.kind import relayed
from vsr.live.input.retry import Retry
from vsr.live.input.source import Source, SourceLost
from vsr.streams.ffmpeg.process import find_ffmpeg


def losses(source: Source) -> list[SourceLost]:
    """All of them, up to the last."""
    source.start()
    found: list[SourceLost] = []
    while not found or not found[-1].final:
        event = source.next_event(30)
        assert event is not None
        found += [event] if isinstance(event, SourceLost) else []
    source.close()
    return found


def test_refused_connections_are_retried_as_often_as_allowed() -> None:
    port = free_port()
    found = losses(Source(f"rtmp://127.0.0.1:{port}/app/key", retry=Retry(2)))
    assert [one.final for one in found] == [False, False, True]
    assert f"rtmp://127.0.0.1:{port}/…" in str(found[-1].error)
    assert "key" not in str(found[-1].error)


@contextmanager
def breaking_off(content: bytes) -> Iterator[str]:
    """The address of a server that sends this to whoever comes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # it is closed at the end
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_source_that_breaks_off_as_soon_as_it_is_there_is_not_tried_for_ever(
    clip: Path, tmp_path: Path
) -> None:
    sent = tmp_path / "clip.ts"
    words = ["-loglevel", "error", "-i", str(clip), "-c", "copy", str(sent)]
    subprocess.run([find_ffmpeg(), *words], check=True)
    with breaking_off(sent.read_bytes()) as address:
        source = Source(address, retry=Retry(2))
        assert len(losses(source)) == 3
    assert source.reconnects == 2


@pytest.mark.parametrize(
    ("address", "is_told"),
    [
        ("srt://h:1", True),
        ("srt://h:1?connect_timeout=3000", True),
        ("srt://h:1?passphrase=a_timeout=long_one", True),
        ("srt://h:1?latency=20&timeout=9000000", False),
    ],
)
def test_a_silent_source_ends_unless_the_address_has_a_time_of_its_own(
    address: str, is_told: bool
) -> None:
    told = relayed(address, listen=False)
    assert ("timeout=5000000" in told.removeprefix(address)) == is_told
    assert told.startswith(address)
