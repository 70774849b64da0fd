"""Targets that the pipeline cannot write as one file, refused before any work."""

from __future__ import annotations

from pathlib import Path

from vsr.errors import ConfigurationError
from vsr.streams.encode.encoders import Options
from vsr.streams.names.image_sequence import IMAGE_SUFFIXES

_PLAYLISTS = frozenset({".m3u8", ".mpd"})
_MANY_FILES = frozenset({"dash", "hls", "segment", "smoothstreaming", "ssegment", "stream_segment"})
_HELD_TOGETHER = frozenset({".webp"})


def refuse_many_files(target: str, suffix: str, options: Options, num_frames: int | None) -> None:
    """See that one file can hold an output.

    Args:
        target: The output's name.
        suffix: The container, as ``suffixes.suffix_of`` names it.
        options: The user's.
        num_frames: How many frames come, as far as that is known.

    Raises:
        ConfigurationError: It cannot: the container is a playlist, or one picture.
    """
    if suffix in _PLAYLISTS or options.get("f") in _MANY_FILES:
        raise ConfigurationError(
            f"{target!r} would be a playlist with files of its own, which cannot be exchanged in "
            "one go; give a file such as 'out.mp4', and cut that by "
            "'ffmpeg -i out.mp4 -c copy -hls_playlist_type vod out.m3u8'"
        )
    # Of a still picture no number of frames is known.
    is_one = num_frames == 1 or "update" in options
    if suffix in IMAGE_SUFFIXES - _HELD_TOGETHER and num_frames is not None and not is_one:
        stem = Path(target).stem
        raise ConfigurationError(
            f"{target!r} holds one picture; give a folder such as '{stem}/', or a pattern such as "
            f"'{stem}_%06d{suffix}'"
        )
