"""Frames as numbered images in a folder."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsr.errors import ConfigurationError, EncodeError, OpenError
from vsr.streams.decode.image_codec import LONGEST_SIDES, encode_image
from vsr.streams.decode.unsupported import frame_data_notes
from vsr.streams.encode.encoders import parse_options
from vsr.streams.names.durable import Commit, KeptSegments, LostError, sync
from vsr.streams.names.image_sequence import (
    WRITABLE_SUFFIXES,
    image_folder,
    is_named_by,
    is_pattern,
    list_images,
    names_images,
    numbered_name,
)
from vsr.streams.names.target import name_beside
from vsr.types import Chunk

DEFAULT_NAME = "%08d.png"
FIRST_NUMBER = 1
_PIXEL_FORMATS = frozenset({"None", "rgb24", "rgb48", "rgb48be", "rgb48le"})


class ImageWriter:
    """Writes images into a folder beside the target, which is renamed when complete.

    Where the target exists they are moved into it in the end, one by one. From a folder of images
    the names are kept, with their suffix where two differ in nothing else; otherwise they are
    numbers from 1.
    """

    added_frames = 0

    def __init__(
        self,
        target: str,
        *,
        size: tuple[int, int],
        bit_depth: int = 8,
        frame_data: frozenset[str] = frozenset(),
        encode_args: Sequence[str] = (),
        source: str | None = None,
        overwrite: bool = False,
        kept: KeptSegments | None = None,
    ) -> None:
        """Check the target; see ``open_writer``.

        Args:
            target: A folder or a pattern.
            size: Rows and columns of the frames to come.
            bit_depth: Bit depth of the source: PNG keeps more than 8 bits as 16.
            frame_data: Kinds of data of the source's frames; images hold none of it.
            encode_args: ``-pix_fmt rgb24`` or ``rgb48``, ``-quality 1`` to ``100``.
            source: Where the frames come from.
            overwrite: Replace images that exist: those of the same names, and numbered ones behind
                the last that is written.
            kept: Folder of the images until all are there, however the run ends; None for a
                temporary folder.

        Raises:
            OpenError: The target cannot be written, or images of this size cannot.
            LostError: Images that are kept of an earlier run are missing.
            ConfigurationError: Arguments that images do not know.
        """
        self.notes = frame_data_notes(frame_data)
        self._folder = image_folder(target)
        self._name = _name_of(target)
        self._check(target, source, overwrite=overwrite)
        self._check_size(size)
        self._stems = _kept_stems(target, source)
        self._kept = kept
        self._temporary = _temporary_folder(self._folder)
        self._count, self._is_whole = 0, False
        if kept is not None:
            self._temporary, self._count = kept.folder, kept.passed.frames
            self._check_kept()
        self._unsure: list[Path] = []
        suffix = Path(self._name).suffix.lower()
        self._deep, self._options = _read_arguments(encode_args, suffix, bit_depth)
        if self._kept is None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        try:
            if self._temporary.is_symlink():
                self._temporary.unlink()  # another user of the folder may have laid it
            self._temporary.mkdir(exist_ok=self._kept is not None)
        except OSError as error:
            raise OpenError(f"'{self._temporary}' cannot be written ({error})") from error

    def write(self, chunk: Chunk) -> None:
        """Append frames.

        Raises:
            EncodeError: The disk is full, or the folder is gone.
        """
        for frame, pts in zip(chunk.frames, chunk.pts, strict=True):
            path = self._temporary / self._file_name(pts)
            encode_image(frame, path, deep=self._deep, options=self._options)
            self._count += 1
            self._unsure += [path] if self._kept else []

    def cut(self, commit: Commit) -> None:
        """Make sure that the images are on the disk; ``commit`` as for ``SegmentWriter.cut``."""
        self._sync()
        commit(None, 0)

    def _sync(self) -> None:
        try:
            for path in self._unsure:
                sync(path)
        except OSError as error:
            raise EncodeError(f"images cannot be kept in '{self._temporary}' ({error})") from error
        self._unsure = []

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Images hold no sound: packets are dropped."""

    def finish(self, *, partial: bool = False) -> str:
        """Move the images to their folder and return its name.

        Raises:
            EncodeError: They cannot be moved; they stay where they are.
        """
        if partial:
            return str(self._finish_partly(_partial(self._folder)))
        if self._kept:
            self._sync()
            self._kept.seal()
        self._is_whole = True
        move_images(self._temporary, self._folder)
        if not self._stems:
            remove_later_images(self._folder, self._name, self._count)
        return str(self._folder)

    def _finish_partly(self, folder: Path) -> Path:
        """Put the images into a folder that may hold those of an earlier run."""
        _remove_images(folder)
        if self._kept:
            return _copy_images(self._temporary, folder)
        self._is_whole = True
        return move_images(self._temporary, folder)

    def abort(self) -> None:
        if not (self._kept or self._is_whole):
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
        if overwrite or not self._folder.is_dir():
            return
        there = set(self._folder.iterdir()) - {_temporary_folder(self._folder)}
        if not is_pattern(target) and there:
            raise OpenError(
                f"{target!r} is not empty; give another folder or allow overwriting (-y)"
            )
        if any(is_named_by(target, path) for path in there):
            raise OpenError(
                f"{target!r} names images that exist; give another name or allow overwriting (-y)"
            )

    def _check_size(self, size: tuple[int, int]) -> None:
        suffix = Path(self._name).suffix.lower()
        if max(size) > LONGEST_SIDES.get(suffix, max(size)):
            raise OpenError(
                f"images of {size[1]}x{size[0]} are too large for {suffix}, which takes up to "
                f"{LONGEST_SIDES[suffix]} pixels a side; give .png images"
            )

    def _check_kept(self) -> None:
        """Check that numbered images of an earlier run are all there."""
        for number in range(FIRST_NUMBER, FIRST_NUMBER + (0 if self._stems else self._count)):
            path = self._temporary / numbered_name(self._name, number)
            if not path.is_file():
                raise LostError(f"'{path}' is missing; start again with --overwrite")

    def _file_name(self, pts: int) -> str:
        if pts < len(self._stems):
            return self._stems[pts] + Path(self._name).suffix
        return numbered_name(self._name, FIRST_NUMBER + self._count)


def move_images(origin: Path, folder: Path) -> Path:
    """Move what is left of the images in a folder into another, which is returned.

    At once where there is no such folder yet; one by one into one that exists, which may be
    another file system.

    Raises:
        EncodeError: They cannot be moved; they stay where they are.
    """
    try:
        if not folder.exists():
            return origin.rename(folder)
        for image in origin.iterdir():
            _move(image, folder / image.name)
        origin.rmdir()
    except OSError as error:
        raise EncodeError(
            f"images cannot be moved to '{folder}' ({error}); they are in '{origin}'"
        ) from error
    return folder


def _move(image: Path, target: Path) -> None:
    try:
        image.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = name_beside(target, f".{target.name}.part")
        shutil.copy2(image, copy)
        sync(copy)
        copy.replace(target)
        image.unlink()


def remove_later_images(folder: Path, name: str, count: int) -> None:
    """Remove numbered images that a longer run left, and that would pass for this one's.

    Args:
        folder: Folder of the images.
        name: Pattern of their names.
        count: Number of images that this run has written.
    """
    written = {numbered_name(name, FIRST_NUMBER + i) for i in range(count)}
    anyhow = WRITABLE_SUFFIXES if name == DEFAULT_NAME else ()
    for path in folder.iterdir():
        numbered = path.stem.isdecimal() and path.suffix.lower() in anyhow
        if (numbered or is_named_by(name, path)) and path.name not in written:
            path.unlink()


def finish_images(origin: Path, target: str, source: str, count: int) -> None:
    """Do for a complete folder of images what a writer that was ended could not do any more.

    Args:
        origin: Folder of the images, or what is left of it.
        target: Target of the writer.
        source: Source of the frames.
        count: Number of images in all.

    Raises:
        EncodeError: See ``move_images``.
    """
    folder = image_folder(target)
    if origin.is_dir():
        move_images(origin, folder)
    if folder.is_dir() and not _kept_stems(target, source):
        remove_later_images(folder, _name_of(target), count)


def _remove_images(folder: Path) -> None:
    """Remove the images that an earlier run has left in a folder."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix.lower() in WRITABLE_SUFFIXES:
            path.unlink()


def _copy_images(origin: Path, folder: Path) -> Path:
    """Copy the images instead of moving them: another run resumes with them."""
    folder.mkdir(exist_ok=True)
    for image in origin.iterdir():
        shutil.copy2(image, folder / image.name)
    return folder


def _partial(folder: Path) -> Path:
    return name_beside(folder, f"{folder.name}.partial")


def _read_arguments(
    words: Sequence[str], suffix: str, bit_depth: int
) -> tuple[bool, dict[str, Any]]:
    """Whether images have 16 bits a sample, and the other options of their encoder."""
    options = parse_options(words)
    pixel_format = options.pop("pix_fmt", "rgb48" if bit_depth > 8 and suffix == ".png" else None)
    quality = options.pop("quality", None)
    deep = str(pixel_format).startswith("rgb48")
    if options or str(pixel_format) not in _PIXEL_FORMATS or (deep and suffix != ".png"):
        raise ConfigurationError(
            f"{' '.join(words)!r} is not for {suffix} images; give '-pix_fmt rgb24', '-pix_fmt "
            "rgb48' (PNG only) or '-quality N'"
        )
    if quality is None:
        return deep, {}
    if not str(quality).isdecimal() or not 1 <= int(str(quality)) <= 100 or suffix == ".png":
        raise ConfigurationError(
            f"quality {quality} is not for {suffix} images; JPEG and WebP take 1 to 100"
        )
    return deep, {"quality": int(str(quality)), "lossless": False}


def _folder_of(source: str) -> Path:
    path = Path(source)
    return (path.parent if is_pattern(source) else path).resolve()


def _temporary_folder(folder: Path) -> Path:
    """Beside a folder of images, or in it where it is a file system of its own."""
    beside = name_beside(folder, f".{folder.name}.part")
    if folder.is_dir() and folder.stat().st_dev != folder.absolute().parent.stat().st_dev:
        return folder / beside.name
    return beside


def _name_of(target: str) -> str:
    return Path(target).name if is_pattern(target) else DEFAULT_NAME


def _kept_stems(target: str, source: str | None) -> list[str]:
    """Names that images keep, without their suffix; with it where there would be two of one."""
    if source is None or is_pattern(target) or not names_images(source):
        return []
    images = list_images(source)
    stems = [path.stem for path in images]
    return stems if len(set(stems)) == len(stems) else [path.name for path in images]
