"""Random access to the frames of a video file by decord.

Sequential reading is the video reader's: it knows more than 8 bits, keeps every other stream, and
decodes ahead no further than it is asked. decord (Apache-2.0) seeks to any frame by its index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from types import ModuleType
from typing import Any, Self

import torch
from av.error import FFmpegError
from torch import Tensor

from vsr.errors import DecodeError, MissingDependency, OpenError
from vsr.streams.colour.pixel_format import parse_pixel_format
from vsr.streams.colour.tags import complete, luma_matrix
from vsr.streams.decode.chunk_builder import check_chunk_size
from vsr.streams.decode.video_reader import VideoReader
from vsr.streams.names.container import local_name, open_input
from vsr.streams.names.trim import Seconds, make_trim
from vsr.types import Chunk, StreamInfo

ASSUMED_MATRIX = "smpte170m"
"""Matrix that decord assumes for an untagged stream of any size."""


class DecordReader:
    """Reads frames by their index, or all in order; 8 bits, without sound.

    Attributes:
        agrees: Whether the file has as many packets as decord finds frames.
    """

    notes: tuple[str, ...] = ("decord reads 8 bits and no sound",)
    corrupt_frames = size_changes = 0

    def __init__(
        self,
        source: str,
        *,
        start_s: Seconds | None = None,
        end_s: Seconds | None = None,
        device: torch.device | str = "cpu",
        num_threads: int = 1,
    ) -> None:
        """Index the file.

        Args:
            source: A file.
            start_s: See ``open_reader``.
            end_s: See ``open_reader``.
            device: Where frames go.
            num_threads: Number of threads of the decoder.

        Raises:
            MissingDependency: decord is not installed.
            OpenError: The source is missing, unreadable, or has no frame in the wanted part.
            ConfigurationError: ``end_s`` is not after ``start_s``.
        """
        decord = _import_decord()
        with VideoReader(source, deinterlace="off") as reader:
            info = reader.info
        self._source = source
        self._device = torch.device(device)
        self._options: dict[str, Any] = {
            "start_s": start_s,
            "end_s": end_s,
            "device": device,
            "num_threads": num_threads,
        }
        try:
            self._frames = decord.VideoReader(source, num_threads=num_threads)
        except Exception as error:  # decord's own tree of errors, which it does not export
            raise OpenError(f"{source!r} cannot be indexed by decord ({_line(error)})") from error
        times, self.agrees = _times(source, info, self._frames)
        trim = make_trim(start_s, end_s, times[0] * info.time_base)
        seconds = [pts * info.time_base for pts in times]
        self._indices = [
            i for i, t in enumerate(seconds) if not (trim.is_early(t) or trim.is_late(t))
        ]
        if not self._indices:
            raise OpenError(f"{source!r} has no frame in the wanted part, {len(times)} in all")
        self._times = times
        self._correction = _correction(info)
        self._next = 0
        self.info: StreamInfo = replace(
            info, num_frames=len(self._indices), bit_depth=8, pixel_format="rgb24", others=()
        )

    def __len__(self) -> int:
        return len(self._indices)

    def frames(self, indices: Sequence[int]) -> Tensor:
        """Decode frames of the wanted part.

        Args:
            indices: From 0, in any order, also repeated.

        Returns:
            (len(indices), 3, H, W), float32, RGB in [0, 1].

        Raises:
            DecodeError: There is no such frame, or it does not decode.
        """
        if not all(0 <= index < len(self) for index in indices):
            raise DecodeError(f"frames {list(indices)} are not all among the {len(self)} there are")
        try:
            batch = self._frames.get_batch([self._indices[index] for index in indices])
        except Exception as error:  # as above
            raise DecodeError(f"{self._source!r} does not decode ({_line(error)})") from error
        pixels = torch.from_numpy(batch.asnumpy()).to(self._device).movedim(-1, 1)
        if self._correction is None:
            return pixels.float().div_(255).contiguous()
        return torch.einsum("ij,tjhw->tihw", self._correction, pixels / 255).clamp_(0, 1)

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield chunks of ``size`` frames; the last may be shorter. Can be called once.

        Raises:
            ConfigurationError: Chunks of no frames.
        """
        check_chunk_size(size)
        while self._next < len(self):
            now = range(self._next, min(self._next + size, len(self)))
            self._next = now.stop
            yield Chunk(
                frames=self.frames(now),
                pts=tuple(self._times[self._indices[index]] for index in now),
                time_base=self.info.time_base,
            )

    def take_packets(self) -> Sequence[Any]:
        return ()

    def close(self) -> None:
        self._next = len(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies, in other processes too, open the file again."""
        return partial(DecordReader, **self._options), (self._source,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _import_decord() -> ModuleType:
    try:
        import decord
    except ImportError as error:
        raise MissingDependency(
            "random access to videos needs decord; install it with 'pip install vsr-stream[decord]'"
        ) from error
    module: ModuleType = decord
    return module


def _times(source: str, info: StreamInfo, frames: Any) -> tuple[list[int], bool]:
    """A pts for every frame, the packets' own (True) or decord's seconds where those are others."""
    count = len(frames)
    try:
        with open_input(local_name(source)) as container:
            packets = container.demux(container.streams[info.index])
            known = [packet.pts for packet in packets if packet.size]
    except FFmpegError:
        known = []
    found = sorted(pts for pts in known if pts is not None)
    if len(found) == count:
        return found, True
    starts = frames.get_frame_timestamp(range(count))[:, 0]
    seconds = [Fraction(float(start)).limit_denominator(10**6) for start in starts]
    return [info.start_pts + round(second / info.time_base) for second in seconds], False


def _correction(info: StreamInfo) -> Tensor | None:
    """From the RGB that decord makes of an untagged stream to the RGB that players show."""
    pixel_format = parse_pixel_format(info.pixel_format)
    if pixel_format is None or pixel_format.family != "yuv" or info.colour.matrix is not None:
        return None
    matrix = complete(info.colour, pixel_format, height=info.height, width=info.width).matrix
    if matrix == ASSUMED_MATRIX or matrix is None:
        return None
    inverse: Tensor = torch.linalg.inv(luma_matrix(matrix))
    return (inverse @ luma_matrix(ASSUMED_MATRIX)).float()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
