"""Waiting for publishers at a TCP port, which are admitted before anything is decoded.

    accepting thread ──► a thread per client ──pipe──► the connection, as a file
    never waits          deadlines, admission          decodes

Silent clients cost a thread and a socket for a few seconds. There is one publisher at a time;
another one is refused, unless the first has fallen silent: its connection is dead then.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import IO
from urllib.parse import urlsplit

from vsr.address import shown
from vsr.errors import OpenError, StreamTimeout, VSRError
from vsr.live.input.rtmp_publisher import FLV_HEADER, Refused, RTMPPublisher, published_path
from vsr.live.monitor.counted_log import CountedLog

log = logging.getLogger(__name__)

PHASE_TIMEOUT_S = 5.0
"""Deadline of each phase: the handshake, the commands until the key is known, a piece of media."""

SILENT_S = 1.0
"""A publisher silent for longer gives way to another with the same key."""

MOST_CLIENTS = 16
"""Clients at a time. One more ends the oldest that has not been admitted."""

_READ_BYTES = 65536


class Client:
    """A connection from outside; its thread reads, ``close`` may come from any.

    Args:
        line: The socket, owned by this object.
        peer: Address of the client, for messages.
    """

    def __init__(self, line: socket.socket, peer: str) -> None:
        self.peer, self.heard_at = peer, time.monotonic()
        self._line, self._buffer, self._place = line, b"", 0
        self._deadline = 0.0
        self.begin_phase()

    def begin_phase(self) -> None:
        """Start the next phase, which may take ``PHASE_TIMEOUT_S``."""
        self._deadline = time.monotonic() + PHASE_TIMEOUT_S

    def read(self, length: int) -> bytes:
        """Read exactly this many bytes.

        Raises:
            StreamTimeout: They did not come within the phase.
            EOFError: It closed the connection.
        """
        while len(self._buffer) - self._place < length:
            self._buffer = self._buffer[self._place :] + self.read_some()
            self._place = 0
        self._place += length
        return self._buffer[self._place - length : self._place]

    def read_some(self) -> bytes:
        """Read the bytes that have come, at least one; raises as ``read`` does."""
        left_s = self._deadline - time.monotonic()
        try:
            if left_s <= 0:
                raise TimeoutError
            self._line.settimeout(left_s)
            data = self._line.recv(_READ_BYTES)
        except TimeoutError as error:
            raise StreamTimeout(f"sent nothing for {PHASE_TIMEOUT_S:g} s") from error
        if not data:
            raise EOFError
        self.heard_at = time.monotonic()
        return data

    def drain(self) -> None:
        """Read what a refused client still sends, until it closes.

        A connection that is closed with bytes unread looks broken to it.
        """
        self.begin_phase()
        while True:
            self.read_some()

    def write(self, data: bytes) -> None:
        """Send all bytes."""
        self._line.settimeout(PHASE_TIMEOUT_S)
        self._line.sendall(data)

    def close(self) -> None:
        """End the connection; its reading thread wakes."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)


class Published:
    """The bytes that one publisher sends, as a file.

    Attributes:
        file: FLV, or for TCP any format.
        file_format: ffmpeg's name of the format; None to detect it.
    """

    def __init__(self, client: Client, file_format: str | None) -> None:
        self.file_format = file_format
        reading, self._writing = os.pipe()
        self.file: IO[bytes] = os.fdopen(reading, "rb", buffering=0)
        self._reason: str | None = None
        self._has_ended = False
        self._client = client

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come for a while."""
        return time.monotonic() - self._client.heard_at > SILENT_S

    def write(self, data: bytes) -> None:
        """Pass bytes on; waits for the reader."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._writing, left) :]

    def end(self, reason: str | None) -> None:
        """End the file; the reader meets its end."""
        self._reason, self._has_ended = reason, True
        os.close(self._writing)

    def reason(self) -> str | None:
        """Why it ended; None before, and where the publisher ended it."""
        return self._reason

    def interrupt(self) -> None:
        """End the client's connection, from any thread."""
        self._client.close()

    def close(self) -> None:
        """End it, from the thread that reads the file."""
        if not self._has_ended:
            self.interrupt()
        self.file.close()


class Listener:
    """Accepts clients at an address from its creation until ``close``.

    Args:
        address: ``rtmp://host:port/application/key`` or ``tcp://host:port``.

    Raises:
        ConfigurationError: An RTMP address without a key.
        OpenError: The port is taken, or the host is not this machine's.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._name, self._is_rtmp = shown(address), parts.scheme.lower() == "rtmp"
        self._path = published_path(self._name, parts) if self._is_rtmp else ""
        self._lock, self._log = threading.Lock(), CountedLog(log)
        self._clients: OrderedDict[Client, None] = OrderedDict()
        self._current: Published | None = None
        self._published: queue.SimpleQueue[Published] = queue.SimpleQueue()
        port = parts.port or (1935 if self._is_rtmp else None)
        if port is None:
            raise OpenError(f"{self._name} has no port to listen at; give tcp://host:port")
        try:
            self._line = _bind(parts.hostname or "", port)
        except OSError as error:
            raise OpenError(
                f"{self._name} cannot be listened at ({error.strerror or error}); "
                "give another port, or an address of this machine"
            ) from error
        thread = threading.Thread(target=self._accept_all, name="vsr-live-listen", daemon=True)
        thread.start()

    def next_publisher(self, timeout_s: float) -> Published | None:
        """The next publisher that was admitted; None where none came in time."""
        with suppress(queue.Empty):
            return self._published.get(timeout=timeout_s)
        return None

    def close(self) -> None:
        """Stop accepting clients, and end the connections there are."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.close()
        while (unread := self.next_publisher(0)) is not None:
            unread.close()

    def _accept_all(self) -> None:
        while True:
            try:
                line, peer = self._line.accept()
            except OSError:
                if self._line.fileno() < 0:
                    return
                time.sleep(SILENT_S)  # out of files, which may pass
                continue
            client = Client(line, str(peer[0]))
            self._make_room(client)
            threading.Thread(
                target=self._serve, args=(client, line), name="vsr-live-client", daemon=True
            ).start()

    def _make_room(self, client: Client) -> None:
        with self._lock:
            if len(self._clients) >= MOST_CLIENTS:
                self._clients.popitem(last=False)[0].close()
            self._clients[client] = None

    def _serve(self, client: Client, line: socket.socket) -> None:
        try:
            with line:
                self._publish_rtmp(client) if self._is_rtmp else self._publish_bytes(client)
        except Refused as error:
            refusal = f"{self._name}: a client at {client.peer} {error}; refused"
            self._log.warning(str(error), refusal)
        except (VSRError, EOFError, OSError) as error:
            log.info("%s: a client at %s is gone (%s)", self._name, client.peer, error)
        finally:
            with self._lock:
                self._clients.pop(client, None)

    def _publish_rtmp(self, client: Client) -> None:
        publisher = RTMPPublisher(client.read, client.write, self._path)
        publisher.shake_hands()
        client.begin_phase()
        publisher.admit()
        published = self._take_place(client)
        if published is None:
            publisher.refuse("another publisher is there")
            raise Refused("has the key, but another publisher is there")
        self._hand_on(client, published, _flv(publisher))
        client.drain()

    def _publish_bytes(self, client: Client) -> None:
        first = client.read_some()
        published = self._take_place(client)
        if published is None:
            raise Refused("came while another publisher is there")
        self._hand_on(client, published, chain([first], iter(client.read_some, None)))

    def _hand_on(self, client: Client, published: Published, pieces: Iterable[bytes]) -> None:
        """Write the published bytes until they end, for whatever reason."""
        reason: str | None = None
        try:
            client.begin_phase()
            for piece in pieces:
                published.write(piece)
                client.begin_phase()
        except EOFError:
            pass
        except (VSRError, OSError) as error:
            reason = str(error)
        finally:
            with self._lock:
                self._current = None if self._current is published else self._current
            published.end(reason)

    def _take_place(self, client: Client) -> Published | None:
        """Become the publisher; None where another one is there and alive."""
        with self._lock:
            before = self._current
            if before is not None and not before.is_silent:
                return None
            self._clients.pop(client, None)  # it is not in the way of others any more
            self._current = published = Published(client, "flv" if self._is_rtmp else None)
        if before is not None:
            before.interrupt()
        self._published.put(published)
        return published


def _flv(publisher: RTMPPublisher) -> Iterator[bytes]:
    """What an admitted publisher sends once it is told to begin."""
    publisher.accept()
    yield FLV_HEADER
    yield from publisher.tags()


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket; an empty host means all addresses."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.bind((host, port))
        line.listen(MOST_CLIENTS)
    except OSError:
        line.close()
        raise
    return line
