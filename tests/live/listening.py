"""Packets of sound: made, taken and decoded."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import Packet

from vsr.live.audio.packets import EncodedPacket, StreamTemplates
from vsr.live.audio.track import OutputAudio
from vsr.streams.ffmpeg.process import find_ffmpeg


def convert(clip: Path, target: Path, *words: str) -> Path:
    command = [find_ffmpeg(), "-loglevel", "error", "-i", clip, *words, target]
    subprocess.run([str(word) for word in command], check=True)
    return target


@contextmanager
def heard(clip: Path) -> Iterator[tuple[OutputAudio, StreamTemplates, list[Packet[Any]]]]:
    """Sound that begins with a clip's, and the clip's packets."""
    templates = StreamTemplates()
    with av.open(str(clip)) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        yield OutputAudio(stream, templates.add(stream)), templates, packets


def time_of(packet: Packet[Any]) -> Fraction:
    assert packet.pts is not None
    return packet.pts * packet.time_base


def largest_gap(coded: list[EncodedPacket]) -> Fraction:
    return max(b.time - a.time for a, b in pairwise(coded))


def loudness(coded: list[EncodedPacket], template: Any) -> list[float]:
    """Of every decoded frame; a packet that cannot be decoded is an error."""
    decoder: Any = av.CodecContext.create(template.codec_context.name, "r")
    decoder.extradata = template.codec_context.extradata
    decoder.sample_rate = template.codec_context.sample_rate
    decoder.layout = template.codec_context.layout
    frames = [frame for one in coded for frame in decoder.decode(Packet(one.data))]
    return [float(np.abs(frame.to_ndarray().astype(np.float64)).max()) for frame in frames]


def audible(coded: list[EncodedPacket], template: Any, quiet: float = 1e-2) -> float:
    """The share of decoded frames in which something sounds."""
    said = loudness(coded, template)
    return sum(one > quiet for one in said) / len(said)
