"""Which reader gives the frames of a video file in any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from vsr.errors import MissingDependency, OpenError
from vsr.streams.colour.pixel_format import parse_pixel_format
from vsr.streams.decode.decord_reader import DecordReader
from vsr.streams.decode.seeking_reader import SeekingReader
from vsr.streams.decode.video_reader import VideoReader
from vsr.types import StreamInfo


class RandomAccess(Protocol):
    """The frames of a video file by their index. Used by one thread; copies read apart."""

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
