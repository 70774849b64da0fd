"""Messages within coded pictures, carried from a source's packets into the encoded ones.

Closed captions (ATSC A/53), HDR10+ and active format descriptions are registered user data (ITU-T
T.35). H.264 (ITU-T H.264, D.1.6) and HEVC (H.265, D.2.6) hold them in SEI messages of type 4,
MPEG-2 (A/53 part 4, 6.2.3) in user data that has the same content after a different header. They
are copied byte for byte into the packet of the frame that has the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

from av import Packet
from av.video.stream import VideoStream

from vsr.streams.names.container import local_name, open_input

REGISTERED = 4
"""Type of an SEI message: user data registered by ITU-T T.35."""

_ATSC = bytes.fromhex("b50031")
"""Prefix of T.35 before the user data of ATSC: the United States, and its provider code."""

_MPEG2_KINDS = (b"GA94", b"DTG1")
_MPEG2_USER_DATA = b"\0\0\1\xb2"
_START_CODE = b"\0\0\1"

_SEI_TYPES = {"h264": frozenset({6}), "hevc": frozenset({39})}
_SEI_HEADERS = {"h264": b"\x06", "hevc": b"\x4e\x01"}
_SLICES = {"h264": frozenset(range(1, 6)), "hevc": frozenset(range(32))}
_TRAILING = b"\x80"

_OF_ATSC = frozenset({"A53_CC", "AFD"})
CARRIERS = {
    "h264": _OF_ATSC,
    "hevc": _OF_ATSC | {"DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID"},
}
"""Codecs, by ffmpeg's names, whose packets can take messages, and what those hold, by PyAV's names
of a decoded frame's data: of H.264 no decoder reads HDR10+."""

SOURCES = frozenset({*CARRIERS, "mpeg2video"})
"""Codecs whose packets messages are taken from."""

MESSAGE_KINDS = frozenset[str]().union(*CARRIERS.values())
"""Kinds of data that messages can hold."""

AHEAD_S = Fraction(10)
"""Distance by which a frame's packet may lie later in a source, by the times of decoding."""


class Bitstream:
    """The packets of a stream of H.264 or HEVC, as NAL units.

    Args:
        codec: One of ``CARRIERS``.
        extradata: Extradata of the stream. Where it begins with 1, units have their size before
            them, else start codes.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._size_bytes = 0
        if extradata and extradata[0] == 1:
            place = 4 if codec == "h264" else 21
            self._size_bytes = (extradata[place] & 3) + 1 if len(extradata) > place else 4

    def messages(self, packet: bytes) -> list[bytes]:
        """The registered messages of a packet, without their type and size."""
        found: list[bytes] = []
        for start, end in self._units(packet):
            if self._type(packet, start) in _SEI_TYPES[self._codec]:
                header = len(_SEI_HEADERS[self._codec])
                found += _registered(_unescaped(packet[start + header : end]))
        return found

    def insert(self, packet: bytes, messages: list[bytes]) -> bytes:
        """A packet with messages before its first slice; as it is where it has none."""
        units = self._units(packet)
        slices = (s for s, _ in units if self._type(packet, s) in _SLICES[self._codec])
        first = next(slices, None)
        if self._codec == "h264":
            messages = [message for message in messages if message.startswith(_ATSC)]
        if first is None or not messages:
            return packet
        place = first - (self._size_bytes or _code_length(packet, first))
        added = b"".join(map(self._unit, messages))
        return packet[:place] + added + packet[place:]

    def _unit(self, message: bytes) -> bytes:
        size = bytes([255] * (len(message) // 255) + [len(message) % 255])
        content = _escaped(bytes([REGISTERED]) + size + message + _TRAILING)
        unit = _SEI_HEADERS[self._codec] + content
        begin = len(unit).to_bytes(self._size_bytes, "big") if self._size_bytes else b"\0\0\0\1"
        return begin + unit

    def _type(self, packet: bytes, start: int) -> int:
        return packet[start] & 31 if self._codec == "h264" else packet[start] >> 1 & 63

    def _units(self, packet: bytes) -> list[tuple[int, int]]:
        """Begin and end of each unit, its header included."""
        if not self._size_bytes:
            return _between_start_codes(packet)
        units, place = [], 0
        while place + self._size_bytes < len(packet):
            start = place + self._size_bytes
            place = start + int.from_bytes(packet[place:start], "big")
            if place > start:
                units.append((start, min(place, len(packet))))
        return units


class MessageFeed:
    """The messages of a source, by the times of its frames.

    Args:
        source: A file.
        index: Index of the video stream.
        tolerance_s: How far apart the times of a frame and of its packet may lie.

    Attributes:
        unplaced: Frames from the first taken time to the last whose messages found no frame of
            the same time; all of them are counted once it is closed.

    Raises:
        FFmpegError, OSError, ValueError, IndexError: Raised by PyAV.
    """

    def __init__(self, source: str, index: int, tolerance_s: Fraction) -> None:
        self._container = open_input(local_name(source))
        video = self._container.streams[index]
        assert isinstance(video, VideoStream)
        self._tolerance_s = tolerance_s
        self._coming = _messages_of(self._container.demux(video), video)
        self._waiting: deque[tuple[Fraction, list[bytes]]] = deque()
        self._read_to: Fraction | None = Fraction(0)
        self._first: Fraction | None = None
        self._last = Fraction(0)
        self.unplaced = 0

    def take(self, time_s: Fraction) -> list[bytes]:
        """The messages of the frame at a time; times may come in the order of decoding."""
        self._first = time_s - self._tolerance_s if self._first is None else self._first
        self._last = max(self._last, time_s)
        self._read_until(time_s + AHEAD_S)
        for entry in self._waiting:
            if abs(entry[0] - time_s) <= self._tolerance_s:
                self._waiting.remove(entry)
                return entry[1]
        return []

    def close(self) -> None:
        """Close the source; messages of times before the last frame have found no place."""
        self._container.close()
        self.unplaced += sum(time_s <= self._last for time_s, _ in self._waiting)
        self._waiting.clear()

    def _read_until(self, time_s: Fraction) -> None:
        while self._read_to is not None and self._read_to < time_s:
            self._read_to, time, messages = next(self._coming, (None, Fraction(0), []))
            if messages and (self._first is None or time >= self._first):
                self._waiting.append((time, messages))
        while self._waiting and self._waiting[0][0] < time_s - 2 * AHEAD_S:
            self._waiting.popleft()
            self.unplaced += 1


def carrier_of(encoder: str) -> str | None:
    """Which of ``CARRIERS`` an encoder of ffmpeg makes; None for other codecs."""
    if "264" in encoder:
        return "h264"
    return "hevc" if "265" in encoder or "hevc" in encoder else None


def mpeg2_messages(packet: bytes) -> list[bytes]:
    """The user data of ATSC in a picture of MPEG-2, as T.35 has it."""
    found, place = [], packet.find(_MPEG2_USER_DATA)
    while place >= 0:
        start = place + len(_MPEG2_USER_DATA)
        end = packet.find(_START_CODE, start)
        content = packet[start : end if end >= 0 else len(packet)]
        if content.startswith(_MPEG2_KINDS):
            found.append(_ATSC + content)
        place = packet.find(_MPEG2_USER_DATA, start)
    return found


def _messages_of(
    packets: Iterator[Packet[VideoStream]], video: VideoStream
) -> Iterator[tuple[Fraction | None, Fraction, list[bytes]]]:
    """The decoding time, frame time and messages of each packet."""
    context = video.codec_context
    codec, base = context.codec.canonical_name, Fraction(video.time_base or 0)
    units = Bitstream(codec, context.extradata) if codec in CARRIERS else None
    for packet in packets:
        if not packet.size or packet.pts is None:
            continue
        content = bytes(packet)
        messages = mpeg2_messages(content) if units is None else units.messages(content)
        decoded = packet.pts if packet.dts is None else packet.dts
        yield decoded * base, packet.pts * base, messages


def _between_start_codes(packet: bytes) -> list[tuple[int, int]]:
    places, place = [], packet.find(_START_CODE)
    while place >= 0:
        places.append(place)
        place = packet.find(_START_CODE, place + 3)
    ends = [*places[1:], len(packet)][: len(places)]
    found = [(place + 3, end) for place, end in zip(places, ends, strict=True)]
    return [(start, end) for start, end in found if start < end]


def _code_length(packet: bytes, start: int) -> int:
    """Bytes of the start code before a unit: three, or four with another zero."""
    return 4 if packet[max(0, start - 4) : start - 3] == b"\0" else 3


def _registered(content: bytes) -> list[bytes]:
    """The registered messages of an SEI unit, unescaped and without its header."""
    found, place = [], 0
    while place + 2 < len(content):
        kind, place = _number(content, place)
        size, place = _number(content, place)
        if kind == REGISTERED and place + size <= len(content):
            found.append(content[place : place + size])
        place += size
    return found


def _number(content: bytes, place: int) -> tuple[int, int]:
    """A type or size, of bytes of 255 and a last one, and the place behind it."""
    number = 0
    while place < len(content) and content[place] == 255:
        number, place = number + 255, place + 1
    last = content[place] if place < len(content) else 0
    return number + last, place + 1


def _unescaped(content: bytes) -> bytes:
    return content.replace(b"\0\0\3", b"\0\0")


def _escaped(content: bytes) -> bytes:
    """Content in which no start code can be found: a 3 behind two zeros, where 0 to 3 follows."""
    escaped, zeros = bytearray(), 0
    for byte in content:
        if zeros == 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(escaped)
