"""Features of a decoded frame that writers cannot keep, or only some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from av import VideoFrame
from av.sidedata.sidedata import Type

from vsr.streams.colour.hdr import read_mastering

TRANSPARENCY = "the source's transparency is left out"

CAPTIONS = "the source's closed captions, which lie within its frames, are left out"
CAPTIONED = "Closed Captions"
"""Word in ffmpeg's description of a stream that has them."""

_ARRIVES = frozenset({"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DISPLAYMATRIX"})
"""Data that writers keep, and the turn that is applied to the pixels."""

_OF_THE_CODING = frozenset(
    {"SEI_UNREGISTERED", "GOP_TIMECODE", "MOTION_VECTORS", "SKIP_SAMPLES", "VIDEO_ENC_PARAMS"}
    | {"VIDEO_HINT", "PANSCAN", "REGIONS_OF_INTEREST", "VIEW_ID"}
)
"""Data about the old coding: the encoder's settings, where its groups of pictures began (a time
code proper is a tag), and the part that a player of 4:3 would show, which MPEG-2 always says."""

CAPTIONS_KIND = "A53_CC"

_NAMES = {
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "DOVI_METADATA": "Dolby Vision",
    "SPHERICAL": "projection of spherical video",
    "STEREO3D": "layout of stereoscopic video",
    "ICC_PROFILE": "ICC profile",
    "S12M_TIMECODE": "time codes of frames",
    "FILM_GRAIN_PARAMS": "film grain of the decoder",
    "AFD": "active format (AFD)",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient viewing environment",
    "EXIF": "EXIF",
}
"""Usual names of kinds of data; others are named as ffmpeg does."""


def unsupported_features(frame: VideoFrame) -> tuple[str, ...]:
    """A sentence about each thing that a source's first frame has and no copy will."""
    notes = [TRANSPARENCY] if any(part.is_alpha for part in frame.format.components) else []
    mastering = read_mastering(frame)
    if bool(mastering.chromaticities) != bool(mastering.luminance):
        has, lacks = "primaries", "luminance"
        if mastering.luminance:
            has, lacks = lacks, has
        notes.append(
            f"the source gives its mastering display's {has} without its {lacks}: left out"
        )
    return tuple(notes)


def frame_data_kinds(frame: VideoFrame) -> frozenset[str]:
    """PyAV's names of the kinds of data beside the samples of a frame, for writers to keep."""
    side_data: Mapping[str, Any] = frame.side_data
    # Not by iteration: it gives the data in PyAV 18, and the kinds in 19.
    found = frozenset(kind.name for kind in Type if side_data.get(kind.name) is not None)
    return found - _ARRIVES - _OF_THE_CODING


def frame_data_notes(lost: frozenset[str]) -> tuple[str, ...]:
    """Sentences about kinds of data within frames that a writer leaves out."""
    names = sorted({_name(kind) for kind in lost - {CAPTIONS_KIND}})
    notes = [CAPTIONS] if CAPTIONS_KIND in lost else []
    notes += [f"data of each frame is left out: {', '.join(names)}"] if names else []
    return tuple(notes)


def _name(kind: str) -> str:
    return _NAMES.get(kind, kind.lower().replace("_", " "))
