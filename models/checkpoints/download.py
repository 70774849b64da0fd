"""Official checkpoints: fetched, checked, kept in a folder that every later run reads.

A file has its final name only when it is whole and right. What a cut connection leaves stays beside
it as ``.part``, and the next pull goes on from there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import platformdirs

from vsr.errors import ConfigurationError, DownloadError
from vsr.models.checkpoints.zoo import BASE_URL, OfficialFile

TIMEOUT_S = 30.0
"""How long a server may be silent."""

PIECE_BYTES = 2**16

PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that are here and, where the server says it, those of the whole file."""


def cache_folder() -> Path:
    """``$VSR_HOME``, or the platform's folder for what can be fetched again; it may not exist."""
    home = os.environ.get("VSR_HOME")
    if home:
        return Path(home).expanduser()
    return platformdirs.user_cache_path("vsr", appauthor=False)


def cached_path(file: OfficialFile) -> Path:
    """Where a file is once it was pulled."""
    return cache_folder() / file.name


def pull(
    file: OfficialFile,
    *,
    mirror: str | None = None,
    force: bool = False,
    on_progress: OnProgress = lambda _done, _total: None,
) -> Path:
    """Bring a file into the cache, or find it there; what is there and right is not fetched.

    Args:
        file: What to bring.
        mirror: Base address to use instead of the official one.
        force: Fetch it anew even if it or a part of it is there.
        on_progress: Called after every piece.

    Returns:
        Its place in the cache.

    Raises:
        ConfigurationError: A mirror that is no address.
        DownloadError: No connection, no such file, a cut connection, wrong content, or a folder
            that cannot be written. After a cut connection, what came is kept.
    """
    url = _address(file, mirror)
    path = cached_path(file)
    part = path.with_name(f"{path.name}.part")
    try:
        if not force and path.exists() and _is_right(path, file):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        if force:
            part.unlink(missing_ok=True)
        _fetch(url, part, on_progress)
        _check(part, file, url)
        part.replace(path)
    except OSError as error:
        raise DownloadError(
            f"'{path}' cannot be written ({error.strerror or error}); make room, or name another "
            "folder in VSR_HOME"
        ) from error
    return path


def _address(file: OfficialFile, mirror: str | None) -> str:
    base = mirror or BASE_URL
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError(f"mirror {base!r} is no address; give http://… or https://…")
    return f"{base.rstrip('/')}/{file.path}"


def _fetch(url: str, part: Path, on_progress: OnProgress) -> None:
    """Complete a partial file, or write it from its beginning if the server has no ranges."""
    response = _request(url, part.stat().st_size if part.exists() else 0)
    if response is None:
        return
    mode = "ab" if response.status == PARTIAL_CONTENT else "wb"
    with response, part.open(mode) as file:
        done = file.tell()
        total = None if response.length is None else done + response.length
        for piece in _pieces(response, url):
            file.write(piece)
            done += len(piece)
            on_progress(done, total)
    if total is not None and done < total:
        raise DownloadError(_cut(url, f"{done} of {total} bytes came"))


def _request(url: str, offset: int) -> HTTPResponse | None:
    """Ask for a file from a byte on; None if it has no more bytes."""
    headers = {"User-Agent": "vsr"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if offset and error.code == RANGE_NOT_SATISFIABLE:
            return None
        raise DownloadError(
            f"'{url}' is answered with {error.code} {error.reason}; "
            "try later, or give another base address with --mirror"
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise DownloadError(
            f"'{url}' cannot be reached ({_words(reason)}); check the connection, give another "
            f"base address with --mirror, or put the file into '{cache_folder()}'"
        ) from error
    return response


def _pieces(response: HTTPResponse, url: str) -> Iterator[bytes]:
    try:
        while piece := response.read(PIECE_BYTES):
            yield piece
    except (OSError, HTTPException) as error:
        raise DownloadError(_cut(url, _words(error))) from error


def _cut(url: str, reason: str) -> str:
    return f"the connection to '{url}' was cut ({reason}); pull again to fetch the rest"


def _words(error: object) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).split("\n")[0]


def _check(part: Path, file: OfficialFile, url: str) -> None:
    """Remove what is not the official file."""
    if _is_right(part, file):
        return
    part.unlink()
    raise DownloadError(
        f"'{url}' is not the official file: its SHA-256 does not begin with {file.sha256_prefix}; "
        "it was removed, pull again or give another base address with --mirror"
    )


def _is_right(path: Path, file: OfficialFile) -> bool:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return digest.startswith(file.sha256_prefix)
