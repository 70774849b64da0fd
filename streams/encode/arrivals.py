"""A written file compared with its source: streams, flags and tags that did not arrive."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream

from vsr.streams.decode.probe import dispositions
from vsr.streams.encode.command import Output
from vsr.streams.encode.metadata import LEAST_FLAGS, lost_tags
from vsr.streams.encode.plan import EncodingPlan
from vsr.streams.names.container import is_cover, local_name, open_input

log = logging.getLogger(__name__)

_BESIDE = ("audio", "subtitle", "attachment", "cover", "data")
"""Kinds of streams that are copied, in words."""


def log_losses(plan: EncodingPlan, written: str) -> None:
    """Compare a written file with its source, and log a sentence about each kind of loss.

    Args:
        plan: Plan of the file; losses that its notes have named are not reported again.
        written: The file.
    """
    source = plan.output.source
    if source is None or not Path(written).is_file() or "map_metadata" in plan.output.options:
        return
    if note := lost_tags(source.path, written, plan.output.index, plan.notes):
        log.warning("%s", note)
    for note in _lost_tracks(source.path, written, plan):
        log.warning("%s", note)


def _lost_tracks(source: str, written: str, plan: EncodingPlan) -> list[str]:
    try:
        with open_input(local_name(source)) as one, open_input(local_name(written)) as two:
            lacking = _lacking(plan.output, two)
            flags = list(_lost_flags(plan.output, one, two))
    except (FFmpegError, OSError, ValueError, IndexError):
        return []
    reported = any("flags of tracks" in note for note in plan.notes)
    notes = [f"'{written}' lacks streams that it was to hold: {lacking}"] if lacking else []
    if flags and not reported:
        notes.append(f"'{written}' does not hold these flags of tracks: {', '.join(flags)}")
    return notes


def _lacking(output: Output, written: InputContainer) -> str:
    """Streams that were planned and are not there, such as ``1 subtitle, 2 data``."""
    wanted = Counter(side.kind for side in output.sides) + Counter(audio=len(output.audio))
    found = Counter(_kind(stream) for stream in written.streams)
    # Some demuxers show a cover that is attached as an attachment.
    found["cover"] += max(0, found["attachment"] - wanted["attachment"])
    missing = {kind: wanted[kind] - found[kind] for kind in _BESIDE}
    return ", ".join(f"{number} {kind}" for kind, number in missing.items() if number > 0)


def _kind(stream: Stream) -> str:
    return "cover" if is_cover(stream) else stream.type


def _lost_flags(output: Output, source: InputContainer, written: InputContainer) -> Iterator[str]:
    """Flags of each track that its copy has not: ``audio 1 forced``."""
    audio = [track.index for track in (*output.carried, *output.direct)]
    subtitles = [side.index for side in output.sides if side.kind == "subtitle"]
    for kind, indices in (("video", [output.index]), ("audio", audio), ("subtitle", subtitles)):
        copies = [stream for stream in written.streams if _kind(stream) == kind]
        for number, (index, copy) in enumerate(zip(indices, copies, strict=False), 1):
            lost = set(dispositions(source.streams[index])) - set(dispositions(copy)) - LEAST_FLAGS
            if lost:
                yield f"{kind} {number} {' '.join(sorted(lost))}"
