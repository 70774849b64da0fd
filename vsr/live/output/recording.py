"""A record in segments: files named after their beginning, of which old ones are removed.

``copy.mkv`` becomes ``copy_20261129T080102Z.mkv`` and so on. Each has its name only once it is
whole; until then it is hidden, as all outputs are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vsr.streams.names.target import TargetFile

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Segments:
    """The length of a record's segments, and which of them are kept.

    Attributes:
        length_s: Seconds of a segment; it ends at the next key frame.
        most_age_s: Seconds after its end for which a segment is kept; None for ever.
        most_bytes: Most bytes of all segments but the one that is written; None for any.
    """

    length_s: float
    most_age_s: float | None = None
    most_bytes: int | None = None


class Recording:
    """The files of a record in segments.

    Args:
        target: The name from which the segments' names are made.
        segments: Their length, and which are kept.
    """

    def __init__(self, target: str, segments: Segments) -> None:
        self.segments = segments
        self._path = Path(target)
        self._name = re.compile(
            rf"\.?{re.escape(self._path.stem)}_\d{{8}}T\d{{6}}Z(-\d+)?(\.part|\.partial)?"
            rf"{re.escape(self._path.suffix)}"
        )

    def next_file(self, now: datetime | None = None) -> TargetFile:
        """The next segment, which no other file has the name of.

        Args:
            now: Time of its beginning; None for the present.

        Raises:
            OpenError: It cannot be written.
        """
        stem = f"{self._path.stem}_{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        path, number = self._path.with_name(stem + self._path.suffix), 2
        while path.exists():
            path = self._path.with_name(f"{stem}-{number}{self._path.suffix}")
            number += 1
        return TargetFile(str(path), source=None, overwrite=False)

    def forget_old(self, now: float, *, written: str | None = None) -> None:
        """Remove the segments that are too old, then the oldest until the others fit.

        Files left by killed runs are segments, too. Never raises.

        Args:
            now: Seconds since 1970.
            written: The file that is being written, which stays.
        """
        found = [one for one in self._files() if one[2] != written]
        total = sum(size for _, size, _ in found)
        for ended, size, name in sorted(found):
            if not (self._is_old(now - ended) or self._is_much(total)):
                break
            try:
                Path(name).unlink()
            except OSError as error:
                log.warning("'%s' cannot be removed (%s)", name, error.strerror)
            total -= size

    def _is_old(self, age_s: float) -> bool:
        return self.segments.most_age_s is not None and age_s > self.segments.most_age_s

    def _is_much(self, total: int) -> bool:
        return self.segments.most_bytes is not None and total > self.segments.most_bytes

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """The end, the size and the name of every segment in the folder."""
        with suppress(OSError):
            for path in self._path.parent.iterdir():
                if self._name.fullmatch(path.name) and not path.is_symlink():
                    with suppress(OSError):  # it may be gone by now
                        facts = path.stat()
                        yield facts.st_mtime, facts.st_size, str(path)
