"""The journal that an interrupted run leaves beside its target.

    out.mkv.resume/
        journal.jsonl            the options of the run, then a line per resume point, or per shard
        segment-….nut, images/   encoded frames
        state-….safetensors      recurrent state at the last resume point
        marks-….safetensors      scene marks of the frames that were decoded
        sound.nut                copied packets of a run in shards

A line is written once all files that it names are on the disk: even after a power cut, the
files of complete lines exist. Other files in the folder are not used.
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
from vsr.streams.names.formats import JOURNAL_SUFFIX
from vsr.streams.names.target import is_short, local_target
from vsr.types import Passed

FORMAT = 3
_FORMAT, _SEALED, _SHARD = "format", "sealed", "shard"

SHARDS = "shards"
"""Key of the header of a run that is planned in shards, which are restored in any order."""


@dataclass(frozen=True, kw_only=True)
class ResumePoint:
    """A point between two steps from which another run can resume.

    Attributes:
        number: 1 for the first.
        frames: Frames restored before it.
        packets: Copied packets in the segments before it.
        segment: Name of the segment that ends here; empty if frames are image files.
        size: Size of that segment in bytes.
        state: Name of the recurrent state; empty if the next frame starts a scene.
        marks: Name of the file of scene marks.
    """

    number: int
    frames: int
    packets: int = 0
    segment: str = ""
    size: int = 0
    state: str = ""
    marks: str = ""


@dataclass(frozen=True, kw_only=True)
class KeptSegment:
    """A segment of a shard.

    Attributes:
        name: Name of the file in the journal's folder.
        size: Size of the file in bytes.
        sha256: Digest of its bytes.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class FinishedShard:
    """A shard whose segments are in the journal's folder.

    Attributes:
        shard: Number of the shard in the header's plan.
        frames: Number of frames in its segments.
        first_pts: Pts of the first of them.
        last_pts: Pts of the last of them.
        segments: In order.
        counts: The engine's counts of it, by name.
    """

    shard: int
    frames: int
    first_pts: int
    last_pts: int
    segments: tuple[KeptSegment, ...]
    counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class JournalContent:
    """The contents of a journal.

    Attributes:
        header: Options of the run.
        points: Resume points so far.
        shards: Finished shards by their number.
        sealed: Number of output frames if the output is complete and only lacks its name.
        size: Bytes of the complete lines.
    """

    header: dict[str, Any]
    points: list[ResumePoint]
    shards: dict[int, FinishedShard]
    sealed: int | None
    size: int


def header_line(header: dict[str, Any]) -> bytes:
    """The first line."""
    return _line({_FORMAT: FORMAT, **header})


def point_line(point: ResumePoint) -> bytes:
    """The line of a resume point."""
    return _line(asdict(point))


def shard_line(shard: FinishedShard) -> bytes:
    """The line of a finished shard."""
    return _line(asdict(shard))


def sealed_line(frames: int) -> bytes:
    """The last line."""
    return _line({_SEALED: frames})


def parse(content: bytes) -> JournalContent:
    """Parse the lines of a journal up to the first incomplete one.

    Raises:
        ValueError: The journal is damaged or of another format; the message says where.
    """
    size = content.rfind(b"\n") + 1
    lines = [_parsed(line, i) for i, line in enumerate(content[:size].splitlines(), 1)]
    if not lines:
        raise ValueError("it is empty")
    if lines[0].pop(_FORMAT, None) != FORMAT:
        raise ValueError("it has another format")
    sealed = next((line[_SEALED] for line in lines if _SEALED in line), None)
    done = [(i, line) for i, line in enumerate(lines[1:], 2) if _SEALED not in line]
    points = [_point(line, i) for i, line in done if _SHARD not in line]
    shards = [_shard(line, i) for i, line in done if _SHARD in line]
    return JournalContent(
        header=lines[0],
        points=points,
        shards={shard.shard: shard for shard in shards},
        sealed=sealed,
        size=size,
    )


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


def _point(line: dict[str, Any], number: int) -> ResumePoint:
    try:
        point = ResumePoint(**line)
    except TypeError as error:
        raise _damaged(number) from error
    kinds = [type(value).__name__ for value in asdict(point).values()]
    if kinds != [field.type for field in fields(ResumePoint)]:
        raise _damaged(number)
    return point


def _shard(line: dict[str, Any], number: int) -> FinishedShard:
    try:
        segments = tuple(KeptSegment(**segment) for segment in line["segments"])
        shard = FinishedShard(**{**line, "segments": segments})
    except (TypeError, KeyError) as error:
        raise _damaged(number) from error
    numbers = (shard.shard, shard.frames, shard.first_pts, shard.last_pts)
    sizes = [segment.size for segment in segments]
    if not all(type(value) is int for value in (*numbers, *sizes)):
        raise _damaged(number)
    return shard


def _damaged(number: int) -> ValueError:
    return ValueError(f"line {number} is damaged")


NAME, IMAGES, SOUND = "journal.jsonl", "images", "sound.nut"
HALF_WRITTEN = (f"{NAME}.part", ".state-*.part", ".marks-*.part", ".tmp??????")
"""Names of partial files that a kill leaves; the last is how safetensors begins one."""

OURS = ("segment-*.nut", SOUND, "state-*.safetensors", "marks-*.safetensors", *HALF_WRITTEN)
START_ANEW = "start again with --overwrite"


class Journal:
    """The journal of one run, open and locked.

    Attributes:
        folder: Folder of the journal.
        header: Options of the run.
        points: Resume points so far.
        shards: Finished shards by their number.
        sealed: Number of output frames if the output is complete and only lacks its name.
    """

    def __init__(self, folder: Path, header: dict[str, Any], *, points: list[ResumePoint]) -> None:
        self.folder, self.header, self.points = folder, header, points
        self.shards: dict[int, FinishedShard] = {}
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
                f"another run writes the target of '{folder}'; wait until it has ended"
            ) from error

    @classmethod
    def create(cls, folder: Path, header: dict[str, Any]) -> Self:
        """Start a journal; an old journal in the folder is overwritten.

        Raises:
            OpenError: The folder cannot be written.
        """
        try:
            folder.mkdir(exist_ok=True)
            sync(folder.parent)
            (folder / NAME).touch()
        except OSError as error:
            raise OpenError(f"'{folder}' cannot be written ({error})") from error
        journal = cls(folder, header, points=[])  # locked before anything in it changes
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
        """Open a journal in order to resume.

        Raises:
            OpenError: The journal is damaged, of another format, or in use by another run.
        """
        try:
            content = parse((folder / NAME).read_bytes())
        except (OSError, ValueError) as error:
            raise OpenError(
                f"'{folder / NAME}' is not a journal that can be resumed: {error}; {START_ANEW}"
            ) from error
        journal = cls(folder, content.header, points=content.points)
        journal.sealed, journal.shards = content.sealed, content.shards
        journal._file.truncate(content.size)
        journal._file.seek(0, os.SEEK_END)
        journal._tidy()
        return journal

    @classmethod
    def discard(cls, folder: Path) -> None:
        """Remove a journal and its files, damaged or not.

        Raises:
            OpenError: Another run is using it.
        """
        cls(folder, {}, points=[]).remove()

    def check(self) -> None:
        """Check that all files named by the journal exist.

        Raises:
            OpenError: A file is missing or incomplete.
        """
        for point in self.points:
            if point.segment and self._size(point.segment) != point.size:
                raise self._lost(point.segment)
        for segment in (segment for shard in self.shards.values() for segment in shard.segments):
            if self._size(segment.name) != segment.size:
                raise self._lost(segment.name)
        for point in self.points[-1:]:
            for name in filter(None, (point.state, point.marks)):
                if self._size(name) <= 0:
                    raise self._lost(name)
            if not point.segment and self._count_images() < point.frames:
                raise self._lost(IMAGES)

    @property
    def passed(self) -> Passed:
        """Frames and packets that need not be processed again."""
        if not self.points:
            return Passed()
        return Passed(frames=self.points[-1].frames, packets=self.points[-1].packets)

    @property
    def num_done(self) -> int:
        """Frames that need not be restored again."""
        return self.passed.frames + sum(shard.frames for shard in self.shards.values())

    @property
    def segments(self) -> tuple[Path, ...]:
        """The encoded segments in order."""
        return tuple(self.path(point.segment) for point in self.points if point.segment)

    @property
    def target(self) -> Path:
        """The file or folder that the run writes."""
        return self.folder.with_name(self.folder.name.removesuffix(JOURNAL_SUFFIX))

    def path(self, name: str) -> Path:
        """Path of a file of this journal."""
        return self.folder / name

    def append(self, point: ResumePoint) -> None:
        """Record a resume point whose files have been written.

        Raises:
            EncodeError: The disk is full, or the folder has been removed.
        """
        try:
            for name in filter(None, (point.segment, point.state, point.marks)):
                sync(self.path(name))
            sync(self.folder)
            point = replace(point, size=self._size(point.segment) if point.segment else 0)
            self._write(point_line(point))
        except OSError as error:
            raise EncodeError(f"'{self.folder}' cannot be written ({error})") from error
        if self.points:
            self._remove(self.points[-1].state, self.points[-1].marks)
        self.points.append(point)

    def append_shard(self, shard: FinishedShard) -> None:
        """Record a shard whose segments have been written; errors as for ``append``."""
        try:
            for segment in shard.segments:
                sync(self.path(segment.name))
            sync(self.folder)
            self._write(shard_line(shard))
        except OSError as error:
            raise EncodeError(f"'{self.folder}' cannot be written ({error})") from error
        self.shards[shard.shard] = shard

    def seal(self, frames: int) -> None:
        """Record that the output is complete.

        Raises:
            EncodeError: See ``append``.
        """
        try:
            self._write(sealed_line(frames))
        except OSError as error:
            raise EncodeError(f"'{self.folder}' cannot be written ({error})") from error
        self.sealed = frames

    def close(self) -> None:
        """Release the journal for other runs; where nothing is done or planned it is removed."""
        if self.points or SHARDS in self.header:
            self._tidy()
        else:
            self.remove()
        self._file.close()

    def remove(self) -> None:
        """Remove the journal and its files; never raises.

        If the output is complete, the journal is removed last, since it says so. Otherwise it is
        removed first: it must not name missing files.
        """
        with suppress(OSError):
            if self.sealed is None:
                (self.folder / NAME).unlink(missing_ok=True)
            shutil.rmtree(self.folder / IMAGES, ignore_errors=True)
            remove_named(self.folder)
            (self.folder / NAME).unlink(missing_ok=True)
            self.folder.rmdir()
        self._file.close()

    def _tidy(self) -> None:
        """Remove files that no resume point needs."""
        last = {name for point in self.points[-1:] for name in (point.state, point.marks)}
        segments = {point.segment for point in self.points}
        segments |= {s.name for shard in self.shards.values() for s in shard.segments}
        sound = {SOUND} if SHARDS in self.header else set[str]()
        remove_named(self.folder, last | segments | sound)

    def _remove(self, *names: str) -> None:
        for name in filter(None, names):
            self.path(name).unlink(missing_ok=True)

    def _size(self, name: str) -> int:
        """Size of a file in bytes; -1 if it does not exist."""
        path = self.path(name)
        return path.stat().st_size if path.is_file() else -1

    def _count_images(self) -> int:
        folder = self.path(IMAGES)
        return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0

    def _lost(self, name: str) -> OpenError:
        return OpenError(f"'{self.path(name)}' is missing or incomplete; {START_ANEW}")

    def _write(self, line: bytes) -> None:
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())


def journal_folder(target: str) -> Path | None:
    """The journal's folder of a target; None for addresses, pipes, ``null`` and too long names."""
    path = local_target(target)
    if path is None or not is_short(f"{path.name}{JOURNAL_SUFFIX}"):
        return None
    return path.with_name(f"{path.name}{JOURNAL_SUFFIX}")


def remove_named(folder: Path, keep: Collection[str] = ()) -> None:
    """Remove a journal's files from a folder, and the folder if nothing else is left."""
    with suppress(OSError):
        for path in [path for kind in OURS for path in folder.glob(kind)]:
            if path.name not in keep:
                path.unlink(missing_ok=True)
        folder.rmdir()


def remove_remains(target: str) -> None:
    """Remove what is left of a journal whose run was killed while removing it."""
    folder = journal_folder(target)
    if folder is not None and not (folder / NAME).exists():
        remove_named(folder)


def is_blank(folder: Path) -> bool:
    """Whether a journal has no resume point yet."""
    try:
        content = (folder / NAME).read_bytes()
        journal = parse(content) if b"\n" in content else None
    except (OSError, ValueError):
        return False
    return journal is None or not (
        journal.points or journal.sealed is not None or SHARDS in journal.header
    )


def has_journal(target: str) -> bool:
    """Whether there is a journal of an earlier run beside a target."""
    folder = journal_folder(target)
    return folder is not None and (folder / NAME).exists()


def is_planned_in_shards(target: str) -> bool:
    """Whether there is a journal beside a target whose run is planned in shards."""
    return SHARDS in (kept_header(target) or {})


def kept_header(target: str) -> dict[str, Any] | None:
    """The header of the journal beside a target; None without one that can be read."""
    folder = journal_folder(target)
    if folder is None:
        return None
    try:
        return parse((folder / NAME).read_bytes()).header
    except (OSError, ValueError):
        return None
