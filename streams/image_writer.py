"""Frames as numbered images in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vsr.errors import EncodeError, OpenError
from vsr.streams.image_files import (
    WRITABLE_SUFFIXES,
    is_pattern,
    list_images,
    names_images,
)
from vsr.types import Chunk

DEFAULT_NAME = "%08d.png"
FIRST_NUMBER = 1
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"compress_level": 1},
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
}


class ImageWriter:
    """Writes 8-bit images into a folder beside the target, which takes its name when whole.

    From a folder of images the names are kept, otherwise they are numbers from 1.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, target: str, *, source: str | None = None, overwrite: bool = False) -> None:
        """Check the target; see ``open_writer``."""
        path = Path(target)
        self._folder, self._name = path, DEFAULT_NAME
        if is_pattern(target):
            self._folder, self._name = path.parent, path.name
        self._check(target, source, overwrite=overwrite)
        self._stems = _source_stems(source) if not is_pattern(target) else []
        self._temporary = self._folder.with_name(f".{self._folder.name}.part")
        self._count = 0
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()

    def write(self, chunk: Chunk) -> None:
        """Append frames.

        Raises:
            EncodeError: The disk is full, or the folder is gone.
        """
        pixels = chunk.frames.float().clamp(0, 1).mul(255).add_(0.5).byte()
        rows = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        for frame, pts in zip(rows, chunk.pts, strict=True):
            self._save(frame, self._temporary / self._file_name(pts))
            self._count += 1

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Images hold no sound: packets are dropped."""

    def finish(self, *, partial: bool = False) -> str:
        """Move the images to their folder and return its name."""
        name = f"{self._folder.name}.partial" if partial else self._folder.name
        folder = self._folder.with_name(name)
        folder.mkdir(exist_ok=True)
        for image in self._temporary.iterdir():
            image.replace(folder / image.name)
        self._temporary.rmdir()
        return str(folder)

    def abort(self) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _check(self, target: str, source: str | None, *, overwrite: bool) -> None:
        suffix = Path(self._name).suffix.lower()
        if suffix not in WRITABLE_SUFFIXES:
            raise OpenError(f"{target!r} names images of type '{suffix}'; use .png, .jpg or .webp")
        if not self._folder.absolute().parent.is_dir():
            raise OpenError(
                f"the folder '{self._folder.parent}' of {target!r} does not exist; create it first"
            )
        if source is not None and _folder_of(source) == self._folder.resolve():
            raise OpenError(f"{target!r} is the source itself; give the output another name")
        if not overwrite and self._folder.is_dir() and any(self._folder.iterdir()):
            raise OpenError(f"{target!r} is not empty; give another folder or allow overwriting")

    def _file_name(self, pts: int) -> str:
        if pts < len(self._stems):
            return self._stems[pts] + Path(self._name).suffix
        return self._name % (FIRST_NUMBER + self._count)

    def _save(self, frame: np.ndarray[Any, np.dtype[np.uint8]], path: Path) -> None:
        try:
            Image.fromarray(frame).save(path, **_SAVE_OPTIONS[path.suffix.lower()])
        except OSError as error:
            raise EncodeError(f"'{path}' cannot be written ({error})") from error


def _folder_of(source: str) -> Path:
    path = Path(source)
    return (path.parent if is_pattern(source) else path).resolve()


def _source_stems(source: str | None) -> list[str]:
    if source is None or not names_images(source):
        return []
    return [path.stem for path in list_images(source)]
