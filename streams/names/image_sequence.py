"""Names of image sequences: folders, and patterns such as ``frames/%06d.png``."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from vsr.address import is_address
from vsr.errors import OpenError
from vsr.streams.names.container import PIPE
from vsr.streams.names.formats import VIDEO_SUFFIXES

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
WRITABLE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})

_LAST_NUMBER = re.compile(r"(.*?)(\d+)")
_NUMBER = re.compile(r"%0?(\d*)d")


def names_images(name: str) -> bool:
    """Whether a name means a sequence of images: a folder, existing or to be made, or a pattern.

    An existing file is never taken for a sequence, whatever its name looks like.
    """
    if is_address(name) or name == PIPE:
        return False
    path = Path(name)
    if is_pattern(name) or path.is_dir() or name.endswith("/"):
        return True
    return not path.suffix and not path.exists()


def is_pattern(name: str) -> bool:
    """Whether the last part of a name holds a ``%06d`` and names neither a video nor a file."""
    path = Path(name)
    numbered = _NUMBER.search(path.name) and path.suffix.lower() not in VIDEO_SUFFIXES
    return bool(numbered) and not path.exists()


def image_folder(name: str) -> Path:
    """The folder that a folder's name or a pattern means; one that has a name of its own.

    Raises:
        OpenError: It is the root of the file system, beside which nothing can be written.
    """
    folder = Path(name).parent if is_pattern(name) else Path(name)
    if folder.name in {"", ".."}:
        folder = Path(os.path.abspath(folder))  # noqa: PTH100 - it removes '..', links stay
    if not folder.name:
        raise OpenError(f"{name!r} means the root of all folders; give a folder below it")
    return folder


def numbered_name(pattern: str, number: int) -> str:
    """The name that a pattern gives to the image of a number."""
    return _NUMBER.sub(lambda digits: f"{number:0{int(digits[1] or 0)}d}", pattern, count=1)


def is_named_by(pattern: str, path: Path) -> bool:
    """Whether a file's name matches a pattern."""
    return bool(_matcher(Path(pattern).name).match(path.name))


def list_images(name: str) -> list[Path]:
    """The images of a folder or pattern in natural order: 2 before 10.

    Raises:
        OpenError: There are none.
    """
    path = Path(name)
    folder = path.parent if is_pattern(name) else path
    if not folder.is_dir():
        raise OpenError(f"the folder '{folder}' does not exist; give a folder of images or a video")
    wanted = _matcher(path.name) if is_pattern(name) else None
    found = [p for p in folder.iterdir() if _is_image(p) and (not wanted or wanted.match(p.name))]
    if not found:
        what = f"no image named like '{path.name}'" if wanted else "no image"
        raise OpenError(
            f"the folder '{folder}' holds {what}; PNG, JPEG, WebP, BMP and TIFF are read"
        )
    return sorted(found, key=_natural)


def gap_note(images: Sequence[Path]) -> str | None:
    """A sentence about numbers that are missing among numbered images; None without any.

    Images count in steps of the least distance between two numbers.
    """
    numbered = [(_LAST_NUMBER.fullmatch(path.stem), path) for path in images]
    found = [(match[1], int(match[2]), path) for match, path in numbered if match]
    if len(found) < len(images) or len({name for name, _, _ in found}) != 1:
        return None
    pairs = [(b - a, one, two) for (_, a, one), (_, b, two) in itertools.pairwise(found)]
    step = min((apart for apart, _, _ in pairs if apart > 0), default=1)
    gaps = [(apart // step - 1, one, two) for apart, one, two in pairs if apart > step]
    if not gaps:
        return None
    _, one, two = gaps[0]
    return (
        f"{sum(missing for missing, _, _ in gaps)} of the numbered images are missing, first "
        f"between '{one.name}' and '{two.name}': those that are there follow each other"
    )


def _is_image(path: Path) -> bool:
    return (
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _matcher(pattern: str) -> re.Pattern[str]:
    before, after = _NUMBER.split(pattern, maxsplit=1)[::2]
    return re.compile(rf"{re.escape(before)}\d+{re.escape(after)}$")


def _natural(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
