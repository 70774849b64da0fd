"""Downloading files, with resume after a broken connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from vsr.errors import DownloadError
from vsr.models.checkpoints.cache import cache_folder

TIMEOUT_S = 30.0
"""Time for which a server may be silent."""

PIECE_BYTES = 2**16

PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that are here and, where the server says it, those of the whole file."""


def fetch(url: str, part: Path, on_progress: OnProgress) -> None:
    """Complete a partial file, or write it from its beginning if the server has no ranges.

    Args:
        url: Address of the file.
        part: Partial file, which may not exist.
        on_progress: Called after every block.

    Raises:
        DownloadError: No connection, no such file, or a broken connection; the partial file stays.
        OSError: The file cannot be written.
    """
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
