"""Checking the sinks of all streams before anything is opened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import av

from vsr.address import is_address, shown
from vsr.errors import OpenError
from vsr.live.input.address import check_form
from vsr.live.input.kind import ends
from vsr.live.options import StreamOptions
from vsr.streams.names.container import local_name
from vsr.streams.names.formats import ADDRESS_FORMATS, PLAYLISTS, suffix_of

_PICTURES = frozenset({"image2", "webp"})
"""Formats of files of one picture."""


def check_targets(streams: Sequence[StreamOptions]) -> None:
    """Refuse impossible sinks, duplicates, and sinks that would replace a source.

    Raises:
        OpenError: Such a target or record, one whose folder is missing, or an address that
            cannot be parsed.
    """
    named: list[str] = []
    for stream in streams:
        for source in stream.sources:
            check_form(source)
        _ = stream.segments  # raises where they belong to no record
        for target in stream.targets:
            check_form(target)
            _check_kind(target)
            if any(_writes(target, other) or _writes(other, target) for other in named):
                raise OpenError(
                    f"{shown(target)!r} is written twice; give each target and record its own name"
                )
            if any(_replaces(target, stream, other) for other in streams):
                raise OpenError(f"{target!r} is a source itself; give the output another name")
            named.append(target)


def _check_kind(target: str) -> None:
    if is_address(target):
        if suffix_of(target) not in ADDRESS_FORMATS and suffix_of(target) not in PLAYLISTS:
            accepted = ", ".join(sorted(ADDRESS_FORMATS))
            raise OpenError(
                f"{shown(target)} is no sink; give {accepted}, a .m3u8 playlist or a video file"
            )
    elif not Path(target).parent.is_dir():
        raise OpenError(f"the folder of {target!r} does not exist; create it first")
    elif not _holds_video(target):
        raise OpenError(f"{target!r} has no suffix of a video file; give one, such as .mkv or .mp4")


def _holds_video(path: str) -> bool:
    """Whether ffmpeg can write video to a file of this name; nothing is written."""
    try:
        container = av.open(local_name(path), mode="w")
    except ValueError:
        return False
    return container.default_video_codec != "none" and container.format.name not in _PICTURES


def _replaces(target: str, stream: StreamOptions, other: StreamOptions) -> bool:
    """Whether a sink would replace a source; one stream may read another's playlist."""
    is_chain = other is not stream and suffix_of(target) in PLAYLISTS
    return not is_chain and any(ends(s) and _writes(target, s) for s in other.sources)


def _writes(target: str, name: str) -> bool:
    """Whether a sink would write the file of this name."""
    if is_address(target) or is_address(name):
        return target == name
    written, path = Path(target).resolve(), Path(name).resolve()
    if suffix_of(target) in PLAYLISTS and written.parent == path.parent:
        segment = re.escape(written.stem) + r"\.\d+\.ts"
        return written == path or re.fullmatch(segment, path.name) is not None
    return written == path
