"""NUT between the encoder and the sinks: nothing in it that its readers would have to remember."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import pytest
import torch

from tests.streams.piping import SYNC_POINT
from vsr.live.audio.packets import EncodedPacket, PacketStream, StreamTemplates
from vsr.live.output.encoder import LIVE_OPTIONS, LiveEncoder, OutputPicture
from vsr.types import Chunk, Colour

PICTURE = OutputPicture(
    height=64,
    width=64,
    time_base=Fraction(1, 25),
    frame_rate=Fraction(25),
    colour=Colour(matrix="bt709", range="tv", primaries="bt709", transfer="bt709"),
)


def encode(taken: list[EncodedPacket], num_frames: int, *arguments: str) -> StreamTemplates:
    """Pictures of noise, each a scene of its own: several key frames."""
    templates = StreamTemplates()
    encoder = LiveEncoder(PICTURE, templates, taken.append, arguments=arguments)
    encoder.write(
        Chunk(
            frames=torch.rand(num_frames, 3, 64, 64),
            pts=tuple(range(num_frames)),
            time_base=PICTURE.time_base,
        )
    )
    encoder.finish()
    return templates


class Copying:
    """A file that notes what was read of it."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.parts: list[bytes] = []

    def read(self, size: int = -1) -> bytes:
        part: bytes = self.file.read(size)
        self.parts.append(part)
        return part


def test_the_encoders_stream_has_one_sync_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Copying] = []
    real = av.open

    def copying(file: Any, **options: Any) -> Any:
        if not hasattr(file, "fileno"):
            return real(file, **options)
        opened.append(Copying(file))
        return real(opened[0], **options)

    monkeypatch.setattr("vsr.live.output.encoder.av.open", copying)
    taken: list[EncodedPacket] = []
    encode(taken, 60)
    assert sum(packet.is_key for packet in taken) > 1
    assert b"".join(opened[0].parts).count(SYNC_POINT) == 1


def test_the_stream_to_a_sink_has_one_sync_point() -> None:
    taken: list[EncodedPacket] = []
    sent: list[bytes] = []
    stream = PacketStream(encode(taken, 60).streams, sent.append)
    for packet in taken:
        stream.write(packet)
    stream.close()
    whole = b"".join(sent)
    assert whole.startswith(b"nut/multimedia container")
    assert whole.count(SYNC_POINT) == 1


def test_a_bit_rate_asked_for_takes_the_place_of_the_usual_quality() -> None:
    usual: list[EncodedPacket] = []
    small: list[EncodedPacket] = []
    encode(usual, 60)
    encode(small, 60, "-b:v", "20k")
    assert 3 * sum(len(packet.data) for packet in small) < sum(len(packet.data) for packet in usual)


@pytest.mark.parametrize("encoder", [*LIVE_OPTIONS, "mpeg4"])
def test_there_is_a_key_frame_every_two_seconds_whatever_rate_is_announced(encoder: str) -> None:
    """Of a source that announces 60 frames a second, ten come."""
    taken: list[EncodedPacket] = []
    announced = replace(PICTURE, time_base=Fraction(1, 60), frame_rate=Fraction(60))
    one = LiveEncoder(announced, StreamTemplates(), taken.append, encoder=encoder)
    pts = tuple(60_000 + 6 * number for number in range(65))
    one.write(Chunk(frames=torch.full((65, 3, 64, 64), 0.5), pts=pts, time_base=Fraction(1, 60)))
    one.finish()
    assert [float(packet.time) - 1000 for packet in taken if packet.is_key] == [0, 2, 4, 6]


def test_a_distance_of_key_frames_that_is_asked_for_is_kept() -> None:
    taken: list[EncodedPacket] = []
    one = LiveEncoder(PICTURE, StreamTemplates(), taken.append, arguments=("-g", "75"))
    frames = torch.full((160, 3, 64, 64), 0.5)
    one.write(Chunk(frames=frames, pts=tuple(range(160)), time_base=Fraction(1, 25)))
    one.finish()
    assert [float(packet.time) for packet in taken if packet.is_key] == [0, 3, 6]
