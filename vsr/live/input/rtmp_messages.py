"""RTMP's chunk stream: messages cut into chunks, of several streams in turn.

Adobe's RTMP specification 1.0, section 5.3. A chunk begins with one to three bytes that name its
chunk stream, then a header of 11, 7, 3 or 0 bytes: omitted fields are as in the stream's last one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from vsr.errors import DecodeError

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, WINDOW_SIZE, PEER_BANDWIDTH = 1, 2, 3, 5, 6
AUDIO, VIDEO, DATA, COMMAND, AGGREGATE = 8, 9, 18, 20, 22

_FIRST_CHUNK_SIZE = 128
_SENT_CHUNK_SIZE = 65536
_EXTENDED = 0xFFFFFF
_MOST_STREAMS = 32
"""Chunk streams at a time; publishers use three to five."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One RTMP message.

    Attributes:
        kind: Message type, such as ``VIDEO``.
        time_ms: Timestamp in milliseconds, 32 bits.
        stream: Number of the message stream.
        body: Bytes of the message.
    """

    kind: int
    time_ms: int = 0
    stream: int = 0
    body: bytes


@dataclass
class _ChunkStream:
    time_ms: int = 0
    delta_ms: int = 0
    length: int = 0
    kind: int = 0
    stream: int = 0
    is_extended: bool = False
    body: bytearray = field(default_factory=bytearray)


class MessageReader:
    """Puts messages together. Used by one thread.

    Args:
        read: Returns exactly as many bytes as asked for.

    Attributes:
        most_bytes: Longest message that is accepted.
        num_bytes: Bytes read so far.
    """

    def __init__(self, read: Callable[[int], bytes], *, most_bytes: int) -> None:
        self.most_bytes, self.num_bytes = most_bytes, 0
        self._read_exactly = read
        self._chunk_size = _FIRST_CHUNK_SIZE
        self._streams: dict[int, _ChunkStream] = {}

    def next(self) -> Message:
        """The next message other than those about the chunk stream itself.

        Raises:
            DecodeError: It is longer than accepted, or the chunks make no sense.
        """
        while True:
            message = self._chunk()
            if message is None:
                continue
            if message.kind == SET_CHUNK_SIZE:
                self._chunk_size = max(1, int.from_bytes(message.body[:4], "big") & 0x7FFFFFFF)
            elif message.kind == ABORT:
                self._streams.pop(int.from_bytes(message.body[:4], "big"), None)
            else:
                return message

    def _chunk(self) -> Message | None:
        form, stream = self._basic_header()
        self._header(form, stream)
        left = stream.length - len(stream.body)
        stream.body += self._read(min(left, self._chunk_size))
        if len(stream.body) < stream.length:
            return None
        body, stream.body = bytes(stream.body), bytearray()
        return Message(kind=stream.kind, time_ms=stream.time_ms, stream=stream.stream, body=body)

    def _basic_header(self) -> tuple[int, _ChunkStream]:
        first = self._read(1)[0]
        form, name = first >> 6, first & 63
        if name < 2:
            name = 64 + int.from_bytes(self._read(name + 1), "little")
        if name not in self._streams and (form or len(self._streams) >= _MOST_STREAMS):
            raise DecodeError("the chunks of its messages make no sense")
        return form, self._streams.setdefault(name, _ChunkStream())

    def _header(self, form: int, stream: _ChunkStream) -> None:
        begins = not stream.body
        if form < 3:
            fields = self._read((11, 7, 3)[form])
            time_ms = int.from_bytes(fields[:3], "big")
            stream.is_extended = time_ms == _EXTENDED
            if form < 2:
                stream.length, stream.kind = int.from_bytes(fields[3:6], "big"), fields[6]
            if form == 0:
                stream.stream = int.from_bytes(fields[7:11], "little")
            if not begins:
                raise DecodeError("a message begins before the last one of its stream has ended")
        if stream.length > self.most_bytes:
            raise DecodeError(f"a message is {stream.length} bytes long")
        if stream.is_extended:
            extended = int.from_bytes(self._read(4), "big")
        if form < 3:
            stream.delta_ms = extended if stream.is_extended else time_ms
        if begins:
            before = 0 if form == 0 else stream.time_ms
            stream.time_ms = (before + stream.delta_ms) & 0xFFFFFFFF

    def _read(self, length: int) -> bytes:
        self.num_bytes += length
        return self._read_exactly(length)


def chunks(message: Message, chunk_stream: int = 3) -> bytes:
    """A message as one chunk, for a peer that has been told that chunk size."""
    head = bytes([chunk_stream]) + message.time_ms.to_bytes(3, "big")
    head += len(message.body).to_bytes(3, "big") + bytes([message.kind])
    return head + struct.pack("<I", message.stream) + message.body


def set_chunk_size() -> bytes:
    """Tell a peer that chunks are as long as ``chunks`` makes them."""
    return chunks(Message(kind=SET_CHUNK_SIZE, body=_SENT_CHUNK_SIZE.to_bytes(4, "big")), 2)
