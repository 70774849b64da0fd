"""Media made for tests: every frame carries its number in a way that survives lossy encoding.

The number is written in eight bits, each a dark or light rectangle of a grid two rows high and
four columns wide; whatever scales, converts or compresses a frame keeps it readable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image
from torch import Tensor

HEIGHT, WIDTH = 72, 96
BITS = 8
_ROWS, _COLUMNS = 2, 4

SAMPLE_RATE = 48_000
DARK, LIGHT = 40, 215

Array = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A video to write.

    Attributes:
        num_frames: Up to 256.
        height: Rows as stored.
        width: Columns as stored.
        rate: Frames per second the encoder is told.
        time_base: Seconds per unit of ``pts``.
        pts: Pts of every frame; None for an even rate from ``first_pts``.
        first_pts: Where an even rate begins.
        codec: PyAV's name of the video encoder.
        pixel_format: ffmpeg's name.
        options: For the video encoder.
        audio: PyAV's name of an audio encoder; None for silence.
        rotation: Display matrix, degrees counter-clockwise.
        aspect: Width of a pixel over its height.
        colour: ffmpeg's numbers of ``colorspace``, ``color_range``, ``color_primaries``,
            ``color_trc``.
        metadata: Metadata of the container.
        chapters: Beginning, end and title.
    """

    num_frames: int = 20
    height: int = HEIGHT
    width: int = WIDTH
    rate: Fraction = Fraction(25)
    time_base: Fraction = Fraction(1, 12800)
    pts: Sequence[int] | None = None
    first_pts: int = 0
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "g": "10"})
    audio: str | None = None
    rotation: int = 0
    aspect: Fraction = Fraction(1)
    colour: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: Sequence[tuple[int, int, str]] = ()

    @property
    def times(self) -> tuple[int, ...]:
        """The pts of every frame, in ``time_base``."""
        if self.pts is not None:
            return tuple(self.pts)
        step = 1 / (self.rate * self.time_base)
        return tuple(self.first_pts + round(i * step) for i in range(self.num_frames))

    @property
    def seconds(self) -> list[Fraction]:
        """The time of every frame."""
        return [pts * self.time_base for pts in self.times]


def numbered_frame(number: int, height: int = HEIGHT, width: int = WIDTH) -> Array:
    """A frame that carries a number: (height, width, 3), uint8."""
    rows = np.arange(height) * _ROWS // height
    columns = np.arange(width) * _COLUMNS // width
    bits = rows[:, None] * _COLUMNS + columns[None]
    grey = np.where((number >> bits) & 1, LIGHT, DARK).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def read_number(frame: Tensor) -> int:
    """The number that a frame (3, H, W) in [0, 1] carries."""
    height, width = frame.shape[1:]
    number = 0
    for bit in range(BITS):
        row = (2 * (bit // _COLUMNS) + 1) * height // (2 * _ROWS)
        column = (2 * (bit % _COLUMNS) + 1) * width // (2 * _COLUMNS)
        patch = frame[:, row - 2 : row + 3, column - 2 : column + 3]
        number |= int(patch.float().mean() > 0.5) << bit
    return number


def read_numbers(frames: Tensor) -> list[int]:
    """The numbers that frames (T, 3, H, W) carry."""
    return [read_number(frame) for frame in frames]


def numbered_frames(numbers: Sequence[int], height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Frames that carry numbers: (T, 3, height, width), float32 in [0, 1]."""
    frames = np.stack([numbered_frame(number, height, width) for number in numbers])
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float().div(255)


_WRITTEN: dict[tuple[str, str], bytes] = {}


def write_clip(path: Path, clip: Clip | None = None) -> Path:
    """Write a video, with as much sound as picture where there is sound; encoded once a process."""
    clip = clip or Clip()
    key = (path.suffix, repr(clip))
    if key not in _WRITTEN:
        _encode_clip(path, clip)
        _WRITTEN[key] = path.read_bytes()
    else:
        path.write_bytes(_WRITTEN[key])
    return path


def _encode_clip(path: Path, clip: Clip) -> None:
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        container.metadata.update(clip.metadata)
        video = add_video(container, clip)
        sine = Sine(container, clip)
        if clip.chapters:
            container.set_chapters(_chapters(clip))
        for number, pts in enumerate(clip.times):
            frame = av.VideoFrame.from_ndarray(_stored(number, clip), format="rgb24")
            frame.pts, frame.time_base = pts, clip.time_base
            container.mux(video.encode(frame))
            sine.encode(until=clip.seconds[number] - clip.seconds[0])
        container.mux(video.encode())
        sine.finish()


def write_images(folder: Path, num_frames: int = 20, suffix: str = ".png") -> Path:
    """Write a folder of numbered images: 1, 2, … 10, without leading zeros."""
    folder.mkdir()
    for number in range(num_frames):
        Image.fromarray(numbered_frame(number)).save(folder / f"{number + 1}{suffix}")
    return folder


def audio_packets(path: str | Path) -> list[tuple[Fraction, str]]:
    """Time in seconds and hash of every audio packet of a file, in order of time."""
    with av.open(str(path)) as container:
        audio = {stream.index for stream in container.streams.audio}
        packets = [p for p in container.demux() if p.size and p.stream_index in audio]
        return sorted(fingerprint(packet) for packet in packets)


def fingerprint(packet: av.Packet[Any]) -> tuple[Fraction, str]:
    """A packet's time in seconds and the hash of its payload."""
    assert packet.pts is not None
    return packet.pts * packet.time_base, hashlib.sha256(bytes(packet)).hexdigest()


def _stored(number: int, clip: Clip) -> Array:
    """The frame as it is stored, so that it is upright once the rotation is applied."""
    turns = clip.rotation // 90 % 4
    height, width = (clip.width, clip.height) if turns % 2 else (clip.height, clip.width)
    return np.ascontiguousarray(np.rot90(numbered_frame(number, height, width), -turns))


def add_video(container: OutputContainer, clip: Clip) -> VideoStream:
    """Add a video stream as the clip describes it."""
    stream = container.add_stream(clip.codec, rate=clip.rate, options=clip.options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = clip.width, clip.height
    stream.pix_fmt = clip.pixel_format
    stream.time_base = stream.codec_context.time_base = clip.time_base
    stream.codec_context.sample_aspect_ratio = clip.aspect
    for name, value in clip.colour.items():
        setattr(stream.codec_context, name, value)
    if clip.rotation:
        stream.set_display_rotation(clip.rotation)
    return stream


class Sine:
    """A tone that is encoded as far as the picture has come."""

    def __init__(self, container: OutputContainer, clip: Clip) -> None:
        self.container = container
        self.done = 0
        self.first = round(clip.seconds[0] * SAMPLE_RATE)
        self.stream: AudioStream | None = None
        if clip.audio is not None:
            stream = container.add_stream(clip.audio, rate=SAMPLE_RATE)
            assert isinstance(stream, AudioStream)
            stream.bit_rate = 96_000
            stream.layout = "mono"
            stream.metadata["language"] = "fra"
            self.stream = stream

    def encode(self, until: Fraction) -> None:
        while self.stream is not None and self.done < until * SAMPLE_RATE:
            size = self.stream.frame_size or 1024
            times = np.arange(self.done, self.done + size) / SAMPLE_RATE
            wave = (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
            frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            frame.pts = self.done + self.first
            self.container.mux(self.stream.encode(frame))
            self.done += size

    def finish(self) -> None:
        if self.stream is not None:
            self.container.mux(self.stream.encode(None))


def _chapters(clip: Clip) -> list[Any]:
    return [
        {
            "id": number,
            "start": start,
            "end": end,
            "time_base": Fraction(1),
            "metadata": {"title": title},
        }
        for number, (start, end, title) in enumerate(clip.chapters)
    ]


def write_animation(path: Path, durations_ms: Sequence[int]) -> Path:
    """Write numbered frames as GIF, animated PNG or WebP, by the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = (Image.fromarray(numbered_frame(i)) for i in range(len(durations_ms)))
    first.save(
        path, save_all=True, append_images=others, duration=list(durations_ms), lossless=True
    )
    return path
