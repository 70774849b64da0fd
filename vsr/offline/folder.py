"""Restoring every video of a folder, or of a list, into another folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vsr.address import is_address
from vsr.errors import OpenError, VSRError
from vsr.results import Summary
from vsr.resume.compatibility import is_done
from vsr.streams.names.animation import is_animated
from vsr.streams.names.container import PIPE
from vsr.streams.names.formats import JOURNAL_SUFFIX, VIDEO_SUFFIXES, restored_name
from vsr.streams.names.image_sequence import IMAGE_SUFFIXES
from vsr.streams.names.target import NULL

State = Literal["restored", "skipped", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One video or folder of images, and its target.

    Attributes:
        name: Name of the source within its folder.
        source: See ``restore``.
        target: See ``restore``.
    """

    name: str
    source: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        name: Name of the job.
        state: ``skipped`` if the target existed already.
        frames: Frames written.
        seconds: Duration of the run.
        error: The error message if it failed.
        workers: Frames per second of each worker of a cluster, by its name.
    """

    name: str
    state: State
    frames: int = 0
    seconds: float = 0.0
    error: str = ""
    workers: Mapping[str, float] = field(default_factory=dict)


def holds_videos(source: str) -> bool:
    """Whether a source is a folder of videos, or of folders of images, or a list of them.

    One video is enough: the pictures beside it are posters.
    """
    path = Path(source)
    if is_address(source):
        return False
    if _is_list(path):
        return True
    if not path.is_dir():
        return False
    return _has_videos(path) or (not _has_images(path) and bool(_sources(path)))


def mixed_note(source: str) -> str | None:
    """A note about pictures that are left out of a folder of videos; None without any."""
    path = Path(source)
    if is_address(source) or not path.is_dir() or not _has_videos(path):
        return None
    images = sorted(p.name for p in path.iterdir() if _is_image(p))
    if not images:
        return None
    more = f" and {len(images) - 1} more" if len(images) > 1 else ""
    return (
        f"{source!r} holds videos, which are restored one by one; '{images[0]}'{more} is left out: "
        "if pictures are the frames, move them into a folder of their own"
    )


def list_jobs(source: str, target: str) -> list[Job]:
    """List every video and every folder of images below a folder, sorted by name; or of a list.

    Raises:
        OpenError: The target is a file, names one, or is the source itself; or a list cannot be
            read, or has two videos of one name.
    """
    origin, goal = Path(source), Path(target)
    if goal.is_file() or (not goal.is_dir() and _names_no_folder(target)):
        raise OpenError(f"{target!r} is no folder; give one for the videos of {source!r}")
    if goal.resolve() == origin.resolve():
        raise OpenError(f"{target!r} is the source itself; give the output another name")
    if _is_list(origin):
        return _listed_jobs(origin, goal)
    found = []
    for path in _sources(origin):
        if goal.resolve() in path.resolve().parents or path.resolve() == goal.resolve():
            continue
        name = path.relative_to(origin)
        written = name if path.is_dir() else restored_name(name)
        found.append(Job(name=str(name), source=str(path), target=str(goal / written)))
    return _of_own_targets(source, found)


def _is_list(path: Path) -> bool:
    return path.suffix.lower() == ".txt" and path.is_file()


def _listed_jobs(listed: Path, goal: Path) -> list[Job]:
    """Jobs of a text file of paths, one a line, from its own folder on; # begins a comment."""
    try:
        lines = [line.partition("#")[0].strip() for line in listed.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise OpenError(
            f"'{listed}' cannot be read ({error}); give a text file of names"
        ) from error
    found = []
    for line in filter(None, lines):
        path = listed.parent / line
        written = goal / (path.name if path.is_dir() else restored_name(Path(path.name)))
        found.append(Job(name=line, source=str(path), target=str(written)))
    return _of_own_targets(str(listed), found)


def _of_own_targets(source: str, jobs: list[Job]) -> list[Job]:
    """The jobs, unless two have one target."""
    seen: dict[str, Job] = {}
    for job in jobs:
        if job.target in seen:
            raise OpenError(
                f"{source!r} has two that would be {job.target!r}: {seen[job.target].name} and "
                f"{job.name}; restore them into two folders"
            )
        seen[job.target] = job
    return jobs


def run_jobs(
    jobs: Iterable[Job],
    restore_one: Callable[[Job], Summary],
    *,
    overwrite: bool = False,
    resume: bool = False,
    stop: threading.Event | None = None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    at_once: int = 1,
) -> list[Outcome]:
    """Run the jobs; a failure does not stop the rest.

    Args:
        jobs: Jobs to run.
        restore_one: Function that runs one job.
        overwrite: Include jobs whose target exists.
        resume: Include jobs with the journal of an interrupted run.
        stop: Once set, no further job is started.
        on_outcome: Called after each job.
        at_once: Number of jobs at a time, a thread each.

    Returns:
        Outcomes of the jobs that were begun, in order.
    """

    def run(job: Job) -> Outcome | None:
        if stop is not None and stop.is_set():
            return None
        outcome = _run(job, restore_one, overwrite=overwrite, resume=resume)
        on_outcome(outcome)
        return outcome

    if at_once == 1:
        return [outcome for job in jobs if (outcome := run(job)) is not None]
    with ThreadPoolExecutor(at_once, thread_name_prefix="vsr-film") as threads:
        return [outcome for outcome in threads.map(run, jobs) if outcome is not None]


def _run(
    job: Job, restore_one: Callable[[Job], Summary], *, overwrite: bool, resume: bool
) -> Outcome:
    try:
        if is_done(job.target, overwrite=overwrite, resume=resume):
            return Outcome(name=job.name, state="skipped")
        Path(job.target).parent.mkdir(parents=True, exist_ok=True)
        summary = restore_one(job)
    except (VSRError, OSError) as error:
        return Outcome(name=job.name, state="failed", error=str(error))
    state: State = "interrupted" if summary.interrupted else "restored"
    return Outcome(
        name=job.name,
        state=state,
        frames=summary.frames_out,
        seconds=summary.seconds,
        workers=summary.workers,
    )


def _names_no_folder(target: str) -> bool:
    suffix = Path(target).suffix.lower()
    return target in {PIPE, NULL} or is_address(target) or suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES


def _sources(folder: Path) -> Sequence[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") or part.endswith(JOURNAL_SUFFIX) for part in parts):
            continue
        frames = path.is_dir() and _has_images(path) and not _has_videos(path)
        if frames or _is_video(path):
            found.append(path)
    return found


def _has_videos(folder: Path) -> bool:
    return any(map(_is_video, folder.iterdir()))


def _has_images(folder: Path) -> bool:
    return any(map(_is_image, folder.iterdir()))


def _is_video(path: Path) -> bool:
    """Whether a path is a video by its name, or a picture that moves; hidden files are not."""
    if path.name.startswith(".") or not path.is_file():
        return False
    return path.suffix.lower() in VIDEO_SUFFIXES or is_animated(path)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not _is_video(path)
