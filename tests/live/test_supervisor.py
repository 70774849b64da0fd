"""Statements on the thread that waits for several streams."""

from __future__ import annotations

import subprocess
import sys

SIGNALLED_ELSEWHERE = """
import signal, threading, types
from vsr.cli.signals import stop_on_signal
from vsr.live.supervisor import run_all

def run(stop):
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    stop.wait(60)
    print("stopped" if stop.is_set() else "not stopped")

options = types.SimpleNamespace(name="one", targets=("out.mkv",), segments=None, retries=None)
with stop_on_signal() as stop:
    run_all([(types.SimpleNamespace(options=options, run=run), lambda: None)], stop)
"""


def test_a_signal_that_another_thread_gets_stops_the_streams() -> None:
    """Which is the kernel's choice, and once kept `vsr live` running on a busy machine."""
    words = [sys.executable, "-c", SIGNALLED_ELSEWHERE]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("stopped\n", 0), done.stderr
