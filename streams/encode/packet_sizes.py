"""Sizes of packets in a file, from which the size of a longer one can be told."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from vsr.streams.names.container import open_container

LOOKED_AT = 2000
"""Packets of a source that tell the rate of its sound: half a minute of a film."""


@dataclass(frozen=True, kw_only=True)
class PictureSizes:
    """Bytes of a file's pictures.

    Attributes:
        keys: Of those a decoder can start at.
        others: Of those that depend on others.
    """

    keys: tuple[int, ...]
    others: tuple[int, ...]


def picture_sizes(path: str) -> PictureSizes:
    """Sizes of all pictures of a video file.

    Raises:
        OpenError: It is none.
    """
    container, stream = open_container(path)
    with container:
        packets = [(p.size, p.is_keyframe) for p in container.demux(stream) if p.size]
    return PictureSizes(
        keys=tuple(size for size, is_key in packets if is_key),
        others=tuple(size for size, is_key in packets if not is_key),
    )


def sound_rate(path: str) -> float:
    """Bytes per second of a file's sound, from its first packets; 0 where there is none.

    Raises:
        OpenError: It is no video.
    """
    container, _ = open_container(path)
    with container:
        size, latest = 0, {0: 0.0}
        for packet in islice(container.demux(), LOOKED_AT):
            if packet.stream.type == "audio" and packet.pts is not None:
                size += packet.size
                seconds = (packet.duration or 0) * packet.time_base
                index = packet.stream.index
                latest[index] = latest.get(index, 0.0) + float(seconds)
    longest = max(latest.values())
    return size / longest if longest else 0.0
