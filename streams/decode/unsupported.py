"""Features of a decoded frame that no writer can keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from av import VideoFrame

from vsr.streams.colour.hdr import read_mastering

TRANSPARENCY = "the source's transparency is left out"

CAPTIONS = "the source's closed captions, which lie within its frames, are left out"
CAPTIONED = "Closed Captions"
"""What ffmpeg's description says of a stream that has them."""

_DYNAMIC = {
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "DOVI_METADATA": "Dolby Vision",
}


def unsupported_features(frame: VideoFrame) -> tuple[str, ...]:
    """A sentence about each thing that a source's first frame has and its copy will not."""
    notes = [TRANSPARENCY] if any(part.is_alpha for part in frame.format.components) else []
    side_data: Mapping[str, Any] = frame.side_data
    notes += [CAPTIONS] if side_data.get("A53_CC") is not None else []
    dynamic = {name for kind, name in _DYNAMIC.items() if side_data.get(kind) is not None}
    if dynamic:
        notes.append(f"metadata of each frame is left out: {', '.join(sorted(dynamic))}")
    mastering = read_mastering(frame)
    if bool(mastering.chromaticities) != bool(mastering.luminance):
        has, lacks = "primaries", "luminance"
        if mastering.luminance:
            has, lacks = lacks, has
        notes.append(
            f"the source gives its mastering display's {has} without its {lacks}: left out"
        )
    return tuple(notes)
