"""Files as a whole: written under another name first, and told apart by their contents."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vsr.errors import OpenError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name, and rename it when it is whole.

    Raises:
        OpenError: It cannot be written; an existing file is unchanged.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    except (OSError, RuntimeError) as error:  # the latter is torch's
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise OpenError(
            f"'{path}' cannot be written ({first_line(error)}); "
            "give a name in a folder that exists and has room"
        ) from error


def first_line(error: Exception) -> str:
    """The first line of a library's message, cut at a word."""
    line = "" if isinstance(error, LookupError) else str(error).strip().split("\n")[0]
    return textwrap.shorten(line, 120, placeholder=" ...") or type(error).__name__


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
