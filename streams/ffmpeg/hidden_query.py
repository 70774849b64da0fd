"""Removing the query of an address, such as SRT's pass phrase, from a running ffmpeg's arguments.

An argument is visible to every user of the machine. ffmpeg takes addresses in no other way, so what
it no longer needs is overwritten in its memory, as programs do that are given a password.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

LOOK_EVERY_S = 0.005
GIVE_UP_AFTER_S = 60.0
_FIRST, _END = 48 - 3, 49 - 3
"""Fields of ``/proc/PID/stat`` that say where the arguments lie, counted behind the name, which is
the second field."""


def hide_query(process: subprocess.Popen[bytes], address: str) -> None:
    """Overwrite the query of an address once ffmpeg has parsed it, in the background.

    On systems other than Linux, and where the system forbids it, nothing is changed.

    Args:
        process: A running ffmpeg, started by this process.
        address: One of its arguments.
    """
    query = address.partition("?")[2]
    if query and sys.platform == "linux":
        threading.Thread(target=_hide, args=(process, query.encode()), daemon=True).start()


def _hide(process: subprocess.Popen[bytes], secret: bytes) -> None:
    # An address is parsed before its socket is made.
    deadline = time.monotonic() + GIVE_UP_AFTER_S
    with suppress(OSError, ValueError, IndexError):
        while not _has_socket(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                return
            time.sleep(LOOK_EVERY_S)
        _overwrite(process.pid, secret)


def _has_socket(pid: int) -> bool:
    return any(_is_socket(file) for file in Path(f"/proc/{pid}/fd").iterdir())


def _is_socket(file: Path) -> bool:
    try:
        return str(file.readlink()).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile, as many are while ffmpeg starts
        return False


def _overwrite(pid: int, secret: bytes) -> None:
    """Overwrite a secret wherever it is in a process's arguments."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    first, end = int(fields[_FIRST]), int(fields[_END])
    with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
        memory.seek(first)
        arguments = memory.read(end - first)
        memory.seek(first)
        memory.write(arguments.replace(secret, b"*" * len(secret)))
