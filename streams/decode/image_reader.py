"""A folder or pattern of images as a stream of evenly timed frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from vsr.errors import DecodeError, OpenError
from vsr.streams.decode.chunk_builder import check_chunk_size
from vsr.streams.decode.image_codec import decode_image, is_transparent
from vsr.streams.decode.unsupported import TRANSPARENCY
from vsr.streams.names.image_sequence import gap_note, list_images
from vsr.streams.names.trim import Seconds, make_trim
from vsr.types import NOTHING, Chunk, Passed, StreamInfo

DEFAULT_RATE = Fraction(25)
ASSUMED_RATE = f"images have no times: {DEFAULT_RATE} frames/s are taken; --frame-rate says others"


class ImageReader:
    """Reads images one after the other; all must be of the first one's size."""

    corrupt_frames = size_changes = 0

    def __init__(
        self,
        source: str,
        *,
        frame_rate: Fraction | None = None,
        start_s: Seconds | None = None,
        end_s: Seconds | None = None,
        device: torch.device | str = "cpu",
        passed: Passed = NOTHING,
    ) -> None:
        """List the images and look at the first.

        Args:
            source: A folder, or a pattern such as ``frames/%06d.png``.
            frame_rate: Frames per second; None for 25.
            start_s: See ``open_reader``.
            end_s: See ``open_reader``.
            device: Where frames go.
            passed: See ``open_reader``.

        Raises:
            OpenError: No images, none in the wanted part, or the first cannot be read.
            ConfigurationError: ``end_s`` is not after ``start_s``.
        """
        rate = frame_rate or DEFAULT_RATE
        self.notes: tuple[str, ...] = () if frame_rate else (ASSUMED_RATE,)
        trim = make_trim(start_s, end_s, Fraction(0))
        images = list_images(source)
        paths = list(enumerate(images))
        self._device = torch.device(device)
        self._paths = [
            (i, p) for i, p in paths if not (trim.is_early(i / rate) or trim.is_late(i / rate))
        ]
        if not self._paths:
            raise OpenError(f"{source!r} has no image in the wanted part, only {len(paths)} in all")
        self._closed = False
        self._info = _describe(self._paths, rate)
        self.notes += (TRANSPARENCY,) if is_transparent(self._paths[0][1]) else ()
        self.notes += (note,) if (note := gap_note(images)) else ()
        self._paths = self._paths[passed.frames :]

    @property
    def info(self) -> StreamInfo:
        return self._info

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield chunks of ``size`` frames; the last may be shorter. Can be called once.

        Raises:
            ConfigurationError: Chunks of no frames.
            DecodeError: An image that cannot be read, or of another size; the message names it.
        """
        check_chunk_size(size)
        while self._paths and not self._closed:
            now, self._paths = self._paths[:size], self._paths[size:]
            frames = torch.stack([self._read(path) for _, path in now])
            yield Chunk(
                frames=frames.to(self._device),
                pts=tuple(index for index, _ in now),
                time_base=self._info.time_base,
            )

    def take_packets(self) -> Sequence[Any]:
        return ()

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _read(self, path: Path) -> Tensor:
        pixels = read_image(path)
        size = self._info.height, self._info.width
        if tuple(pixels.shape[1:]) != size:
            raise DecodeError(
                f"'{path}' is {pixels.shape[2]}x{pixels.shape[1]}, the first image is "
                f"{size[1]}x{size[0]}; give images of one size"
            )
        return pixels


def read_image(path: Path) -> Tensor:
    """Decode an image: (3, H, W), float32, RGB in [0, 1]; transparency is dropped.

    Raises:
        DecodeError: It cannot be read.
    """
    return decode_image(path)[0]


def _describe(paths: Sequence[tuple[int, Path]], rate: Fraction) -> StreamInfo:
    try:
        first, bits = decode_image(paths[0][1])
    except DecodeError as error:
        raise OpenError(str(error)) from error
    return StreamInfo(
        height=first.shape[1],
        width=first.shape[2],
        time_base=1 / rate,
        frame_rate=rate,
        num_frames=len(paths),
        bit_depth=bits,
        pixel_format="rgb48le" if bits > 8 else "rgb24",
    )
