"""Names of image sequences: folders, and patterns such as ``frames/%06d.png``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vsr.errors import OpenError
from vsr.streams.names.container import PIPE, is_address

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
WRITABLE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})

_NUMBER = re.compile(r"%0?(\d*)d")


def names_images(name: str) -> bool:
    """Whether a name means a sequence of images: a folder, there or to come, or a pattern."""
    if is_address(name) or name == PIPE:
        return False
    path = Path(name)
    if is_pattern(name) or path.is_dir() or name.endswith("/"):
        return True
    return not path.suffix and not path.exists()


def is_pattern(name: str) -> bool:
    """Whether the last part of a name holds a ``%06d``."""
    return bool(_NUMBER.search(Path(name).name))


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


def is_named_by(pattern: str, path: Path) -> bool:
    """Whether a file has a name that a pattern gives."""
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
