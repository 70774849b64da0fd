"""Memory limits of Linux control groups: what this process may still allocate.

A process belongs to one group of each hierarchy, and every group above it limits it too: systemd's
``MemoryMax=`` of a service, of its slice, and a container's limit hold together. The process's
groups are in ``/proc/self/cgroup``, where they are mounted is in ``/proc/self/mountinfo``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, kw_only=True)
class _Version:
    """The files of one version of control groups.

    Attributes:
        limits: Files with a limit in bytes, or ``max``.
        usage: The file with the bytes in use, pages of files included.
        page_cache: Matches lines of ``memory.stat`` with bytes of pages of files, of all groups
            below too.
    """

    limits: tuple[str, ...]
    usage: str
    page_cache: re.Pattern[str]


# A group above memory.high is not killed but slowed down until it hardly moves.
_V2 = _Version(
    limits=("memory.max", "memory.high"),
    usage="memory.current",
    page_cache=re.compile(r"^(?:in)?active_file (\d+)$", re.MULTILINE),
)
_V1 = _Version(
    limits=("memory.limit_in_bytes",),
    usage="memory.usage_in_bytes",
    page_cache=re.compile(r"^total_(?:in)?active_file (\d+)$", re.MULTILINE),
)


def bytes_left_in_cgroups(root: Path = Path("/")) -> int:
    """Bytes that the process can allocate before it reaches a limit of one of its groups.

    Pages of files count as free: the system gives them up when something else needs memory.

    Args:
        root: The folder that holds ``proc`` and the mount points; tests give another one.

    Returns:
        The least over all groups; ``sys.maxsize`` where nothing limits memory.
    """
    left = (
        limit - max(0, used - cached)
        for folder, version in _memory_groups(root)
        for limit, used, cached in _read(folder, version)
    )
    return max(0, min(left, default=sys.maxsize))


def _memory_groups(root: Path) -> Iterator[tuple[Path, _Version]]:
    """The folders of the process's groups that can limit memory, from its own upwards."""
    proc = root / "proc" / "self"
    try:
        groups = (proc / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (proc / "mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for version, group in _paths(groups):
        for mounted, mount_point in _mounts(mounts, version):
            relative = _below(group, mounted)
            for level in (relative, *relative.parents):
                yield root / mount_point.relative_to("/") / level, version


def _paths(lines: list[str]) -> Iterator[tuple[_Version, PurePosixPath]]:
    """The process's group in each hierarchy for memory; lines are ``id:controllers:path``."""
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            yield _V2, PurePosixPath(path)
        elif "memory" in controllers.split(","):
            yield _V1, PurePosixPath(path)


def _mounts(lines: list[str], version: _Version) -> Iterator[tuple[PurePosixPath, PurePosixPath]]:
    """Each mounted group and its mount point; see mountinfo in proc(5) for the fields."""
    for line in lines:
        before, _, after = line.partition(" - ")
        file_system, _, options = after.split(" ", 2)
        is_v1 = file_system == "cgroup" and "memory" in options.split(",")
        if is_v1 if version is _V1 else file_system == "cgroup2":
            mounted, mount_point = map(_unescape, before.split(" ")[3:5])
            yield PurePosixPath(mounted), PurePosixPath(mount_point)


def _unescape(field: str) -> str:
    """Undo the octal escapes of spaces and other characters."""
    return re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), field)


def _below(group: PurePosixPath, mounted: PurePosixPath) -> PurePosixPath:
    """The path from a mount to the group; the mount itself where the group lies outside.

    A container sees its own group as the root, or does not see it at all.
    """
    if ".." in group.parts or not group.is_relative_to(mounted):
        return PurePosixPath()
    return group.relative_to(mounted)


def _read(folder: Path, version: _Version) -> Iterator[tuple[int, int, int]]:
    """Each limit of one group, the bytes in use there, and how many of those are pages of files."""
    try:
        used = int((folder / version.usage).read_text(encoding="ascii"))
        statistics = (folder / "memory.stat").read_text(encoding="ascii")
        limits = [(folder / name).read_text(encoding="ascii").strip() for name in version.limits]
    except OSError:  # the root has no limits, and a group may not control memory
        return
    cached = sum(map(int, version.page_cache.findall(statistics)))
    yield from ((int(limit), used, cached) for limit in limits if limit != "max")
