"""Planning segments of an output and the file that joins them."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vsr.errors import ConfigurationError
from vsr.streams.colour.tags import RANGES
from vsr.streams.encode.command import Output, ProbeLimits
from vsr.streams.encode.negotiation import attempt
from vsr.streams.encode.plan import EncodingPlan
from vsr.streams.encode.side_streams import COPY
from vsr.streams.names.container import local_name, open_input
from vsr.streams.names.formats import NUT
from vsr.types import Colour

_WHOLE = frozenset(
    {"ss", "r", "fps_mode", "vsync", "shortest", "pass", "passlogfile", "vf", "af"}
    | {"filter", "filter_complex", "lavfi", "filter_script"}
)
"""Options that look at more than one frame after another, or count: not the same in segments."""

_OF_THE_FILE = frozenset(
    {"f", "movflags", "brand", "tag", "vtag", "atag", "metadata", "map", "map_metadata", "acodec"}
    | {"map_chapters", "disposition", "ac", "ar", "ab", "an", "sn", "dn", "scodec", "attach"}
    | {"video_track_timescale", "timecode", "avoid_negative_ts", "muxdelay", "muxpreload"}
    | {"fflags", "frag_duration", "min_frag_duration", "cluster_time_limit", "cluster_size_limit"}
    | {"reserve_index_space", "default_mode", "write_tmcd", "use_editlist", "mpegts_flags"}
)
_TIMED_BY_LENGTH = frozenset({".gif", ".apng"})
_OTHER_STREAMS = frozenset({"a", "s", "t", "d"})
_OF_BOTH = frozenset({"strict"})


class NotSegmentable(ConfigurationError):
    """An encoder or arguments whose output has to be written in one go."""


def segment_output(output: Output, path: str) -> Output:
    """Output plan of a segment's frames and packets."""
    return replace(
        output,
        path=path,
        suffix=NUT,
        options={
            k: v for k, v in output.options.items() if not _is_of_the_file(k) or k in _OF_BOTH
        },
        audio=tuple(replace(track, copied=True) for track in output.carried),
        sides=(),
        source=None,
        probing=ProbeLimits.NONE,
    )


def without_sound(plan: EncodingPlan) -> EncodingPlan:
    """A plan of frames alone, at the same times; it holds no open file and can be pickled."""
    layout = replace(plan.layout, copied=(), other_bases=plan.layout.copied_bases)
    output = replace(plan.output, audio=(), sides=(), source=None)
    return replace(plan, layout=layout, output=output)


def joined_output(output: Output, path: str, colour: Colour) -> Output:
    """Output plan of the joined segments, whose frames have these tags."""
    options = {k: v for k, v in output.options.items() if _is_of_the_file(k) or k in _OF_BOTH}
    return replace(
        output,
        path=path,
        encoder=COPY,
        colour=colour,
        options=options,
        sample_aspect_ratio=Fraction(1),
        probing=ProbeLimits.ALL,
    )


def _is_of_the_file(option: str) -> bool:
    """Whether an option is for the container and its other streams."""
    name, _, stream = option.partition(":")
    return name in _OF_THE_FILE or stream[:1] in _OTHER_STREAMS


def check_segmentable(plan: EncodingPlan, folder: Path) -> Colour:
    """Check that an output can be made from segments.

    Args:
        plan: Plan of the output.
        folder: Where a file may be written.

    Returns:
        Tags of the frames in segments.

    Raises:
        NotSegmentable: It cannot.
    """
    if plan.output.suffix in _TIMED_BY_LENGTH:
        raise NotSegmentable(f"'{plan.output.suffix}' is written in one go")
    whole = [option for option in plan.output.options if option.partition(":")[0] in _WHOLE]
    if whole:
        raise NotSegmentable(f"-{whole[0]} is not the same in segments")
    cause = attempt(segment_output(plan.output, os.devnull), plan.layout)
    if cause is not None:
        raise NotSegmentable(f"{plan.output.encoder} cannot be kept in segments ({cause})")
    return _tags(plan, folder / "tags.mkv")


def _tags(plan: EncodingPlan, path: Path) -> Colour:
    """Tags of encoded frames: for encoders that know one range only, ffmpeg converts to that."""
    output = replace(segment_output(plan.output, str(path)), suffix=path.suffix)
    if attempt(output, plan.layout) is not None:
        return replace(plan.output.colour, range=None)
    with open_input(local_name(str(path))) as container:
        number = container.streams.video[0].codec_context.color_range
    return replace(plan.output.colour, range=RANGES.get(number))
