"""Both ends of a live stream: a publisher of numbered frames, and a viewer that reads them."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.audio.stream import AudioStream

from tests.media import BITS, SAMPLE_RATE, numbered_frame, read_number

NUMBERS = 2**BITS
BEEP_EVERY = 64
BEEP_S = 0.02
LOUD = 0.1

EVEN_RATES = (10, 12, 15, 20, 24, 25, 30, 50, 60)
"""Frames a second at which a round of all numbers is a whole number of packets of sound."""

Samples = np.ndarray[Any, np.dtype[np.float32]]


def write_loop(path: Path, height: int, width: int, fps: int) -> Path:
    """A clip that can be sent again and again: 256 frames, and sound of the same length."""
    beep_every = BEEP_EVERY * SAMPLE_RATE // fps
    wave = np.zeros(NUMBERS * SAMPLE_RATE // fps, dtype=np.float32)
    tone = np.sin(2 * np.pi * 1000 * np.arange(int(BEEP_S * SAMPLE_RATE)) / SAMPLE_RATE)
    for start in range(0, len(wave), beep_every):
        wave[start : start + len(tone)] = 0.5 * tone
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(2 * fps)}
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options=options)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE)
        assert isinstance(audio, AudioStream)
        audio.layout = "mono"
        for number in range(NUMBERS):
            picture = av.VideoFrame.from_ndarray(numbered_frame(number, height, width), "rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode())
        for start in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(audio.encode(frame))
    return path


class Publisher(threading.Thread):
    """Sends the clip in real time and notes when each frame went out."""

    def __init__(self, clip: Path, address: str, fps: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.sent: list[float] = []
        self._clip, self._address, self._fps, self._seconds = clip, address, fps, seconds

    def run(self) -> None:
        length = Fraction(NUMBERS, self._fps)
        with (
            av.open(str(self._clip)) as source,
            av.open(self._address, "w", format="flv") as target,
        ):
            streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
            packets = sorted(
                (p for p in source.demux() if p.size and p.dts is not None),
                key=lambda packet: (packet.dts or 0) * packet.time_base,
            )
            copies = [
                (bytes(p), p.stream_index, p.pts or 0, p.time_base, p.is_keyframe) for p in packets
            ]
            began, round_number = time.monotonic(), 0
            while round_number * length < self._seconds:
                for data, index, pts, base, is_key in copies:
                    moment = pts * base + round_number * length
                    if moment < 0:
                        continue
                    time.sleep(max(0.0, began + float(moment) - time.monotonic()))
                    packet: av.Packet[Any] = av.Packet(data)
                    packet.time_base, packet.is_keyframe = base, is_key
                    packet.pts = packet.dts = round(moment / base)
                    packet.stream = streams[index]
                    if packet.stream.type == "video":
                        self.sent.append(time.monotonic())
                    target.mux(packet)
                round_number += 1


class Viewer(threading.Thread):
    """Plays the output and notes when each frame was there to be shown."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[int, float, float]] = []
        self.beeps: list[float] = []
        self._address = address
        self._quiet = True

    def run(self) -> None:
        options = {"rtmp_live": "live", "analyzeduration": "500000"}
        with av.open(self._address, options=options, timeout=(60, 20)) as container:
            container.streams.video[0].thread_type = "SLICE"
            try:
                for packet in container.demux():
                    for frame in packet.decode():
                        self._note(frame)
            except av.error.FFmpegError:
                return

    def _note(self, frame: Any) -> None:
        if isinstance(frame, av.VideoFrame):
            seen_at, plane = time.monotonic(), frame.planes[0]
            luma = torch.frombuffer(plane, dtype=torch.uint8).view(plane.height, -1)
            number = read_number(luma[None, :, : plane.width] / 255)
            self.seen.append((number, seen_at, float(frame.time or 0)))
        else:
            self._listen(np.abs(frame.to_ndarray()[0]), float(frame.time))

    def _listen(self, loudness: Samples, begins: float) -> None:
        loud = np.flatnonzero(loudness > LOUD)
        if len(loud) and self._quiet:
            self.beeps.append(begins + loud[0] / SAMPLE_RATE)
        self._quiet = not len(loud)
