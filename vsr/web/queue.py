"""The queue: jobs run one after the other, or one on each device."""

from __future__ import annotations

import logging
import secrets
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vsr.live.monitor.counted_log import CountedLog
from vsr.streams.names.formats import JOURNAL_SUFFIX, restored_name
from vsr.web.errors import RequestError
from vsr.web.jobs import Job, JobFolder, State
from vsr.web.library import Film
from vsr.web.process_folder import process_folders
from vsr.web.results import Results

log = logging.getLogger(__name__)

UNSAID = "the process ended without a message, as if killed; Resume continues where it was"

OTHERS = "{!r} is there already, and not from this job; rename or remove it, then Resume"


class Queue:
    """Jobs, in the order in which they were added. Used by one thread.

    A job belongs to its files and to the lock that its process holds: a server that was killed
    leaves running processes behind, and the next one finds them running.

    Args:
        folder: Folder of the jobs.
        results: Folder of the results.
        devices: Devices of ``--device``; each takes one job at a time.
    """

    def __init__(self, folder: Path, results: Results, devices: Sequence[str] = ("auto",)) -> None:
        self._folder = folder
        self._results = results
        self._devices = devices
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        loaded = (JobFolder(path).load() for path in process_folders(folder))
        jobs = sorted(filter(None, loaded), key=lambda job: job.created)
        self._jobs = {job.id: job for job in jobs}
        self._unsaved: set[str] = set()
        self._log = CountedLog(log)
        results.hold(lambda: [job.target for job in self.jobs])

    @property
    def jobs(self) -> list[Job]:
        """All jobs."""
        return list(self._jobs.values())

    def find(self, job_id: str) -> Job:
        """The job with an id.

        Raises:
            RequestError: There is none.
        """
        if job_id not in self._jobs:
            raise RequestError("this job is not in the queue any more", 404)
        return self._jobs[job_id]

    def files(self, job: Job) -> JobFolder:
        """The files of a job."""
        return JobFolder(self._folder / job.id)

    def add(self, film: Film, words: Sequence[str]) -> Job:
        """Add a job that restores a film into a new file."""
        job = Job(
            id=secrets.token_hex(8),
            created=time.time(),
            name=film.name,
            source=str(film.path),
            target=str(self._results.free(restored_name(Path(film.path.name)))),
            words=tuple(words),
        )
        self._put(job)
        return job

    def pause(self, job: Job) -> Job:
        """End a job early; ``resume`` continues it without loss."""
        return self._end_in(job, "paused")

    def cancel(self, job: Job) -> Job:
        """End a job early; the restored part remains as a playable file."""
        return self._end_in(job, "cancelled")

    def resume(self, job: Job) -> Job:
        """Let a job that ended early wait for its turn again."""
        job = self.find(job.id)
        if job.state not in {"paused", "cancelled", "failed"}:
            raise RequestError(
                f"only a job that ended early can be resumed, this one is {job.state}"
            )
        return self._put(replace(job, state="queued", wanted=None, message=""))

    def remove(self, job: Job, *, with_result: bool = False) -> None:
        """Take a job off the list.

        Args:
            job: A job that does not run.
            with_result: Delete its output, too, and the files needed to resume it.
        """
        job = self.find(job.id)
        if job.state == "running":
            raise RequestError("a running job cannot be removed; cancel it first", 409)
        if with_result:
            if job.output:
                Path(job.output).unlink(missing_ok=True)
            JobFolder(Path(f"{job.target}{JOURNAL_SUFFIX}")).remove()
        del self._jobs[job.id]
        self._unsaved.discard(job.id)
        self.files(job).remove()

    def tick(self) -> None:
        """Note which processes have ended, and start jobs on free devices."""
        self._save()
        self._note_ends()
        busy = {job.device for job in self.jobs if job.state == "running"}
        free = [device for device in self._devices if device not in busy]
        waiting = [job for job in self.jobs if job.state == "queued"]
        for job, device in zip(waiting, free, strict=False):
            self._start(job, device)

    def interrupt_all(self) -> bool:
        """Ask all running jobs to end, and to wait for the next server; True while some run."""
        for job in self.jobs:
            if job.state == "running" and job.wanted is None:
                self._end_in(job, "queued")
        self._note_ends()
        return any(job.state == "running" for job in self.jobs)

    def _note_ends(self) -> None:
        for job in self.jobs:
            if job.state == "running" and not self.files(job).is_running():
                self._note_end(job)

    def _start(self, job: Job, device: str) -> None:
        job = replace(job, state="running", wanted=None, device=device, message="", pid=None)
        try:
            self.files(job).forget_last_run()
            self._put(job)  # first: a server that is killed now leaves a process of a running job
            process = self.files(job).start(job)
        except OSError as error:
            self._put(replace(job, state="failed", message=str(error)))
            return
        self._processes[job.id] = process
        self._put(replace(job, pid=process.pid))

    def _end_in(self, job: Job, state: State) -> Job:
        job = self.find(job.id)  # as it is now: its process may have started since
        if job.state == "queued":
            return self._put(replace(job, state=state))
        if job.state != "running":
            if job.state == "paused" and state == "cancelled":
                return self._put(replace(job, state=state))
            raise RequestError(f"this job is {job.state} and does not run")
        if job.wanted is None:  # a second interrupt would end it at once
            self.files(job).interrupt(job.pid)
        return self._put(replace(job, wanted=state))

    def _note_end(self, job: Job) -> None:
        if process := self._processes.pop(job.id, None):
            process.wait()
        files = self.files(job)
        summary = files.summary()
        if summary is None and job.pid is None and job.wanted is None:
            self._put(replace(job, state="queued"))  # its server was killed before it began
            return
        if summary is None:
            state: State = job.wanted or "failed"
            message = "" if job.wanted else files.last_message() or UNSAID
            self._put(replace(job, state=state, wanted=None, pid=None, message=message))
            return
        if summary["skipped"] and not job.output:
            message = OTHERS.format(Path(job.target).name)
            self._put(replace(job, state="failed", wanted=None, pid=None, message=message))
            return
        output = str(summary["output"])
        whole = not summary["interrupted"]
        if whole and job.is_partial:
            with suppress(OSError):
                Path(job.output).unlink()
        self._put(
            replace(
                job,
                state="done" if whole else job.wanted or "paused",
                wanted=None,
                pid=None,
                output=output or job.output,
                frames=int(summary["frames_out"]),
                seconds=float(summary["seconds"]),
            )
        )

    def _put(self, job: Job) -> Job:
        self._jobs[job.id] = job
        self._unsaved.add(job.id)
        self._save()
        return job

    def _save(self) -> None:
        """Write what has changed; what a full disk does not take is tried again by ``tick``."""
        try:
            for job_id in tuple(self._unsaved):
                self.files(self._jobs[job_id]).save(self._jobs[job_id])
                self._unsaved.discard(job_id)
        except OSError as error:
            self._log.warning("save", f"the queue cannot be saved ({error.strerror}); tried again")
