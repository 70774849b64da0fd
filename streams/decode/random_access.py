"""Random access to the frames of a video file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from vsr.errors import DecodeError, MissingDependency, OpenError
from vsr.streams.colour.pixel_format import parse_pixel_format
from vsr.streams.decode.decord_reader import DecordReader
from vsr.streams.decode.scan_type import Scan
from vsr.streams.decode.video_reader import VideoReader
from vsr.types import Chunk, StreamInfo

READ_ON = 64
"""Frames that are rather decoded and left out than sought past: key frames lie further apart."""

CHANGED = "'{}' ended early, or changed while it was read"

LEAD = 2
"""Frames read before the wanted one: deinterlacing looks at its neighbours."""


class SeekingReader:
    """Reads frames by their index; fastest in order. Used by one thread; copies read independently.

    Attributes:
        info: Facts of the file, the number of frames counted.
        notes: What was assumed about the file, a sentence each.
    """

    def __init__(
        self,
        source: str,
        *,
        device: torch.device | str = "cpu",
        times: Sequence[int] | None = None,
        scan: Scan | None = None,
    ) -> None:
        """Decode the file once, to know its frames: no container says reliably how many there are.

        Args:
            source: A file.
            device: Where frames go.
            times: The pts of all frames, where they are known.
            scan: Scan type of all frames, where it is known.

        Raises:
            OpenError: The source is missing, unreadable, or has no frame.
            DecodeError: It is damaged.
        """
        self._source, self._device = source, device
        with VideoReader(source) as reader:
            self.info, self.notes = reader.info, reader.notes
            self._times = tuple(_times(reader) if times is None else times)
            self._scan = next(iter(reader.scans)) if len(reader.scans) == 1 else scan
        self._coming: Iterator[Chunk] = iter(())
        self._reader: VideoReader | None = None
        self._began = self._next = len(self._times)

    def __len__(self) -> int:
        return len(self._times)

    def frames(self, indices: Sequence[int]) -> Tensor:
        """Decode frames.

        Args:
            indices: From 0, in any order, also repeated; at least one.

        Returns:
            (len(indices), 3, H, W), float32, RGB in [0, 1].

        Raises:
            DecodeError: There is no such frame, or the file has changed.
        """
        if not all(0 <= index < len(self) for index in indices):
            raise DecodeError(f"frames {list(indices)} are not all among the {len(self)} there are")
        found = {index: self._read(index) for index in sorted(set(indices))}
        return torch.stack([found[index] for index in indices])

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader, self._next = None, len(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies, in other processes too, know the times and open the file again."""
        return partial(SeekingReader, device=self._device, times=self._times, scan=self._scan), (
            self._source,
        )

    def _read(self, index: int) -> Tensor:
        if not self._next <= index <= self._next + READ_ON:
            self._begin(max(0, index - LEAD))
        while True:
            place, chunk = self._next, next(self._coming, None)
            if chunk is not None and chunk.pts[0] == self._times[place]:
                self._next += 1
                if place == index:
                    return chunk.frames[0]
            elif self._began:  # in some files a seek ends elsewhere
                self._begin(0)
            else:
                raise DecodeError(CHANGED.format(self._source))

    def _begin(self, first: int) -> None:
        self.close()
        # Where the scan changes, what becomes of a frame depends on those in front of it.
        first = 0 if self._scan is None else first
        elapsed = (self._times[first] - self.info.start_pts) * self.info.time_base
        start_s = elapsed if first else None
        try:
            self._reader = VideoReader(
                self._source, device=self._device, start_s=start_s, scan=self._scan
            )
        except OpenError as error:
            raise DecodeError(f"{CHANGED.format(self._source)} ({error})") from error
        self._coming = self._reader.chunks(1)
        self._began = self._next = first


def _times(reader: VideoReader) -> Iterator[int]:
    for chunk in reader.chunks(1):
        yield chunk.pts[0]


class RandomAccess(Protocol):
    """The frames of a video file by their index. Used by one thread; copies read independently."""

    @property
    def info(self) -> StreamInfo: ...

    def __len__(self) -> int: ...

    def frames(self, indices: Sequence[int]) -> Tensor:
        """(len(indices), 3, H, W), float32, RGB in [0, 1]; indices from 0, in any order."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def open_random_access(source: str, *, device: torch.device | str = "cpu") -> RandomAccess:
    """Open a video file whose frames are wanted in any order: for training and evaluation.

    The frames are those of ``open_reader`` whichever library decodes them: decord, where it is
    installed and its frames are the same, or PyAV. decord converts YUV in its own way, 40 dB from
    what players show, so that it is asked for RGB alone.

    Args:
        source: A video file.
        device: Where the frames go.

    Returns:
        A reader, which the caller closes.

    Raises:
        OpenError: The source is missing, empty, or nothing that can be read.
        DecodeError: It is damaged.
    """
    with VideoReader(source) as reader:
        info = reader.info
    if suits_decord(info):
        try:
            found = DecordReader(source, device=device)
        except (MissingDependency, OpenError):
            return SeekingReader(source, device=device)
        if found.agrees:
            return found
    return SeekingReader(source, device=device)


def suits_decord(info: StreamInfo) -> bool:
    """Whether decord's frames of such a stream are to the bit what ``open_reader`` gives."""
    pixel_format = parse_pixel_format(info.pixel_format)
    is_rgb = pixel_format is not None and pixel_format.family == "rgb" and pixel_format.bits == 8
    return is_rgb and not info.rotation
