"""A process that outlives its server, and the folder of its files.

FOLDER/lock            locked by the process as long as it lives
       summary.json    its standard output
       log.txt         its standard error
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-P", "-m", "vsr")
"""Command of this program; it imports nothing from the current folder, which may be anyone's."""


class ProcessFolder:
    """The files of one process.

    Args:
        path: The folder; created when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write an object to a file; on return it is on the disk."""
        self.path.mkdir(parents=True, exist_ok=True)
        part = self.path / f"{name}.part"
        with part.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path / name)

    def launch(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a process, which holds the lock until it ends.

        It runs in a session of its own: Ctrl-C in the server's terminal does not reach it.

        Raises:
            BlockingIOError: The process of an earlier server still runs.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self._opened("summary.json") as summary, self._opened("log.txt") as log:
                return subprocess.Popen(
                    command,
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

    def interrupt(self, pid: int | None) -> None:
        """Ask the process to end in order."""
        # The lock is held, so that the number still belongs to this process. No SIGINT: a shell's
        # background processes ignore that until they have a handler of their own.
        if pid is not None and self.is_running():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

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
        """Forget the process; films are not touched."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _opened(self, name: str) -> Any:
        return (self.path / name).open("wb")


def process_folders(folder: Path) -> Iterator[Path]:
    """The folders of all processes below one."""
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if is_id(path.name))


def is_id(name: str) -> bool:
    """Whether a name is an id made by the server: nothing else may become part of a path."""
    return re.fullmatch(r"[0-9a-f]{16}", name) is not None


def read_json(path: Path) -> dict[str, Any] | None:
    """An object from a file; None if it is missing or incomplete."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
