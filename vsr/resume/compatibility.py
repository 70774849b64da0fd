"""Compatibility of a run with the journal of an earlier one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vsr.address import is_address, names_file
from vsr.engine.memory_plan import RequestedSettings
from vsr.engine.settings import FULL, Settings
from vsr.engine.stream_checkpoint import identity
from vsr.errors import OpenError
from vsr.models.network import Network
from vsr.resume.journal import (
    START_ANEW,
    Journal,
    has_journal,
    is_blank,
    journal_folder,
    remove_remains,
)
from vsr.streams.names.container import PIPE
from vsr.streams.names.image_sequence import (
    image_folder,
    is_named_by,
    is_pattern,
    list_images,
    names_images,
)
from vsr.types import StreamInfo

VERSION = version("vsr-stream")
_SAMPLE_BYTES = 1 << 20
_HEADER = frozenset({"version", "source", "options", "settings", "network"})


def find_journal(
    source: str, target: str, options: dict[str, Any], *, resume: bool, overwrite: bool
) -> Journal | None:
    """The journal of an earlier run to resume; None to start from the beginning.

    The caller has locked the target: a journal of a running run looks like one that was left.

    Args:
        source: Source of this run.
        target: Target of both runs.
        options: Options of this run.
        resume: Whether to resume.
        overwrite: Whether an earlier run's work may be discarded.

    Raises:
        OpenError: There is one, without ``resume`` or ``overwrite``, or it cannot be resumed.
    """
    folder = journal_folder(target)
    if folder is None:
        return None
    if not has_journal(target):
        remove_remains(target)
        return None
    if (overwrite and not resume) or is_blank(folder):
        Journal.discard(folder)
        return None
    journal = Journal.open(folder)
    if resume:
        try:
            _compare(journal, source, target, options)
            if journal.sealed is None:
                journal.check()
        except BaseException:
            journal.close()
            raise
        return journal
    journal.close()
    raise OpenError(
        f"{target!r} was begun before and {journal.num_done} frames of it are done; resume "
        f"with --resume, or {START_ANEW}"
    )


def is_done(target: str, *, overwrite: bool, resume: bool) -> bool:
    """Whether a target exists that is neither replaced nor resumed."""
    return is_there(target) and not (overwrite or (resume and has_journal(target)))


def is_there(target: str) -> bool:
    """Whether a target exists, as a file or as images."""
    if journal_folder(target) is None:
        return False
    if not names_images(target):
        return Path(target).exists()
    folder = image_folder(target)
    found = list(folder.iterdir()) if folder.is_dir() else []
    return any(is_named_by(target, path) for path in found) if is_pattern(target) else bool(found)


def journal_planned(
    source: str, target: str, info: StreamInfo, *, segment: int, in_process: bool
) -> Path | None:
    """The folder of a run's journal.

    Returns:
        None for a short run, or one whose source or target cannot be opened twice.
    """
    folder = journal_folder(target)
    lasting = source != PIPE and not is_address(source)
    short = info.num_frames is not None and info.num_frames <= segment
    if folder is None or not lasting or short or not segment or in_process:
        return None
    return folder


def header_of(
    source: str, options: dict[str, Any], settings: Settings, network: dict[str, str]
) -> dict[str, Any]:
    """The header of a journal; the network as ``identity`` describes it."""
    return {
        "version": VERSION,
        "source": fingerprint(source),
        "options": _plain(options),
        "settings": asdict(settings),
        "network": network,
    }


def settings_of(journal: Journal) -> RequestedSettings:
    """The step sizes of the earlier run."""
    saved = journal.header["settings"]
    ahead = saved["look_ahead"]
    rows, columns = saved["tiles"]
    return RequestedSettings(
        chunk=saved["chunk"], look_ahead=FULL if ahead is None else ahead, tiles=(rows, columns)
    )


def check_network(journal: Journal, network: Network[Any]) -> None:
    """Raise ``OpenError`` if the network differs from the earlier run's."""
    here, before = identity(network), journal.header["network"]
    if here != before:
        raise OpenError(
            f"'{journal.folder}' was begun with {' '.join(before.values())}, this is "
            f"{' '.join(here.values())}; give the same --model, --weights and --device, or "
            f"{START_ANEW}"
        )


def fingerprint(source: str) -> dict[str, Any]:
    """A fingerprint of a file, or of the images of a folder, that shows a change."""
    if names_images(source):
        listed = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in list_images(source)]
        return {"images": len(listed), "digest": _digest(json.dumps(listed).encode())}
    if not names_file(source):
        return {}
    path = Path(source)
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "digest": _digest(start)}


def _compare(journal: Journal, source: str, target: str, options: dict[str, Any]) -> None:
    header = journal.header
    if lacking := _HEADER - header.keys():
        raise OpenError(f"'{journal.folder}' does not say its {', '.join(lacking)}; {START_ANEW}")
    written_by, before, asked = header["version"], header["source"], header["options"]
    if written_by != VERSION:
        raise OpenError(
            f"{target!r} was begun by vsr {written_by}, this is {VERSION}; resume with that "
            f"version, or {START_ANEW}"
        )
    if before != fingerprint(source):
        raise OpenError(f"{source!r} has changed since {target!r} was begun; {START_ANEW}")
    now = _plain(options)
    for name in sorted(asked.keys() | now.keys()):
        if asked.get(name) != now.get(name):
            raise OpenError(
                f"{target!r} was begun with {_shown(name, asked)}, not with {_shown(name, now)}; "
                f"give the same, or {START_ANEW}"
            )


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Options in the journal's form."""
    plain: dict[str, Any] = json.loads(json.dumps(options, default=str))
    return plain


def _shown(name: str, options: dict[str, Any]) -> str:
    flag = f"--{name.removesuffix('_s').replace('_', '-')}"
    value = options.get(name)
    if value in (None, False, []):
        return f"no {flag}"
    return f"{flag} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
