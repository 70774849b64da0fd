"""The audio streams of an output, copied or transcoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vsr.streams.encode.side_streams import COPY
from vsr.streams.ffmpeg.command import Options

AUDIO_BIT_RATE = "192k"

_PACKET_DURATIONS = r"setts=duration=if(DURATION\,DURATION\,{last})".format(
    last=r"if(eq(NEXT_PTS\,NOPTS)\,PREV_OUTDURATION\,NEXT_PTS-PTS)"
)
"""NUT holds no durations, and MP4 hides a last packet of none behind the end of its edit list."""


@dataclass(frozen=True, kw_only=True)
class AudioTrack:
    """An audio stream of the output.

    Attributes:
        index: In the source's container.
        codec: ffmpeg's name of the source's codec.
        language: ISO 639 code, where the source says.
        dispositions: ffmpeg's names.
        carried: In the raw stream; otherwise ffmpeg reads it from the source itself.
        copied: Whether it is copied; otherwise it is transcoded to the container's usual codec.
    """

    index: int
    codec: str
    language: str | None = None
    dispositions: tuple[str, ...] = ()
    carried: bool
    copied: bool = True


def audio_options(tracks: Sequence[AudioTrack]) -> Options:
    """Options of ffmpeg's output for audio streams in this order."""
    if tracks and all(track.copied for track in tracks):
        return {"c:a": COPY, "bsf:a": _PACKET_DURATIONS}
    options: Options = {}
    for place, track in enumerate(tracks):
        if track.copied:
            options |= {f"c:a:{place}": COPY, f"bsf:a:{place}": _PACKET_DURATIONS}
        else:
            options[f"b:a:{place}"] = AUDIO_BIT_RATE
    return options
