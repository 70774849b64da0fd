"""The frames of a clip by number: a folder of images, or a video file."""

from __future__ import annotations

import copy
import glob
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from vsr.errors import DecodeError
from vsr.streams import open_random_access
from vsr.streams.decode.image_reader import read_image
from vsr.streams.decode.random_access import RandomAccess
from vsr.streams.names.formats import VIDEO_SUFFIXES
from vsr.streams.names.image_sequence import IMAGE_SUFFIXES, list_images


class Frames(Protocol):
    """Frames of one size, read when they are asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """The frames' names: of images without the suffix, in videos their numbers."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the frames."""
        ...

    def read(self, start: int, stop: int) -> Tensor:
        """Frames start <= i < stop: (T, 3, H, W), float32, RGB in [0, 1].

        Raises:
            DecodeError: A file that cannot be read, or of another size; the message names it.
        """
        ...

    def only(self, indices: Sequence[int]) -> Frames:
        """Some of the frames, in that order."""
        ...


class ImageFrames:
    """Image files in the order they are given."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self.names = tuple(file.stem for file in files)

    def read(self, start: int, stop: int) -> Tensor:
        images = [read_image(file) for file in self.files[start:stop]]
        for file, image in zip(self.files[start:stop], images, strict=True):
            if image.shape != images[0].shape:
                (_, height, width), (_, h, w) = image.shape, images[0].shape
                raise DecodeError(
                    f"'{file}' is {width}x{height}, images before it are {w}x{h}; give a clip of "
                    "one size"
                )
        return torch.stack(images)

    def only(self, indices: Sequence[int]) -> ImageFrames:
        return ImageFrames([self.files[i] for i in indices])


class VideoFrames:
    """Frames of a video file, numbered from 0; fastest when read in order."""

    def __init__(
        self,
        file: Path,
        indices: Sequence[int] | None = None,
        reader: RandomAccess | None = None,
    ) -> None:
        """Count the frames.

        Args:
            file: A video.
            indices: Indices of the wanted frames; None for all.
            reader: An open reader of that file; None to open one.

        Raises:
            OpenError: It is not a video.
        """
        self.files = (file,)
        self._reader = open_random_access(str(file)) if reader is None else reader
        self._indices = tuple(range(len(self._reader)) if indices is None else indices)
        self.names = tuple(f"{i:08}" for i in self._indices)

    def read(self, start: int, stop: int) -> Tensor:
        return self._reader.frames(self._indices[start:stop])

    def only(self, indices: Sequence[int]) -> VideoFrames:
        return VideoFrames(
            self.files[0], [self._indices[i] for i in indices], copy.copy(self._reader)
        )


def find_source(path: Path) -> Path | None:
    """The source that a pattern of a layout names: a folder of images, or a video file."""
    if path.is_dir() and holds_images(path):
        return path
    if not path.parent.is_dir():
        return None
    beside = sorted(file for file in path.parent.glob(f"{glob.escape(path.name)}.*"))
    videos = (file for file in beside if file.suffix.lower() in VIDEO_SUFFIXES)
    return next((video for video in videos if video.stem == path.name and video.is_file()), None)


def holds_images(folder: Path) -> bool:
    """Whether a folder has images directly inside."""
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in folder.iterdir())


def open_frames(source: Path) -> Frames:
    """The frames of a folder of images or of a video file.

    Raises:
        OpenError: Nothing there that can be read; the message names it.
    """
    if source.is_dir():
        return ImageFrames(list_images(str(source)))
    return VideoFrames(source)


def checksum(files: Sequence[Path]) -> str:
    """SHA-256 over the names and contents of files, in their order; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:16]
