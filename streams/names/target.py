"""Targets: files written under a temporary name and renamed when complete."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from vsr.address import is_address, shown
from vsr.errors import OpenError
from vsr.streams.names.container import OUTPUT_PIPE, PIPE
from vsr.streams.names.image_sequence import image_folder, names_images

LONGEST_NAME = 255
"""Bytes of a file's name."""

NULL = "null"
"""The target that throws frames away."""


class TargetFile:
    """The names of one output file.

    Attributes:
        path: The final name.
        temporary: Where it is written, ``.NAME.part.EXT`` in the same folder: muxers go by EXT.
        trial: Where an encoder may be tried out.
    """

    def __init__(self, target: str, *, source: str | None, overwrite: bool) -> None:
        """Check that the file can be written.

        Raises:
            OpenError: It exists and may not be replaced, it is the source, or its folder is
                missing or takes no file.
        """
        self.path = Path(target)
        self.temporary = str(temporary_name(self.path))
        if not is_short(self.path.name):
            raise OpenError(
                f"the name {self.path.name[:40]!r}… is too long; names have {LONGEST_NAME} bytes "
                "at most"
            )
        self.trial = str(name_beside(self.path, f".{self.path.stem}.trial{self.path.suffix}"))
        folder = self.path.parent
        if not folder.is_dir():
            raise OpenError(
                f"the folder '{folder}' of {shown(target)!r} does not exist; create it first"
            )
        if source is not None and _same(self.path, Path(source)):
            raise OpenError(f"{shown(target)!r} is the source itself; give the output another name")
        if self.path.exists() and not overwrite:
            raise OpenError(
                f"{shown(target)!r} already exists; give another name or allow overwriting (-y)"
            )
        self._try()

    def _try(self) -> None:
        self.create_trial()
        Path(self.trial).unlink(missing_ok=True)

    def create(self) -> None:
        """Create the file to write, empty, before a program opens it by its name.

        A link in its place, which another user of the folder may have laid, is removed and not
        followed; so is the file of a killed run. Permissions are what the umask leaves.

        Raises:
            OpenError: It cannot be created.
        """
        self._create(self.temporary)

    def create_trial(self) -> None:
        """Create the file for the trial of an encoder, empty.

        Raises:
            OpenError: It cannot be created.
        """
        self._create(self.trial)

    def _create(self, name: str) -> None:
        try:
            Path(name).unlink(missing_ok=True)
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
            os.close(os.open(name, flags, 0o666))
        except OSError as error:
            raise OpenError(
                f"'{self.path}' cannot be written ({error.strerror}); give a name in another folder"
            ) from error

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written to the file; raises ``OSError`` where it is missing."""
        return Path(self.temporary).stat().st_size == 0

    def keep(self, *, partial: bool) -> str:
        """Rename what was written; return its name."""
        final = self.name(partial=partial)
        Path(self.temporary).replace(final)
        return str(final)

    def name(self, *, partial: bool) -> Path:
        """Final name of the file."""
        name = f"{self.path.stem}.partial{self.path.suffix}" if partial else self.path.name
        return name_beside(self.path, name)

    def remove(self) -> None:
        """Remove what was written; never raises."""
        for name in (self.temporary, self.trial):
            with suppress(OSError):
                Path(name).unlink(missing_ok=True)


def local_target(target: str) -> Path | None:
    """The file or the folder of images that a target is; None for pipes, addresses and ``null``."""
    if target in {PIPE, NULL} or is_address(target):
        return None
    return image_folder(target) if names_images(target) else Path(target)


def temporary_name(path: Path) -> Path:
    """Name of a file until it is whole."""
    return name_beside(path, f".{path.stem}.part{path.suffix}")


def is_short(name: str) -> bool:
    """Whether a name is short enough for file systems."""
    return len(os.fsencode(name)) <= LONGEST_NAME


def name_beside(path: Path, name: str) -> Path:
    """A file beside another, with a part of the name's hash for a stem where that is too long.

    Args:
        path: The file that it belongs to.
        name: Its name where that is short enough: ``.NAME.part.EXT`` and its like.
    """
    if is_short(name):
        return path.with_name(name)
    kind = name.removeprefix(".").removeprefix(path.stem)
    hidden = "." if name.startswith(".") else ""
    return path.with_name(
        f"{hidden}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}{kind}"
    )


class TargetAddress:
    """An address: written directly, nothing to rename or remove."""

    def __init__(self, target: str) -> None:
        self.temporary = target
        self.trial = os.devnull

    def create(self) -> None:
        """Do nothing: the writer opens it."""

    def keep(self, *, partial: bool) -> str:
        return self.temporary

    def remove(self) -> None:
        pass


class TargetPipe(TargetAddress):
    """Standard output."""

    def __init__(self) -> None:
        super().__init__(OUTPUT_PIPE)

    def keep(self, *, partial: bool) -> str:
        return PIPE


def names_same_file(one: str, other: str) -> bool:
    """Whether two names are of one local file or folder, which need not exist yet."""
    first, second = local_target(one), local_target(other)
    if first is None or second is None:
        return False
    return _same(first, second) or first.resolve() == second.resolve()


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
