"""Opening readers and writers by name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import torch

from vsr.address import as_name, is_address, shown
from vsr.errors import ConfigurationError
from vsr.streams.decode.deinterlace import Mode
from vsr.streams.decode.image_reader import ImageReader
from vsr.streams.decode.video_reader import VideoReader
from vsr.streams.encode.ffmpeg_writer import FFmpegWriter
from vsr.streams.encode.image_writer import ImageWriter
from vsr.streams.encode.messages import MESSAGE_KINDS
from vsr.streams.encode.null_writer import NullWriter
from vsr.streams.encode.pyav_writer import PyAVWriter
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.segments.one_segment import OneSegmentWriter
from vsr.streams.encode.segments.plan import NotSegmentable
from vsr.streams.encode.segments.target import SegmentedTarget
from vsr.streams.encode.segments.writer import SegmentWriter
from vsr.streams.names.container import PIPE
from vsr.streams.names.durable import KeptSegments
from vsr.streams.names.image_sequence import names_images
from vsr.streams.names.target import NULL
from vsr.streams.names.trim import Seconds
from vsr.types import NOTHING, Passed, Reader, StreamInfo, Writer


def open_reader(
    source: str | Path,
    *,
    start_s: Seconds | None = None,
    end_s: Seconds | None = None,
    device: torch.device | str = "cpu",
    frame_rate: Fraction | None = None,
    deinterlace: Mode = "auto",
    headroom: bool = False,
    hwaccel: str | None = None,
    keep_start: bool = False,
    passed: Passed = NOTHING,
) -> Reader:
    """Open a source of frames.

    Args:
        source: A video file, an address (``rtmp://…``), a folder of images, a pattern of image
            names such as ``frames/%06d.png``, or ``-`` for standard input.
        start_s: Seconds after the first frame; frames before are left out.
        end_s: Seconds after the first frame; this frame and later ones are left out.
        device: Where the frames go.
        frame_rate: Frames per second of images; None for 25. A video has its own.
        deinterlace: ``auto`` to look at the pictures of a video: those that are interlaced become
            progressive, one for one, and telecined film gets its own frames back; ``frame`` to
            deinterlace all; ``field`` to make a frame of each field, at twice the rate; ``off``.
        headroom: Keep what lies beyond black and white, below 0 and above 1: a writer puts it back
            where it was.
        hwaccel: ``auto`` or ffmpeg's name of a kind of device that decodes a video; where it
            cannot, software does, which the reader's notes say.
        keep_start: Leave an output's times where the source's are, also where those begin below
            zero or at a broadcast's clock.
        passed: Frames and packets to skip: they are read all the same, so that later ones are
            unchanged; the description stays that of the whole source.

    Returns:
        A reader, which the caller closes.

    Raises:
        OpenError: The source is missing, empty, or nothing that can be read.
        ConfigurationError: ``end_s`` is not after ``start_s``, a frame rate was given for a
            video, or the source is not a name.
    """
    source = as_name(source)
    if names_images(source):
        return ImageReader(
            source,
            frame_rate=frame_rate,
            start_s=start_s,
            end_s=end_s,
            device=device,
            passed=passed,
        )
    if frame_rate is not None:
        raise ConfigurationError(
            f"a frame rate is for images, {shown(source)!r} has times of its own; "
            "leave --frame-rate out"
        )
    return VideoReader(
        source,
        start_s=start_s,
        end_s=end_s,
        device=device,
        deinterlace=deinterlace,
        headroom=headroom,
        hwaccel=hwaccel,
        keep_start=keep_start,
        passed=passed,
    )


def open_writer(
    target: str | Path,
    info: StreamInfo,
    *,
    height: int,
    width: int,
    encoder: str | None = None,
    encode_args: Sequence[str] = (),
    source: str | None = None,
    start_s: Seconds | None = None,
    end_s: Seconds | None = None,
    overwrite: bool = False,
    in_process: bool = False,
) -> Writer:
    """Open a sink for frames and the packets copied past the network.

    Everything that can be known to fail fails here, before any work: a missing folder, an existing
    target, an unknown encoder, arguments the encoder refuses.

    Args:
        target: A video file, an address, a folder or pattern of images, ``-`` for standard output
            (Matroska, unless ``-f`` in the arguments says otherwise), or ``null``.
        info: The reader's description of the source: time base, colour, streams to copy.
        height: Rows of the frames to come.
        width: Columns of the frames to come.
        encoder: ffmpeg's name of a video encoder; None for the usual one of the container.
        encode_args: Further arguments for ffmpeg's output, as on its command line.
        source: What the reader was opened with: metadata and chapters are taken from a file.
        start_s: Start of the reader's part, at which the target's time begins.
        end_s: End of the reader's part.
        overwrite: Replace a target that exists.
        in_process: Encode a file here by PyAV instead of the ffmpeg program: nothing to start and
            nothing piped, but of the other streams only sound that fits is kept.

    Returns:
        A writer, which the caller ends with ``finish`` or ``abort``.

    Raises:
        OpenError: The target cannot be written, or would replace the source or an existing file.
        ConfigurationError: The encoder or its arguments do not work, or the target is not a name.
    """
    target = as_name(target)
    if target == NULL:
        return NullWriter()
    request = EncodeRequest(
        target=target,
        info=info,
        height=height,
        width=width,
        encoder=encoder,
        encode_args=encode_args,
        source=source,
        start_s=start_s,
        end_s=end_s,
        overwrite=overwrite,
    )
    if names_images(target):
        return _open_images(request)
    if in_process:
        return _open_in_process(request)
    # Captions and the like go into encoded packets, which do not come by in one go.
    if info.frame_data & MESSAGE_KINDS and source is not None and is_file_name(target):
        with suppress(NotSegmentable):
            return OneSegmentWriter(request)
    return FFmpegWriter(request)


def is_file_name(target: str) -> bool:
    """Whether a target is neither an address nor a pipe."""
    return not is_address(target) and target != PIPE


def open_kept_writer(request: EncodeRequest, kept: KeptSegments) -> SegmentWriter | ImageWriter:
    """Open a writer of segments, which survive an interruption of the run.

    Args:
        request: What is to be encoded, into a file, or a folder or pattern of images.
        kept: Folder of the segments, and the segments of an earlier run.

    Raises:
        NotSegmentable: The same can be written, but only by ``open_writer``.
        VSRError: See ``open_writer``.
    """
    if names_images(request.target):
        return _open_images(request, kept)
    return SegmentWriter(SegmentedTarget(request), kept)


def _open_images(request: EncodeRequest, kept: KeptSegments | None = None) -> ImageWriter:
    if request.encoder is not None:
        raise ConfigurationError(
            f"encoder {request.encoder!r} is for videos; images have their suffix: "
            "'frames/%06d.png'"
        )
    return ImageWriter(
        request.target,
        size=request.size,
        bit_depth=request.info.bit_depth,
        frame_data=request.info.frame_data,
        encode_args=request.encode_args,
        source=request.source,
        overwrite=request.overwrite,
        kept=kept,
    )


def _open_in_process(request: EncodeRequest) -> PyAVWriter:
    if not is_file_name(request.target):
        raise ConfigurationError(
            f"{shown(request.target)!r} is no file; only files are encoded in this process: "
            "leave that option out"
        )
    return PyAVWriter(request)
