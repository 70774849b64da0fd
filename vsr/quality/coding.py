"""Degradation by a real video encoder: frames are encoded and decoded again by PyAV.

T time, H, W size.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import av
import numpy as np
import torch
from av.video.stream import VideoStream
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.streams.colour.convert import from_rgb, to_rgb
from vsr.streams.colour.pixel_format import nearest_pixel_format
from vsr.streams.decode.quantisers import export_quantisers, mean_quantiser
from vsr.types import Colour

YUV420 = nearest_pixel_format(av.VideoFormat("yuv420p"))
COLOUR = Colour(matrix="smpte170m", range="tv", chroma_location="left")
RATE = 25
"""Frames per second that encoders are told; what they decide by it (rate control) is not used."""

LEAST_SIDE = {"libx265": 64}
"""Least side of a picture by encoder, to which smaller ones are enlarged by their last rows and
columns: x265 4 writes beyond its buffers under 48 pixels, which ends the process."""


@dataclass(frozen=True, kw_only=True)
class Coding:
    """One encoder with the options of one clip.

    Attributes:
        codec: ffmpeg's name of the encoder, such as ``libx264``.
        options: Options such as ``{"crf": "28", "preset": "fast"}``, or for encoders without
            ``crf`` the same ``qmin`` and ``qmax``.
    """

    codec: str
    options: Mapping[str, str] = field(default_factory=dict)


def code(frames_u8: Tensor, coding: Coding) -> Tensor:
    """Encode a clip as YUV 4:2:0 of 8 bits and decode it.

    Args:
        frames_u8: (T, 3, H, W) RGB, uint8; even sides.
        coding: The encoder.

    Returns:
        (T, 3, H, W), uint8.

    Raises:
        ConfigurationError: An odd side, or an encoder that this ffmpeg lacks or that refuses its
            options.
    """
    return code_and_tell(frames_u8, coding)[0]


def code_and_tell(frames_u8: Tensor, coding: Coding) -> tuple[Tensor, float | None]:
    """As ``code``, with the mean quantiser in H.264's scale; None where the decoder has none."""
    height, width = frames_u8.shape[-2:]
    if height % 2 or width % 2:
        raise ConfigurationError(f"a clip of {width}x{height} cannot be coded; give even sides")
    file = io.BytesIO()
    try:
        _encode(_of_side(frames_u8, LEAST_SIDE.get(coding.codec, 2)), coding, file)
    except (av.error.FFmpegError, ValueError) as error:
        raise ConfigurationError(
            f"{coding.codec} refuses {dict(coding.options)} ({error}); correct the degradation"
        ) from error
    file.seek(0)
    with av.open(file, mode="r") as container:
        export_quantisers(container.streams.video[0])
        pictures = list(container.decode(video=0))
    quantisers = [qp for qp in map(mean_quantiser, pictures) if qp is not None]
    decoded = np.stack([picture.to_ndarray(format="yuv420p") for picture in pictures])
    frames = to_rgb(_planes(torch.from_numpy(decoded)), YUV420, COLOUR)
    shown = frames[..., :height, :width].mul(255).round_().byte()
    return shown, sum(quantisers) / len(quantisers) if quantisers else None


def _of_side(frames_u8: Tensor, least: int) -> Tensor:
    """Frames of at least so many rows and columns, the last ones repeated."""
    for axis in (2, 3):
        side = frames_u8.shape[axis]
        if side < least:
            places = torch.arange(least).clamp(max=side - 1)
            frames_u8 = frames_u8.index_select(axis, places)
    return frames_u8


def _encode(frames_u8: Tensor, coding: Coding, file: io.BytesIO) -> None:
    with av.open(file, mode="w", format="matroska") as container:
        stream = container.add_stream(coding.codec, rate=RATE)
        if not isinstance(stream, VideoStream):
            raise ConfigurationError(f"{coding.codec} encodes no video; give a video encoder")
        stream.height, stream.width = frames_u8.shape[-2:]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.options = dict(coding.options)
        for picture in _pictures(frames_u8):
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _pictures(frames_u8: Tensor) -> Iterator[av.VideoFrame]:
    """The frames in YUV. ffmpeg's own conversion darkens them by a level, which networks learn."""
    height, width = frames_u8.shape[-2:]
    samples = from_rgb(frames_u8.float().div(255), YUV420, COLOUR)
    for frame in samples.view(-1, height * 3 // 2, width).numpy():
        yield av.VideoFrame.from_ndarray(frame, format="yuv420p")


def _planes(stacked: Tensor) -> list[Tensor]:
    """Planes of frames (T, 3 H / 2, W), in which they lie one after the other."""
    count, rows, width = stacked.shape
    height = rows * 2 // 3
    sizes = [height * width, height * width // 4, height * width // 4]
    luma, blue, red = torch.split(stacked.flatten(1), sizes, 1)
    small = (count, height // 2, width // 2)
    return [luma.view(count, height, width), blue.view(small), red.view(small)]
