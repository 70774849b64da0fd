"""The quantiser of every frame, as the decoder knows it: how coarsely a film was coded.

H.264, MPEG-2 and MPEG-4 export the quantiser of each macroblock, VP9 one for each frame; other
codecs export none. Layout of the side data: ``AVVideoEncParams`` (libavutil/video_enc_params.h).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vsr.streams.names.container import open_container

_HEADER = struct.Struct("=IxxxxQQii")
_VP9, _H264, _MPEG2 = 0, 1, 2
_VP9_BEND, _VP9_GROWTH = 98, 0.0184
"""VP9's table of step sizes, in eighths of a level: one an index up to here, then growing at this
rate to 1828 at 255; a rough fit."""

_QP_COLUMN = 4


@dataclass(frozen=True, kw_only=True)
class FrameQuantiser:
    """Mean quantiser of a frame in H.264's scale, and its pts in the stream's time base."""

    pts: int | None
    qp: float


def read_quantisers(source: str, *, start_s: float = 0) -> Iterator[FrameQuantiser]:
    """Decode a file and yield the quantiser of every frame that has one.

    Args:
        source: A file.
        start_s: Begin at the last key frame before so many seconds after the start.

    Raises:
        OpenError: The source cannot be opened.
    """
    container, stream = open_container(source)
    with container:
        if start_s and stream.time_base:
            container.seek(
                (stream.start_time or 0) + int(start_s / stream.time_base), stream=stream
            )
        export_quantisers(stream)
        try:
            for frame in container.decode(stream):
                qp = mean_quantiser(frame)
                if qp is not None:
                    yield FrameQuantiser(pts=frame.pts, qp=qp)
        except av.error.FFmpegError:
            return  # a damaged end: what was read holds


def export_quantisers(stream: VideoStream) -> None:
    """Have a stream's decoder tell its quantisers; before the first frame is decoded."""
    stream.codec_context.options = {"export_side_data": "venc_params"}
    # By slices: threads over frames give a frame out while its blocks are still written.
    stream.thread_type = "SLICE"


def mean_quantiser(frame: VideoFrame) -> float | None:
    """The mean over a frame's blocks in H.264's scale; None without side data."""
    side_data: Mapping[str, Any] = SideDataContainer(frame)  # type: ignore[call-arg]
    data = side_data.get("VIDEO_ENC_PARAMS")
    if data is None:
        return None
    raw = bytes(data)
    count, offset, size, kind, qp = _HEADER.unpack_from(raw)
    value = float(qp)
    if count:
        blocks = np.frombuffer(raw, np.int32, count * size // 4, offset).reshape(count, -1)
        value += float(blocks[:, _QP_COLUMN].mean())
    return _in_h264(value, kind)


def _in_h264(value: float, kind: int) -> float | None:
    """A quantiser in H.264's scale, whose step size is 1 at 4 and doubles every 6."""
    if kind == _H264:
        return value
    if kind == _MPEG2:
        return _of_step(value)
    if kind == _VP9:
        linear = min(value, _VP9_BEND) + 4
        return _of_step(linear * math.exp(_VP9_GROWTH * max(0.0, value - _VP9_BEND)) / 8)
    return None


def _of_step(step: float) -> float:
    return 4 + 6 * math.log2(max(step, 0.5))
