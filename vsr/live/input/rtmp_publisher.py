"""One client of ``--listen rtmp://…``: handshake, commands, and what it publishes as FLV."""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import SplitResult

from vsr.errors import ConfigurationError, DecodeError
from vsr.live.input import amf
from vsr.live.input.rtmp_messages import (
    ACKNOWLEDGEMENT,
    AGGREGATE,
    AUDIO,
    COMMAND,
    DATA,
    PEER_BANDWIDTH,
    VIDEO,
    WINDOW_SIZE,
    Message,
    MessageReader,
    chunks,
    set_chunk_size,
)

FLV_HEADER = b"FLV\1\0\0\0\0\t" + bytes(4)

_HANDSHAKE_BYTES = 1536
_VERSION = 3
_WINDOW_BYTES = 2_500_000

MOST_COMMAND_BYTES = 64 * 1024
MOST_MEDIA_BYTES = 16 * 2**20 - 1
"""Longest messages, before and after a publisher is admitted."""

_STREAM = 1


class Refused(DecodeError):
    """A client that may not publish here."""


class RTMPPublisher:
    """The server's side of a connection. Used by one thread.

    Args:
        read: Returns exactly as many bytes as asked for, in time.
        write: Sends bytes.
        path: Application and key that it has to name, joined by a slash.
    """

    def __init__(
        self, read: Callable[[int], bytes], write: Callable[[bytes], None], path: str
    ) -> None:
        self._read, self._write, self._path = read, write, path
        self._messages = MessageReader(read, most_bytes=MOST_COMMAND_BYTES)
        self._acknowledged = 0
        self._application = ""

    def shake_hands(self) -> None:
        """Exchange versions and random bytes.

        Raises:
            Refused: It speaks something else, or encrypts.
        """
        if self._read(1)[0] != _VERSION:
            raise Refused("does not speak RTMP")
        theirs = self._read(_HANDSHAKE_BYTES)
        self._write(bytes([_VERSION]) + bytes(8) + os.urandom(_HANDSHAKE_BYTES - 8) + theirs)
        self._read(_HANDSHAKE_BYTES)

    def admit(self) -> None:
        """Answer commands until it asks to publish at the right place.

        Raises:
            Refused: It names another application or key, or wants to play.
            DecodeError: The client's messages make no sense.
        """
        while True:
            message = self._messages.next()
            if message.kind == COMMAND and self._obey(amf.decode(message.body)):
                self._messages.most_bytes = MOST_MEDIA_BYTES
                return

    def refuse(self, why: str) -> None:
        """Tell an admitted client that another publisher is there."""
        self._status("error", "NetStream.Publish.BadName", why)

    def accept(self) -> None:
        """Tell an admitted client to begin."""
        self._status("status", "NetStream.Publish.Start", "publishing")

    def tags(self) -> Iterator[bytes]:
        """Yield FLV tags, as they come, until it stops publishing."""
        while True:
            message = self._messages.next()
            self._acknowledge()
            if message.kind in {AUDIO, VIDEO}:
                yield _tag(message.kind, message.time_ms, message.body)
            elif message.kind == DATA:
                yield _tag(DATA, message.time_ms, _metadata(message.body))
            elif message.kind == AGGREGATE:
                yield from _aggregated(message)
            elif message.kind == COMMAND and _ends(amf.decode(message.body)):
                return

    def _obey(self, values: list[Any]) -> bool:
        """Answer a command; whether it was the one to publish here."""
        name, number, *arguments = [*values, None, None]
        if not isinstance(number, float | None):
            raise DecodeError("the transaction number of a command is no number")
        match name:
            case "connect":
                self._connect(number, arguments[0])
            case "createStream":
                self._command("_result", number, None, _STREAM)
            case "publish":
                return self._publish(arguments)
            case "play":
                raise Refused("wants to play, but only publishers are accepted")
            case "releaseStream" | "FCPublish":
                self._command("_result", number, None, None)
        return False

    def _connect(self, number: Any, arguments: Any) -> None:
        named = arguments.get("app") if isinstance(arguments, dict) else None
        self._application = str(named or "").partition("?")[0].strip("/")
        if not f"{self._path}/".startswith(f"{self._application}/"):
            self._command("_error", number, None, _status("error", _REJECTED))
            raise Refused("names another application")
        window = _WINDOW_BYTES.to_bytes(4, "big")
        self._write(chunks(Message(kind=WINDOW_SIZE, body=window), 2))
        self._write(chunks(Message(kind=PEER_BANDWIDTH, body=window + b"\2"), 2))
        self._write(set_chunk_size())
        properties = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31}
        self._command("_result", number, properties, _status("status", _CONNECTED))

    def _publish(self, arguments: list[Any]) -> bool:
        key = next((one for one in arguments if isinstance(one, str)), "")
        # What follows a question mark is for servers that look names up.
        named = f"{self._application}/{key.partition('?')[0].strip('/')}"
        if not hmac.compare_digest(named.encode(), self._path.encode()):
            self._status("error", "NetStream.Publish.BadName", "no such stream")
            raise Refused("names another stream key")
        return True

    def _status(self, level: str, code: str, description: str) -> None:
        self._command("onStatus", 0, None, _status(level, code, description), stream=_STREAM)

    def _command(self, *values: Any, stream: int = 0) -> None:
        self._write(chunks(Message(kind=COMMAND, stream=stream, body=amf.encode(*values))))

    def _acknowledge(self) -> None:
        received = self._messages.num_bytes
        if received - self._acknowledged >= _WINDOW_BYTES // 2:
            self._acknowledged = received
            body = (received & 0xFFFFFFFF).to_bytes(4, "big")
            self._write(chunks(Message(kind=ACKNOWLEDGEMENT, body=body), 2))


_CONNECTED = "NetConnection.Connect.Success"
_REJECTED = "NetConnection.Connect.Rejected"


def published_path(address: str, parts: SplitResult) -> str:
    """Application and key that publishers have to name, joined by a slash.

    Args:
        address: The address without secrets, for messages.
        parts: The parsed address.

    Raises:
        ConfigurationError: There is no key in its path.
    """
    application, _, key = parts.path.strip("/").rpartition("/")
    if not application or not key or parts.query:
        raise ConfigurationError(
            f"--listen at {address} has no key that publishers are known by; "
            "give rtmp://host:port/APPLICATION/KEY, with a key that is hard to guess"
        )
    return parts.path.strip("/")


def _status(level: str, code: str, description: str = "") -> dict[str, str]:
    return {"level": level, "code": code, "description": description or code}


def _ends(values: list[Any]) -> bool:
    return values[:1] in (["deleteStream"], ["FCUnpublish"], ["closeStream"])


def _tag(kind: int, time_ms: int, body: bytes) -> bytes:
    time = (time_ms & 0xFFFFFF).to_bytes(3, "big") + bytes([time_ms >> 24 & 0xFF])
    head = bytes([kind]) + len(body).to_bytes(3, "big") + time + bytes(3)
    return head + body + struct.pack(">I", len(head) + len(body))


def _metadata(body: bytes) -> bytes:
    """A message about the stream as files hold it: without the name of the command in front."""
    return body.removeprefix(amf.encode("@setDataFrame"))


def _aggregated(message: Message) -> Iterator[bytes]:
    """The tags in an aggregate message, whose times are relative to the first's."""
    place, first_ms = 0, None
    while place + 15 <= len(message.body):
        head = message.body[place : place + 11]
        length = int.from_bytes(head[1:4], "big")
        time_ms = int.from_bytes(head[4:7], "big") | head[7] << 24
        first_ms = time_ms if first_ms is None else first_ms
        body = message.body[place + 11 : place + 11 + length]
        if head[0] in {AUDIO, VIDEO} and len(body) == length:
            yield _tag(head[0], (message.time_ms + time_ms - first_ms) & 0xFFFFFFFF, body)
        place += 15 + length
