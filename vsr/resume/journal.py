"""What a run leaves beside its target, so that another can go on after it was ended.

    out.mkv.resume/
        journal.jsonl            what the run was asked for, then a line per border
        segment-….nut, images/   what is encoded
        state-….safetensors      the network's state and the scenes' marks at the last border

A line is written once all that it names is on the disk: whatever ends the run, a power cut too,
what whole lines name is there. Anything else in the folder is of no use.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from vsr.errors import EncodeError, OpenError
from vsr.streams.names.durable import sync
from vsr.streams.names.target import local_target
from vsr.types import Passed

FORMAT = 2
_FORMAT, _SEALED = "format", "sealed"


@dataclass(frozen=True, kw_only=True)
class Border:
    """A moment between two steps from which another run can go on.

    Attributes:
        number: 1 for the first.
        frames: Restored before it.
        packets: Copied packets that the segments before it hold.
        segment: Name of the segment that ends here; empty where frames are files.
        size: Bytes of that segment.
        state: Name of the network's state; empty where the next frame starts a scene.
        marks: Name of the scenes' marks.
    """

    number: int
    frames: int
    packets: int = 0
    segment: str = ""
    size: int = 0
    state: str = ""
    marks: str = ""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a journal says.

    Attributes:
        header: What the run was asked for.
        borders: What is done.
        sealed: Frames of the output, where that was whole and only needed its name.
        size: Bytes of the lines that were written to their end.
    """

    header: dict[str, Any]
    borders: list[Border]
    sealed: int | None
    size: int


def header_line(header: dict[str, Any]) -> bytes:
    """The first line."""
    return _line({_FORMAT: FORMAT, **header})


def border_line(border: Border) -> bytes:
    """A line of what is done."""
    return _line(asdict(border))


def sealed_line(frames: int) -> bytes:
    """The last line."""
    return _line({_SEALED: frames})


def parse(content: bytes) -> Content:
    """Read a journal's lines, up to the first that was not written to its end.

    Raises:
        ValueError: It is damaged, or of another format; the message says where.
    """
    size = content.rfind(b"\n") + 1
    lines = [_parsed(line, i) for i, line in enumerate(content[:size].splitlines(), 1)]
    if not lines:
        raise ValueError("it is empty")
    if lines[0].pop(_FORMAT, None) != FORMAT:
        raise ValueError("its format is another")
    borders = [_border(line, i) for i, line in enumerate(lines[1:], 2) if _SEALED not in line]
    sealed = next((line[_SEALED] for line in lines if _SEALED in line), None)
    return Content(header=lines[0], borders=borders, sealed=sealed, size=size)


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise _damaged(number) from error
    if not isinstance(content, dict):
        raise _damaged(number)
    return content


def _border(line: dict[str, Any], number: int) -> Border:
    try:
        border = Border(**line)
    except TypeError as error:
        raise _damaged(number) from error
    kinds = [type(value).__name__ for value in asdict(border).values()]
    if kinds != [field.type for field in fields(Border)]:
        raise _damaged(number)
    return border


def _damaged(number: int) -> ValueError:
    return ValueError(f"line {number} is damaged")


SUFFIX, NAME, IMAGES = ".resume", "journal.jsonl", "images"
OURS = ("segment-*.nut", "state-*.safetensors", "marks-*.safetensors", f"{NAME}.part")
START_ANEW = "start anew with --overwrite"


class Journal:
    """The journal of one run, open and locked.

    Attributes:
        folder: Where it is.
        header: What the run was asked for.
        borders: What is done.
        sealed: Frames of the output, where that was whole and only needed its name.
    """

    def __init__(self, folder: Path, header: dict[str, Any], *, borders: list[Border]) -> None:
        self.folder, self.header, self.borders = folder, header, borders
        self.sealed: int | None = None
        try:
            self._file = (folder / NAME).open("r+b", buffering=0)
        except OSError as error:
            raise OpenError(f"'{folder / NAME}' cannot be opened ({error})") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise OpenError(
                f"another run writes what '{folder}' belongs to; wait until it has ended"
            ) from error

    @classmethod
    def create(cls, folder: Path, header: dict[str, Any]) -> Self:
        """Begin a journal; what a folder of that name holds of another is overwritten.

        Raises:
            OpenError: The folder cannot be written.
        """
        try:
            folder.mkdir(exist_ok=True)
            sync(folder.parent)
            (folder / NAME).touch()
        except OSError as error:
            raise OpenError(f"'{folder}' cannot be written ({error})") from error
        journal = cls(folder, header, borders=[])  # locked before anything in it changes
        try:
            journal._file.truncate(0)
            journal._write(header_line(header))
            sync(folder)
        except OSError as error:
            journal._file.close()
            raise OpenError(f"'{folder}' cannot be written ({error})") from error
        journal._tidy()
        return journal

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a journal, to go on with it.

        Raises:
            OpenError: It is damaged, of another format, or still written.
        """
        try:
            content = parse((folder / NAME).read_bytes())
        except (OSError, ValueError) as error:
            raise OpenError(
                f"'{folder / NAME}' is no journal to go on with: {error}; {START_ANEW}"
            ) from error
        journal = cls(folder, content.header, borders=content.borders)
        journal.sealed = content.sealed
        journal._file.truncate(content.size)
        journal._file.seek(0, os.SEEK_END)
        journal._tidy()
        return journal

    @classmethod
    def discard(cls, folder: Path) -> None:
        """Remove a journal and what it names, whatever state they are in.

        Raises:
            OpenError: It is still written.
        """
        cls(folder, {}, borders=[]).remove()

    def check(self) -> None:
        """See that all is there that the journal names.

        Raises:
            OpenError: Something is missing, or not whole.
        """
        for border in self.borders:
            if border.segment and self._size(border.segment) != border.size:
                raise self._lost(border.segment)
        for border in self.borders[-1:]:
            for name in filter(None, (border.state, border.marks)):
                if self._size(name) <= 0:
                    raise self._lost(name)
            if not border.segment and self._count_images() < border.frames:
                raise self._lost(IMAGES)

    @property
    def passed(self) -> Passed:
        """What need not be done again."""
        if not self.borders:
            return Passed()
        return Passed(frames=self.borders[-1].frames, packets=self.borders[-1].packets)

    @property
    def segments(self) -> tuple[Path, ...]:
        """What is encoded, in order."""
        return tuple(self.path(border.segment) for border in self.borders if border.segment)

    @property
    def target(self) -> Path:
        """The file or folder that the run writes."""
        return self.folder.with_name(self.folder.name.removesuffix(SUFFIX))

    def path(self, name: str) -> Path:
        """A file of this journal."""
        return self.folder / name

    def append(self, border: Border) -> None:
        """Record a border, all that it names being written.

        Raises:
            EncodeError: The disk is full, or the folder is gone.
        """
        try:
            for name in filter(None, (border.segment, border.state, border.marks)):
                sync(self.path(name))
            sync(self.folder)
            border = replace(border, size=self._size(border.segment) if border.segment else 0)
            self._write(border_line(border))
        except OSError as error:
            raise EncodeError(f"'{self.folder}' cannot be written ({error})") from error
        if self.borders:
            self._remove(self.borders[-1].state, self.borders[-1].marks)
        self.borders.append(border)

    def seal(self, frames: int) -> None:
        """Record that the output is whole.

        Raises:
            EncodeError: As for ``append``.
        """
        try:
            self._write(sealed_line(frames))
        except OSError as error:
            raise EncodeError(f"'{self.folder}' cannot be written ({error})") from error
        self.sealed = frames

    def close(self) -> None:
        """Let others go on; without a border there is nothing to go on from."""
        if self.borders:
            self._tidy()
        else:
            self.remove()
        self._file.close()

    def remove(self) -> None:
        """Remove what is kept; never raises.

        Of an output that is whole the journal goes last: until then it says so. Otherwise it goes
        first: it must not name what is gone.
        """
        with suppress(OSError):
            if self.sealed is None:
                (self.folder / NAME).unlink(missing_ok=True)
            shutil.rmtree(self.folder / IMAGES, ignore_errors=True)
            sweep(self.folder)
            (self.folder / NAME).unlink(missing_ok=True)
            self.folder.rmdir()
        self._file.close()

    def _tidy(self) -> None:
        """Remove our files but for those to go on from."""
        last = {name for border in self.borders[-1:] for name in (border.state, border.marks)}
        sweep(self.folder, last | {border.segment for border in self.borders})

    def _remove(self, *names: str) -> None:
        for name in filter(None, names):
            self.path(name).unlink(missing_ok=True)

    def _size(self, name: str) -> int:
        """Bytes of a file; -1 where it is not there."""
        path = self.path(name)
        return path.stat().st_size if path.is_file() else -1

    def _count_images(self) -> int:
        folder = self.path(IMAGES)
        return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0

    def _lost(self, name: str) -> OpenError:
        return OpenError(f"'{self.path(name)}' is missing or not whole; {START_ANEW}")

    def _write(self, line: bytes) -> None:
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())


def journal_folder(target: str) -> Path | None:
    """Where the journal of a target is; None for addresses, pipes and nothing."""
    path = local_target(target)
    return None if path is None else path.with_name(f"{path.name}{SUFFIX}")


def sweep(folder: Path, keep: Collection[str] = ()) -> None:
    """Remove files named as ours from a folder; it goes, too, if nothing else is left."""
    with suppress(OSError):
        for path in [path for kind in OURS for path in folder.glob(kind)]:
            if path.name not in keep:
                path.unlink(missing_ok=True)
        folder.rmdir()


def is_blank(folder: Path) -> bool:
    """Whether a run was ended before its journal had anything to go on from."""
    try:
        content = (folder / NAME).read_bytes()
        journal = parse(content) if b"\n" in content else None
    except (OSError, ValueError):
        return False
    return journal is None or not (journal.borders or journal.sealed)


def has_journal(target: str) -> bool:
    """Whether an earlier run's journal is beside a target."""
    folder = journal_folder(target)
    return folder is not None and (folder / NAME).exists()
