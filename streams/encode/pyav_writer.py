"""Frames and copied packets into a file, encoded in this process by PyAV: no ffmpeg program."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import prod
from typing import Any

import av
import numpy as np
import torch
from av import Packet, VideoFrame
from av.codec import Codec
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vsr.address import names_file
from vsr.errors import ConfigurationError, EncodeError
from vsr.streams.colour.convert import from_rgb
from vsr.streams.colour.padding import pad_to
from vsr.streams.decode.timestamps import FALLBACK_RATE
from vsr.streams.decode.unsupported import frame_data_notes
from vsr.streams.encode.command import tag_options
from vsr.streams.encode.encoders import default_options
from vsr.streams.encode.negotiation import holds_sound
from vsr.streams.encode.plan import PicturePlan, plan_picture, refuse_many_files
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.time_base import AVI, FrameClock, clock_note, container_clock
from vsr.streams.names.container import local_name, open_input, reason
from vsr.streams.names.formats import suffix_of
from vsr.streams.names.target import TargetFile
from vsr.types import Chunk, OtherStream, StreamInfo

_FAILURES = (FFmpegError, ValueError, OSError)


class PyAVWriter:
    """Encodes frames and copies audio packets into one file, in the calling thread.

    Attributes:
        notes: Differences from what was asked for or is usual, a sentence each.
        frames: Frames written so far.
    """

    added_frames = 0

    def __init__(self, request: EncodeRequest) -> None:
        """Check everything and open the encoder; see ``open_writer``."""
        self.frames = 0
        self._announced = request.size
        suffix = suffix_of(request.target)
        info = request.info
        self._plan = plan_picture(request, suffix, formats=_formats)
        refuse_many_files(request.target, suffix, self._plan.options, info.num_frames)
        self._shift_s = request.shift_s
        self._suffix = suffix
        self._time_base = container_clock(suffix, info.time_base, info.frame_rate)
        self._clock = FrameClock(self._time_base)
        self._target = TargetFile(
            request.target, source=request.source, overwrite=request.overwrite
        )
        try:
            self._open(request.info, request.source)
        except _FAILURES as error:
            self.abort()
            raise ConfigurationError(
                f"{request.width}x{request.height} cannot be encoded with {self._plan.encoder} "
                f"into '{suffix}' ({reason(error)}); change the encoder, its arguments or the "
                "output's name"
            ) from error
        except BaseException:
            self.abort()
            raise

    def write(self, chunk: Chunk) -> None:
        """Append frames, in order.

        Raises:
            EncodeError: The encoder failed, or frames of another size came.
        """
        if tuple(chunk.frames.shape[2:]) != self._announced:
            raise EncodeError(
                f"frames of {tuple(chunk.frames.shape[2:])} came, {self._announced} were announced"
            )
        frames = pad_to(chunk.frames, self._plan.size)
        samples = from_rgb(frames, self._plan.pixel_format, self._plan.colour)
        for frame, pts in zip(samples.view(torch.uint8).cpu(), chunk.pts, strict=True):
            time = self._clock.pts(pts, chunk.time_base)
            self._encode(self._video_frame(frame.numpy(), time))
            self.frames += 1

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Append packets of the copied streams; they belong to the writer afterwards.

        Raises:
            EncodeError: A packet cannot be copied.
        """
        for packet in packets:
            stream = self._copied.get(packet.stream_index)
            if stream is not None and packet.dts is not None:
                shift = round(self._shift_s / packet.time_base)
                packet.dts += shift
                packet.pts = packet.dts if packet.pts is None else packet.pts + shift
                packet.stream = stream
                self._mux(packet)

    def finish(self, *, partial: bool = False) -> str:
        """Encode the remaining frames and give the file its name.

        Raises:
            EncodeError: The encoder or the disk failed, or no frame was ever written.
        """
        if not self.frames:
            raise EncodeError("no frame was written, so there is no output")
        self._encode(None)
        try:
            self._container.close()
        except _FAILURES as error:
            raise EncodeError(f"the output cannot be closed ({reason(error)})") from error
        return self._target.keep(partial=partial)

    def abort(self) -> None:
        """Remove what was written; never raises."""
        with suppress(AttributeError, *_FAILURES):
            self._container.close()
        self._target.remove()

    def _open(self, info: StreamInfo, source: str | None) -> None:
        self._target.create()
        self._container = av.open(local_name(self._target.temporary), "w")
        self._video = self._add_video(info)
        audio = [other for other in info.others if other.kind == "audio" and other.template]
        copies = {other.index: self._copy(other) for other in audio}
        self._copied = {index: copy for index, copy in copies.items() if copy is not None}
        has_chapters = False
        if source is not None and names_file(source):
            with open_input(local_name(source)) as original:
                self._container.metadata.update(original.metadata)
                _name(self._video, original.streams[info.index])
                has_chapters = bool(original.chapters())
        self._video.codec_context.open()
        unused = set(self._video.codec_context.options) & set(self._plan.options)
        if unused:
            raise ConfigurationError(
                f"{self._plan.encoder} does not know {', '.join(sorted(unused))}; give options of "
                "the encoder alone, or let the ffmpeg program encode"
            )
        self.notes = self._own_notes(info) + _notes(self._plan, info, has_chapters=has_chapters)

    def _own_notes(self, info: StreamInfo) -> tuple[str, ...]:
        """Sentences about what the container does not hold."""
        notes: list[str] = []
        if self._time_base != info.time_base:
            note = clock_note(f"'{self._suffix}'", self._time_base)
            notes += [note] if note else []
        audio = [other for other in info.others if other.kind == "audio"]
        if lost := sorted({other.codec for other in audio if other.index not in self._copied}):
            notes.append(
                f"'{self._suffix}' cannot hold the source's audio ({', '.join(lost)}): it is left "
                "out; the ffmpeg program would transcode it"
            )
        return tuple(notes)

    def _add_video(self, info: StreamInfo) -> VideoStream:
        plan = self._plan
        options = {**default_options(plan.encoder, plan.options), **plan.options}
        if self._suffix == AVI:
            options = {"bf": "0", **options}
        words = {k.removesuffix(":v"): str(v) for k, v in options.items() if v is not None}
        words.pop("pix_fmt", None)
        rate = info.frame_rate or FALLBACK_RATE
        stream = self._container.add_stream(
            plan.encoder, rate=rate, options=words | tag_options(plan.colour)
        )
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = plan.size
        stream.pix_fmt = plan.pixel_format.name
        stream.time_base = stream.codec_context.time_base = self._time_base
        stream.codec_context.sample_aspect_ratio = info.sample_aspect_ratio
        return stream

    def _copy(self, other: OtherStream) -> Stream | None:
        """A stream for the packets of another; None where the container cannot hold them."""
        if not holds_sound(self._suffix, other.codec):
            return None
        try:
            stream: Stream = self._container.add_stream_from_template(other.template)
        except ValueError:
            return None
        _name(stream, other.template)
        flags = [Disposition[name] for name in other.dispositions]
        stream.disposition = Disposition(sum(flag.value for flag in flags))
        return stream

    def _video_frame(self, samples: np.ndarray[Any, Any], pts: int) -> VideoFrame:
        height, width = self._plan.size
        frame = VideoFrame(width, height, self._plan.pixel_format.name)
        itemsize = self._plan.pixel_format.dtype.itemsize
        start = 0
        for plane, shape in zip(
            frame.planes, self._plan.pixel_format.plane_shapes(height, width), strict=True
        ):
            rows, used = shape[0], prod(shape[1:]) * itemsize
            padded = np.zeros((rows, plane.line_size), np.uint8)
            padded[:, :used] = samples[start : start + rows * used].reshape(rows, used)
            plane.update(padded.tobytes())
            start += rows * used
        frame.pts = pts + round(self._shift_s / self._time_base)
        frame.time_base = self._time_base
        return frame

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            packets = self._video.encode(frame)
        except _FAILURES as error:
            raise EncodeError(f"{self._plan.encoder} failed: {reason(error)}") from error
        for packet in packets:
            self._mux(packet)

    def _mux(self, packet: Packet[Any]) -> None:
        try:
            self._container.mux_one(packet)
        except _FAILURES as error:
            raise EncodeError(
                f"a packet at {packet.pts} cannot be written ({reason(error)})"
            ) from error


def _formats(encoder: str) -> tuple[str, ...]:
    """Pixel formats that an encoder of the library takes; empty where it does not say."""
    try:
        codec = Codec(encoder, "w")
    except ValueError as error:
        raise ConfigurationError(
            f"PyAV has no encoder {encoder!r}; give another, or let the ffmpeg program encode"
        ) from error
    if codec.type != "video":
        raise ConfigurationError(f"{encoder!r} encodes no video; give a video encoder")
    return tuple(found.name for found in codec.video_formats or ())


def _name(stream: Stream, original: Stream) -> None:
    """Give a stream the language and the title of its source stream."""
    tags = original.metadata
    stream.metadata.update({key: tags[key] for key in ("language", "title") if key in tags})


def _notes(plan: PicturePlan, info: StreamInfo, *, has_chapters: bool) -> tuple[str, ...]:
    lost = sorted({f"{o.kind} ({o.codec})" for o in info.others if o.kind not in {"audio", "data"}})
    lost += ["chapters"] if has_chapters else []
    notes = [plan.size_note] if plan.size_note else []
    if lost:
        notes.append(f"encoding in this process leaves these out: {', '.join(lost)}")
    if info.mastering.light_levels or info.mastering.luminance:
        notes.append("encoding in this process leaves the source's HDR10 metadata out")
    return (*notes, *frame_data_notes(info.frame_data))
