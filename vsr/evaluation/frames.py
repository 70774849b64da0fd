"""The frames of a clip by number: a folder of images, or a video file."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from vsr.errors import DecodeError
from vsr.streams import open_reader
from vsr.streams.image_files import IMAGE_SUFFIXES, list_images
from vsr.streams.image_reader import read_image

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts", ".y4m")

_READ_AT_ONCE = 8


class Frames(Protocol):
    """Frames of one size, read when they are asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of each frame: an image's name without its ending, or its number in a video."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """The files behind them."""
        ...

    def read(self, start: int, stop: int) -> Tensor:
        """Frames start <= i < stop: (T, 3, H, W), float32, RGB in [0, 1].

        Raises:
            DecodeError: A file that cannot be read; the message names it.
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
        return torch.stack([read_image(file) for file in self.files[start:stop]])

    def only(self, indices: Sequence[int]) -> ImageFrames:
        return ImageFrames([self.files[i] for i in indices])


class VideoFrames:
    """Frames of a video file, numbered from 0; reading in order is what it is fast at."""

    def __init__(self, file: Path, indices: Sequence[int] | None = None) -> None:
        """Count the frames, which no container says reliably.

        Raises:
            OpenError: It is no video.
        """
        self.files = (file,)
        if indices is None:
            with open_reader(str(file)) as reader:
                indices = range(sum(len(chunk) for chunk in reader.chunks(_READ_AT_ONCE)))
        self._indices = tuple(indices)
        self.names = tuple(f"{i:08}" for i in self._indices)
        self._decoding: Iterator[Tensor] = iter(())
        self._next = len(self._indices)

    def read(self, start: int, stop: int) -> Tensor:
        if start < self._next:
            self._decoding, self._next = self._decode(), 0
        skipped = start - self._next
        self._next = stop
        frames = list(itertools.islice(self._decoding, skipped, skipped + stop - start))
        if len(frames) < stop - start:
            raise DecodeError(f"'{self.files[0]}' ended early, or changed while it was read")
        return torch.stack(frames)

    def only(self, indices: Sequence[int]) -> VideoFrames:
        return VideoFrames(self.files[0], [self._indices[i] for i in indices])

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_decoding": iter(()), "_next": len(self._indices)}

    def _decode(self) -> Iterator[Tensor]:
        wanted = set(self._indices)
        with open_reader(str(self.files[0])) as reader:
            chunks = (chunk.frames for chunk in reader.chunks(_READ_AT_ONCE))
            for i, frame in enumerate(itertools.chain.from_iterable(chunks)):
                if i in wanted:
                    yield frame


def find_source(path: Path) -> Path | None:
    """What a pattern of a layout means: a folder of images, or a video file of that name."""
    if path.is_dir() and holds_images(path):
        return path
    videos = (path.with_name(path.name + suffix) for suffix in VIDEO_SUFFIXES)
    return next((video for video in videos if video.is_file()), None)


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
