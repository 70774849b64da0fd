"""Jobs of the queue and the files that hold them, which survive the server.

jobs/ID/job.json                what was asked for, and how far it came
        lock                    locked by the process as long as it lives
        summary.json, log.txt   its standard output and error
        progress/               written by ``vsr restore --progress``
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["queued", "running", "paused", "cancelled", "failed", "done"]

PROGRESS, PICTURE = "progress.json", "frame.jpg"
"""Files of ``vsr restore --progress``."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One restoration.

    Attributes:
        id: Name of its folder.
        created: Seconds since 1970.
        name: Name of the film.
        source: Path of the film.
        target: Path of the result.
        words: Options of ``vsr restore``.
        state: ``running`` also while it ends after it was told to.
        wanted: State that it was told to end in; None while it may run.
        device: Device it runs on.
        pid: Process id.
        output: Path of what it wrote: the target, or a playable part of it; empty without one.
        message: Why it failed.
        frames: Frames in the output.
        seconds: Duration of the last run.
    """

    id: str
    created: float
    name: str
    source: str
    target: str
    words: tuple[str, ...]
    state: State = "queued"
    wanted: State | None = None
    device: str = ""
    pid: int | None = None
    output: str = ""
    message: str = ""
    frames: int = 0
    seconds: float = 0.0

    @property
    def is_partial(self) -> bool:
        """Whether the output is only a part of the result."""
        return bool(self.output) and self.output != self.target

    def command(self) -> list[str]:
        """The command line that does the same, as people type it."""
        return ["vsr", "restore", self.source, self.target, *self.words, "--resume"]


class JobFolder:
    """The files of one job, and its process.

    Args:
        path: The folder; made for a new job.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, job: Job) -> None:
        """Write the job; on return it is on the disk."""
        self.path.mkdir(parents=True, exist_ok=True)
        part = self.path / "job.json.part"
        with part.open("w", encoding="utf-8") as file:
            json.dump(asdict(job), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path / "job.json")

    def load(self) -> Job | None:
        """The job; None if there is none that can be read."""
        content = read_json(self.path / "job.json")
        if content is None:
            return None
        try:
            return Job(**{**content, "words": tuple(content["words"])})
        except (KeyError, TypeError):
            return None

    def start(self, job: Job) -> subprocess.Popen[bytes]:
        """Start the job's process, which holds the lock until it ends.

        It runs in a session of its own: Ctrl-C in the server's terminal reaches the server, which
        then ends its jobs in order.

        Raises:
            BlockingIOError: The process of an earlier server still runs.
        """
        self._forget_last_run()
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self._opened("summary.json") as summary, self._opened("log.txt") as log:
                return subprocess.Popen(
                    self._command(job),
                    stdin=subprocess.DEVNULL,
                    stdout=summary,
                    stderr=log,
                    pass_fds=(descriptor,),
                    start_new_session=True,
                )
        finally:
            os.close(descriptor)

    def is_running(self) -> bool:
        """Whether a process of this job lives, whichever server started it."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def interrupt(self, job: Job) -> None:
        """Ask the job's process to end early, with a playable partial result."""
        # The lock is held, so that the number still belongs to this process.
        if job.pid is not None and self.is_running():
            with suppress(ProcessLookupError):
                os.kill(job.pid, signal.SIGINT)

    def summary(self) -> dict[str, Any] | None:
        """The summary of the last run; None if it did not end in order."""
        return read_json(self.path / "summary.json")

    def progress(self) -> dict[str, Any] | None:
        """The progress of the last run; None before its first frame."""
        return read_json(self.path / "progress" / PROGRESS)

    @property
    def picture(self) -> Path:
        """The newest frame of the last run."""
        return self.path / "progress" / PICTURE

    def last_message(self) -> str:
        """The last error or warning of the last run."""
        try:
            log = (self.path / "log.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line for line in log.splitlines() if line.strip()]
        said = [line.removeprefix("vsr: ") for line in lines if line.startswith("vsr: ")]
        return (said or lines or [""])[-1]

    def remove(self) -> None:
        """Forget the job; films are not touched."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _command(self, job: Job) -> list[str]:
        words = [*job.command()[1:], "--device", job.device, "--json"]
        return [sys.executable, "-m", "vsr", *words, "--progress", str(self.path / "progress")]

    def _opened(self, name: str) -> Any:
        return (self.path / name).open("wb")

    def _forget_last_run(self) -> None:
        for path in (self.path / "progress" / PROGRESS, self.picture):
            path.unlink(missing_ok=True)


def job_folders(folder: Path) -> Iterator[JobFolder]:
    """The folders of all jobs."""
    if folder.is_dir():
        yield from (JobFolder(path) for path in folder.iterdir() if is_job_id(path.name))


def is_job_id(name: str) -> bool:
    """Whether a name is one that the queue gives: nothing else may become part of a path."""
    return re.fullmatch(r"[0-9a-f]{16}", name) is not None


def read_json(path: Path) -> dict[str, Any] | None:
    """An object from a file; None if it is missing or not whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
