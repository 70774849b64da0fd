"""The films of a folder, which the page addresses by ids and never by paths."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vsr.streams.names.formats import JOURNAL_SUFFIX, VIDEO_SUFFIXES
from vsr.web.errors import RequestError

REPLACED = ".vsr-replaced"
"""Folder in that of the films, for those whose results are kept instead."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """A video file.

    Attributes:
        id: Derived from its place, so that it is the same after a restart.
        path: Absolute, without symbolic links.
        entry: Listed path: the same one, or that of a link.
        name: Path below its folder, as text that can be shown.
        size: Bytes.
        modified: Seconds since 1970.
        uploaded: Whether it was dropped on the page, and will be removed by age.
    """

    id: str
    path: Path
    entry: Path
    name: str
    size: int
    modified: float
    uploaded: bool


class Library:
    """The films of a folder and those that were dropped on the page.

    Args:
        root: The folder; hidden files and folders, and links that lead out of it, are left out.
        uploads: Folder of dropped films, one sub-folder for each.
    """

    def __init__(self, root: Path, uploads: Path) -> None:
        self.root = root.resolve()
        self.uploads = uploads.resolve()
        self._films: dict[str, Film] = {}

    def films(self) -> list[Film]:
        """All films, those dropped last first, then the others by name."""
        dropped = sorted(_films(self.uploads, uploaded=True), key=lambda film: -film.modified)
        others = sorted(_films(self.root, uploaded=False), key=lambda film: film.name.casefold())
        self._films = {film.id: film for film in (*dropped, *others)}
        return list(self._films.values())

    def find(self, film_id: str) -> Film:
        """The film with an id, in its present state.

        Raises:
            RequestError: There is none, or it is gone.
        """
        if film_id not in self._films:
            self.films()
        known = self._films.get(film_id)
        base = self.uploads if known is not None and known.uploaded else self.root
        film = known and _film(known.entry, base, uploaded=known.uploaded)
        # A folder above it may have become a link.
        if film is None or not film.entry.resolve().is_relative_to(base):
            raise RequestError("this film is not here any more; reload the list", 404)
        return film

    def put_away(self, film: Film) -> Path:
        """Move a film of the folder to a place that is not listed; nothing is deleted.

        Returns:
            Its new path.

        Raises:
            RequestError: It cannot be moved, or a film of this name was put away before.
        """
        place = self.root / REPLACED / film.path.relative_to(self.root)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(film.path, place)  # never over another file, as a rename would
            film.path.unlink()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise RequestError(f"the film cannot be moved to '{place}' ({reason})", 409) from error
        return place


def _films(base: Path, *, uploaded: bool) -> Iterator[Film]:
    for folder, below, files in os.walk(base):
        below[:] = [n for n in below if not n.startswith(".") and not n.endswith(JOURNAL_SUFFIX)]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                film = _film(Path(folder, name), base, uploaded=uploaded)
                if film is not None:
                    yield film


def _film(path: Path, base: Path, *, uploaded: bool) -> Film | None:
    """The film at a path; None if it is no file, or lies outside of its folder."""
    try:
        place, facts = path, path.lstat()
        if stat.S_ISLNK(facts.st_mode):
            place = path.resolve(strict=True)
            facts = place.stat()
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode) or (place != path and not place.is_relative_to(base)):
        return None
    name = path.relative_to(base)
    shown = Path(*name.parts[1:]) if uploaded else name
    return Film(
        id=hashlib.sha256(bytes([uploaded]) + os.fsencode(name)).hexdigest()[:16],
        path=place,
        entry=path,
        name=os.fsencode(shown).decode("utf-8", "replace"),
        size=facts.st_size,
        modified=facts.st_mtime,
        uploaded=uploaded,
    )
