"""Jobs of the queue and the files that hold them, which survive the server.

jobs/ID/job.json     the request, and its progress
        lock …       those of the process: ``process_folder``
        progress/    written by ``vsr restore --progress``
"""

from __future__ import annotations

import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vsr.web.process_folder import PROGRAM, ProcessFolder, read_json

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
        state: State of the job; ``running`` also while it ends after a request.
        wanted: Requested end state; None while it may run.
        device: Device it runs on.
        pid: Process id; None while none runs, and where the server was killed as it began.
        output: Path of the written file: the target, or a playable part of it; empty without one.
        message: Reason of its failure.
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
        """The equivalent command line, as a user would type it."""
        return ["vsr", "restore", self.source, self.target, *self.words, "--resume"]


class JobFolder(ProcessFolder):
    """The files of one job, and its process."""

    def save(self, job: Job) -> None:
        """Write the job; on return it is on the disk."""
        self.write("job.json", asdict(job))

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
        """Start the job's process; raises as ``launch``."""
        return self.launch(self._command(job))

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

    def _command(self, job: Job) -> list[str]:
        words = [*job.command()[1:], "--device", job.device, "--json"]
        return [*PROGRAM, *words, "--progress", str(self.path / "progress")]

    def forget_last_run(self) -> None:
        """Remove what the last run has left to say."""
        for path in (self.path / "summary.json", self.path / "progress" / PROGRESS, self.picture):
            path.unlink(missing_ok=True)
