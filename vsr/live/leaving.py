"""The process's end while a source still waits in a library."""

from __future__ import annotations

import os
import sys
import threading
from typing import NoReturn

READING_THREAD = "vsr-live-source"


def leave(code: int) -> NoReturn:
    """End the process with an exit code.

    A connection that is silent, or still being opened, holds its thread in PyAV until a time-out,
    and nothing can call it back. The interpreter's own end takes away what that thread works on,
    which crashed one run in three; so where there is one, the process ends without it.
    """
    if any(thread.name == READING_THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
