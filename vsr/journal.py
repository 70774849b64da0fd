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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from vsr.errors import EncodeError, OpenError
from vsr.streams.container import PIPE, is_address
from vsr.streams.durable import sync, write_durably
from vsr.streams.image_files import image_folder, names_images
from vsr.types import Passed

FORMAT = 1
SUFFIX, NAME, IMAGES = ".resume", "journal.jsonl", "images"
OURS = ("segment-*.nut", "state-*.safetensors", "marks-*.safetensors", f"{NAME}.part")
_SEALED = "sealed"


@dataclass(frozen=True, kw_only=True)
class Border:
    """A moment between two steps from which another run can go on.

    Attributes:
        number: 1 for the first.
        frames: Restored before it.
        packets: Copied packets that the segments before it hold.
        segment: Name of the segment that ends here; empty where frames are files.
        state: Name of the network's state; empty where the next frame starts a scene.
        marks: Name of the scenes' marks.
    """

    number: int
    frames: int
    packets: int = 0
    segment: str = ""
    state: str = ""
    marks: str = ""


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
        self._file = (folder / NAME).open("r+b", buffering=0)
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
            write_durably(folder / NAME, _line({"format": FORMAT, **header}))
        except OSError as error:
            raise OpenError(f"'{folder}' cannot be written ({error})") from error
        journal = cls(folder, header, borders=[])
        journal._tidy()
        journal._file.seek(0, os.SEEK_END)
        return journal

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a journal, to go on with it.

        Raises:
            OpenError: It is damaged, of another format, or still written.
        """
        try:
            content = (folder / NAME).read_bytes()
            header, *lines = _parse(content)
            if header.pop("format") != FORMAT:
                raise ValueError("its format is another")
            borders = [Border(**line) for line in lines if _SEALED not in line]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OpenError(
                f"'{folder / NAME}' is no journal to go on with ({error}); remove '{folder}'"
            ) from error
        journal = cls(folder, header, borders=borders)
        journal.sealed = next((line[_SEALED] for line in lines if _SEALED in line), None)
        journal._file.truncate(_end(content))
        journal._file.seek(0, os.SEEK_END)
        journal._tidy()
        return journal

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
            self._write(asdict(border))
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
            self._write({_SEALED: frames})
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

    def _write(self, line: dict[str, Any]) -> None:
        rest = _line(line)
        while rest:
            rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())


def journal_folder(target: str) -> Path | None:
    """Where the journal of a target is; None for addresses, pipes and nothing."""
    if target in {PIPE, "null"} or is_address(target):
        return None
    path = image_folder(target) if names_images(target) else Path(target)
    return path.with_name(f"{path.name}{SUFFIX}")


def sweep(folder: Path, keep: Collection[str] = ()) -> None:
    """Remove files named as ours from a folder; it goes, too, if nothing else is left."""
    with suppress(OSError):
        for path in [path for kind in OURS for path in folder.glob(kind)]:
            if path.name not in keep:
                path.unlink(missing_ok=True)
        folder.rmdir()


def has_journal(target: str) -> bool:
    """Whether an earlier run's journal is beside a target."""
    folder = journal_folder(target)
    return folder is not None and (folder / NAME).exists()


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _parse(content: bytes) -> list[dict[str, Any]]:
    """The lines up to the first that was not written to its end."""
    return [json.loads(line) for line in content[: _end(content)].splitlines()]


def _end(content: bytes) -> int:
    """Behind the last whole line."""
    return content.rfind(b"\n") + 1
