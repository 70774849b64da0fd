"""The bit rate of the picture, which follows what a congested sink takes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.media import HEIGHT, WIDTH, numbered_frames, read_numbers
from vsr.live.audio.packets import EncodedPacket, PacketStream, StreamTemplates
from vsr.live.output.bit_rate import (
    CALM_S,
    LOWEST_BITS_S,
    BitRateController,
    SinkLoad,
    lowest,
)
from vsr.live.output.encoder import LiveEncoder, can_limit, picture_of
from vsr.streams import open_reader
from vsr.types import Chunk, StreamInfo

LATENCY_S = 1.8
USUAL = 1_000_000


@dataclass
class Network:
    """A line that carries so many bits per second, and an encoder that keeps to a limit."""

    controller: BitRateController
    carries: float = 2 * USUAL
    now: float = 0.0
    offered: float = 0.0
    taken: float = 0.0
    lost: int = 0
    waiting: deque[tuple[float, float]] = field(default_factory=deque)

    def run(self, seconds: float) -> list[int | None]:
        """The limits meanwhile."""
        limits = []
        for _ in range(round(4 * seconds)):
            self.now += 0.25
            size = min(USUAL, self.controller.limit or USUAL) / 32
            self.offered += size
            self.waiting.append((self.now, size))
            self._carry(self.carries / 32)
            lag_s = self.now - self.waiting[0][0] if self.waiting else 0.0
            if lag_s > LATENCY_S:
                self.lost, lag_s = self.lost + len(self.waiting), 0.0
                self.waiting.clear()
            load = SinkLoad(
                offered=round(self.offered),
                taken=round(self.taken),
                lost=self.lost,
                lag_s=lag_s,
                is_judged=True,
            )
            limits.append(self.controller.decide(load, self.now))
        return limits

    def _carry(self, size: float) -> None:
        while self.waiting and size > 0:
            moment, left = self.waiting.popleft()
            if left > size:
                self.waiting.appendleft((moment, left - size))
            self.taken += min(left, size)
            size -= left


def test_without_congestion_there_is_no_limit() -> None:
    assert set(Network(BitRateController(LATENCY_S)).run(60)) == {None}


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.9])
def test_a_narrow_line_soon_loses_nothing_more(share: float) -> None:
    network = Network(BitRateController(LATENCY_S))
    network.run(10)
    network.carries = share * USUAL
    network.run(15)
    lost = network.lost
    limits = network.run(CALM_S / 2)
    assert network.lost == lost
    assert all(limit and 0.3 * share * USUAL < limit < share * USUAL for limit in limits)


def test_the_bit_rate_returns_in_steps_and_ever_more_rarely_while_the_line_stays_narrow() -> None:
    network = Network(BitRateController(LATENCY_S), carries=USUAL / 2)
    network.run(60)
    first = sum(a != b for a, b in pairwise(network.run(600)))
    later = sum(a != b for a, b in pairwise(network.run(600)))
    assert later < first
    network.carries = 2 * USUAL
    assert network.run(2000)[-1] is None


def test_it_is_never_lower_than_a_picture_needs() -> None:
    network = Network(BitRateController(LATENCY_S), carries=10_000)
    assert network.run(60)[-1] == LOWEST_BITS_S


def test_the_narrowest_sink_decides() -> None:
    assert lowest([None, 300, 200]) == 200
    assert lowest([None, None]) is lowest([]) is None


def test_only_encoders_that_keep_to_a_limit_get_one() -> None:
    assert can_limit(None, ())
    assert not can_limit("libvpx-vp9", ())


def noisy(numbers: range) -> torch.Tensor:
    """Numbered frames that take many bits."""
    frames = numbered_frames(numbers)
    return (frames + torch.randn(frames.shape, generator=SEED) / 8).clamp(0, 1)


SEED = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_another_bit_rate_continues_in_the_same_file(encoder: str, tmp_path: Path) -> None:
    """Each encoder begins with a key frame, and players need nothing but what they were told."""
    step = Fraction(1, 25)
    info = StreamInfo(height=HEIGHT, width=WIDTH, time_base=step, frame_rate=1 / step)
    picture, templates = picture_of(info, 1, 1 / step), StreamTemplates()
    coded: list[list[EncodedPacket]] = []
    for part, limit in enumerate((None, 150_000, None)):
        coded.append([])
        one = LiveEncoder(
            picture,
            templates,
            coded[-1].append,
            encoder=encoder,
            arguments=("-preset", "ultrafast"),
            limit=limit,
        )
        numbers = range(25 * part, 25 * part + 25)
        one.write(Chunk(frames=noisy(numbers), pts=tuple(numbers), time_base=step))
        one.finish()
    sizes = [sum(len(packet.data) for packet in packets) for packets in coded]
    assert 1.5 * sizes[1] < sizes[0], sizes
    assert 1.5 * sizes[1] < sizes[2]
    assert all(packets[0].is_key for packets in coded)
    written: list[bytes] = []
    stream = PacketStream(templates.streams, written.append)
    for packet in (packet for packets in coded for packet in packets):
        stream.write(packet)
    stream.close()
    (tmp_path / "all.nut").write_bytes(b"".join(written))
    with open_reader(str(tmp_path / "all.nut")) as reader:
        seen = [number for chunk in reader.chunks(25) for number in read_numbers(chunk.frames)]
    assert seen == list(range(75))
