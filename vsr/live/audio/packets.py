"""Encoded packets and the NUT stream that carries them to the sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av import Packet
from av.error import FFmpegError
from av.stream import Stream

from vsr.errors import EncodeError
from vsr.streams.encode.raw_nut import NUT_IN_PIPES
from vsr.streams.names.container import reason


@dataclass(frozen=True, kw_only=True)
class EncodedPacket:
    """A muxer-independent encoded packet.

    Attributes:
        stream_index: 0 for video, 1 for audio.
        data: Payload.
        pts: Presentation time in the output, in units of ``time_base``.
        dts: Decoding time in units of ``time_base``.
        duration: Duration in units of ``time_base``; 0 if unknown.
        time_base: Seconds per unit.
        is_key: Whether decoding can start here.
    """

    stream_index: int
    data: bytes
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    is_key: bool

    @property
    def time(self) -> Fraction:
        """Decoding time in seconds of the output."""
        return self.dts * self.time_base


class MuxerOutput:
    """Collects a muxer's bytes: exceptions must not pass through the library's callback."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """The bytes written since the last call."""
        joined = b"".join(self._parts)
        self._parts.clear()
        return joined


class StreamTemplates:
    """Parameters of encoded streams that outlive their containers."""

    def __init__(self) -> None:
        self._container = av.open(MuxerOutput(), mode="w", format="nut")
        self.streams: list[Any] = []

    def add(self, stream: Any) -> Any:
        """Copy a stream's parameters; copies are numbered in order.

        Raises:
            EncodeError: A codec that NUT cannot carry.
        """
        try:
            # Opaque: as packets are copied, nothing here has to be able to encode them.
            kept = self._container.add_stream_from_template(stream, opaque=True)
        except ValueError as error:
            name = stream.codec_context.codec.canonical_name
            raise EncodeError(
                f"{name} cannot be handed to several sinks; give another encoder"
            ) from error
        kept.time_base = stream.time_base
        self.streams.append(kept)
        return kept


class PacketStream:
    """Muxes encoded packets into NUT and sends the bytes.

    Args:
        templates: Parameters of each stream.
        send: Called with the bytes.
        origin: Time in seconds of the output that is zero in the stream.
    """

    def __init__(
        self,
        templates: Sequence[Any],
        send: Callable[[bytes], None],
        origin: Fraction = Fraction(0),
    ) -> None:
        self._send, self._origin = send, origin
        self._sink = MuxerOutput()
        self._last: dict[int, int] = {}
        self._container = av.open(
            self._sink,
            mode="w",
            format="nut",
            container_options={"max_interleave_delta": "1", **NUT_IN_PIPES},
        )
        self._streams: list[Any] = []
        for template in templates:
            stream = self._container.add_stream_from_template(template, opaque=True)
            stream.time_base = template.time_base
            self._streams.append(stream)

    def write(self, coded: EncodedPacket) -> None:
        """Append a packet.

        Raises:
            EncodeError: The packet cannot be muxed, or the receiver has stopped.
        """
        shift = round(self._origin / coded.time_base)
        last = self._last.get(coded.stream_index, coded.dts - shift - 1)
        self._last[coded.stream_index] = dts = max(coded.dts - shift, last + 1)
        packet: Packet[Stream] = Packet(coded.data)
        packet.time_base = coded.time_base
        packet.dts, packet.pts = dts, max(coded.pts - shift, dts)
        packet.duration = coded.duration
        packet.is_keyframe = coded.is_key
        packet.stream = self._streams[coded.stream_index]
        try:
            self._container.mux_one(packet)
        except FFmpegError as error:
            raise EncodeError(f"a packet cannot be muxed ({reason(error)})") from error
        self._send(self._sink.take())

    def close(self) -> None:
        """Flush the muxer."""
        self._container.close()
        self._send(self._sink.take())
