"""Files with something odd about them: damage, fields, a picture on the cover."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.stream import Disposition

from tests.media import DARK, LIGHT, Clip, Sine, add_video


def damage(path: Path, target: Path, broken: Collection[int]) -> Path:
    """Copy a video with the payload of some video packets, by number, replaced by rubbish."""
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        video = source.streams.video[0]
        stream = container.add_stream_from_template(video)
        packets = [packet for packet in source.demux(video) if packet.size]
        for number, packet in enumerate(packets):
            if number in broken:
                packet.update(b"\xff" * packet.size)
            packet.stream = stream
            container.mux(packet)
    return target


def write_interlaced(path: Path, num_frames: int) -> Path:
    """Write fields of a bar that moves from field to field, bottom field first.

    That is how libx264 flags frames that do not say their order themselves.
    """
    options = {"preset": "ultrafast", "x264-params": "bff=1:interlaced=1", "crf": "10"}
    clip = Clip(height=64, width=96, options=options)
    with av.open(str(path), "w") as container:
        stream = add_video(container, clip)
        stream.codec_context.flags |= Flags.interlaced_dct
        for number in range(num_frames):
            later = 1 - np.arange(clip.height)[:, None] % 2
            bar = np.arange(clip.width)[None] - 10 - (2 * number + later) * 3
            grey = np.where(abs(bar) < 8, LIGHT, DARK).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, axis=2), "rgb24")
            frame.pts, frame.time_base = number * 512, clip.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_song(path: Path, cover: Path) -> Path:
    """Write a second of sound with a picture on its cover."""
    with av.open(str(cover)) as picture, av.open(str(path), "w") as container:
        sine = Sine(container, Clip(audio="libmp3lame"))
        stream = container.add_stream_from_template(picture.streams.video[0])
        stream.disposition = Disposition.attached_pic
        for packet in picture.demux(picture.streams.video[0]):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
        sine.encode(until=Fraction(1))
        sine.finish()
    return path


def break_time(path: Path, target: Path, number: int, *, which: str, pid: int = 0x100) -> Path:
    """Copy a transport stream with the top bits of a packet's ``pts``, ``dts`` or ``both`` set."""
    data = bytearray(path.read_bytes())
    starts = [
        place
        for place in range(0, len(data), 188)
        if data[place + 1] & 0x40 and int.from_bytes(data[place + 1 : place + 3]) & 0x1FFF == pid
    ]
    place = starts[number] + 4
    if data[starts[number] + 3] & 0x20:
        place += 1 + data[place]
    if which in {"pts", "both"}:
        data[place + 9] |= 0x0E
    if which in {"dts", "both"}:
        assert data[place + 7] & 0x40
        data[place + 14] |= 0x0E
    target.write_bytes(data)
    return target
