"""AMF0, the values in RTMP's commands (Action Message Format, version 0)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from vsr.errors import DecodeError

NUMBER, BOOLEAN, STRING, OBJECT, NULL, UNDEFINED = 0, 1, 2, 3, 5, 6
ECMA_ARRAY, OBJECT_END, STRICT_ARRAY, DATE, LONG_STRING = 8, 9, 10, 11, 12

MOST_DEPTH = 8
MOST_VALUES = 256
"""Bounds of what a command may hold."""


def encode(*values: Any) -> bytes:
    """Numbers, booleans, texts, None and dictionaries, one after the other."""
    return b"".join(_encode(value) for value in values)


def decode(data: bytes) -> list[Any]:
    """The values in a message.

    Raises:
        DecodeError: It is cut off, or nested or long beyond bounds.
    """
    reader = _Reader(data)
    values: list[Any] = []
    while not reader.is_at_end and len(values) < MOST_VALUES:
        values.append(reader.value(0))
    return values


def _encode(value: Any) -> bytes:
    if value is None:
        return bytes([NULL])
    if isinstance(value, bool):
        return bytes([BOOLEAN, value])
    if isinstance(value, str):
        return bytes([STRING]) + _name(value)
    if isinstance(value, dict):
        pairs = b"".join(_name(key) + _encode(one) for key, one in value.items())
        return bytes([OBJECT]) + pairs + _name("") + bytes([OBJECT_END])
    return bytes([NUMBER]) + struct.pack(">d", value)


def _name(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def is_at_end(self) -> bool:
        return self._place >= len(self._data)

    def value(self, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise DecodeError("a command is nested too deeply")
        kind = self._take(1)[0]
        if kind not in _READERS:
            raise DecodeError(f"a command holds a value of the unknown type {kind}")
        return _READERS[kind](self, depth)

    def number(self, _: int) -> float:
        value: float = struct.unpack(">d", self._take(8))[0]
        return value

    def boolean(self, _: int) -> bool:
        return self._take(1)[0] != 0

    def string(self, _: int) -> str:
        return self._text(2)

    def long_string(self, _: int) -> str:
        return self._text(4)

    def null(self, _: int) -> None:
        return None

    def date(self, depth: int) -> float:
        milliseconds = self.number(depth)
        self._take(2)  # a time zone, not used
        return milliseconds

    def ecma_array(self, depth: int) -> dict[str, Any]:
        self._take(4)  # its length, which is a hint
        return self.pairs(depth)

    def array(self, depth: int) -> list[Any]:
        length = int.from_bytes(self._take(4), "big")
        if length > MOST_VALUES:
            raise DecodeError("a command is too long")
        return [self.value(depth + 1) for _ in range(length)]

    def pairs(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while len(found) < MOST_VALUES:
            name = self._text(2)
            if not name and self._data[self._place : self._place + 1] == bytes([OBJECT_END]):
                self._place += 1
                return found
            found[name] = self.value(depth + 1)
        raise DecodeError("a command is too long")

    def _text(self, width: int) -> str:
        length = int.from_bytes(self._take(width), "big")
        return self._take(length).decode("utf-8", "replace")

    def _take(self, length: int) -> bytes:
        taken = self._data[self._place : self._place + length]
        if len(taken) < length:
            raise DecodeError("a command is cut off")
        self._place += length
        return taken


_READERS: dict[int, Callable[[_Reader, int], Any]] = {
    NUMBER: _Reader.number,
    BOOLEAN: _Reader.boolean,
    STRING: _Reader.string,
    OBJECT: _Reader.pairs,
    NULL: _Reader.null,
    UNDEFINED: _Reader.null,
    ECMA_ARRAY: _Reader.ecma_array,
    STRICT_ARRAY: _Reader.array,
    DATE: _Reader.date,
    LONG_STRING: _Reader.long_string,
}
