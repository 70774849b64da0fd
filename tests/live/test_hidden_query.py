"""Statements on removing the query of an address from a running program's arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.harness import until
from vsr.streams.ffmpeg.hidden_query import hide_query

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="arguments stay as they are")


BUSY = """
import os, socket, time
end = time.monotonic() + 1
while time.monotonic() < end:
    for file in [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]:
        os.close(file)
made = socket.socket()
time.sleep(60)
"""


def test_the_query_goes_though_the_program_opens_and_closes_files_meanwhile() -> None:
    """As ffmpeg does while it starts: files that are gone before they are looked at."""
    address = "srt://127.0.0.1:9?passphrase=s3cret"
    with subprocess.Popen([sys.executable, "-c", BUSY, address]) as process:
        try:
            hide_query(process, address)
            arguments = Path(f"/proc/{process.pid}/cmdline")
            until(lambda: b"s3cret" not in arguments.read_bytes(), "the query is gone")
            assert b"srt://127.0.0.1:9?***" in arguments.read_bytes()
        finally:
            process.kill()
