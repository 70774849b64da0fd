"""Facts of a file as a whole: container, codec, duration and bit rate."""

from __future__ import annotations

from dataclasses import dataclass

import av

from vsr.streams.names.container import PIPE, open_container


@dataclass(frozen=True, kw_only=True)
class ContainerFacts:
    """Facts that a container states about itself and its video stream.

    Attributes:
        container: ffmpeg's name of the format; None for a folder of images.
        codec: ffmpeg's name of the video codec; None for a folder of images.
        profile: Profile of the codec; None if unknown.
        duration_s: Length in seconds; None if unknown.
        bit_rate: Bits per second of all streams together; None if unknown.
    """

    container: str | None = None
    codec: str | None = None
    profile: str | None = None
    duration_s: float | None = None
    bit_rate: int | None = None


def read_container_facts(source: str) -> ContainerFacts:
    """Read the facts of a file or an address; nothing is known of a pipe, which is read once.

    Raises:
        OpenError: It cannot be opened.
        StreamTimeout: An address that does not answer.
    """
    if source == PIPE:
        return ContainerFacts()
    container, video = open_container(source)
    with container:
        return ContainerFacts(
            container=container.format.name,
            codec=video.codec_context.codec.canonical_name,
            profile=video.codec_context.profile,
            duration_s=container.duration / av.time_base if container.duration else None,
            bit_rate=container.bit_rate or None,
        )
