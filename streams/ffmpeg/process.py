"""The ffmpeg program: finding it, querying it, and feeding a running process."""

from __future__ import annotations

import fcntl
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from vsr.errors import EncodeError, MissingDependency, StreamTimeout
from vsr.streams.ffmpeg.hidden_query import hide_query
from vsr.streams.ffmpeg.log import FFmpegLog

QUERY_TIMEOUT_S = 60.0
STALL_TIMEOUT_S = 300.0
"""An encoder that takes no data and reports no progress for this long is given up. The slowest
encoders need tens of seconds for a large frame."""

KILL_TIMEOUT_S = 10.0
LOOK_EVERY_S = 1.0
TAKEN_AFTER_S = 0.1
PIPE_BYTES = 1 << 20
_ENDED_BY_SIGNAL = 255

_SIGNALS = {
    "SIGXFSZ": "; raise the limit of a file's size (ulimit -f)",
    "SIGXCPU": "; raise the limit of processor time (ulimit -t)",
    "SIGKILL": ", as the system does when memory runs out; --memory or a smaller size help",
}
"""Advice about signals that the system sends."""


def find_ffmpeg() -> str:
    """The binary that imageio-ffmpeg ships, unless ``VSR_FFMPEG`` names one or says ``system``.

    Raises:
        MissingDependency: The binary asked for does not exist.
    """
    wanted = os.environ.get("VSR_FFMPEG", "")
    if not wanted:
        return _shipped_ffmpeg()
    found = shutil.which("ffmpeg" if wanted == "system" else wanted)
    if found is None:
        raise MissingDependency(
            f"VSR_FFMPEG={wanted} is not an ffmpeg program; give its path, 'system', or unset it"
        )
    return found


def query_ffmpeg(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ffmpeg for a short question and return its output, whatever its exit code.

    It runs in a session of its own, where an interrupt from the keyboard does not spoil its answer.

    Raises:
        StreamTimeout: No answer within ``QUERY_TIMEOUT_S``.
    """
    command = [find_ffmpeg(), "-hide_banner", "-nostdin", *arguments]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=QUERY_TIMEOUT_S,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise StreamTimeout(f"ffmpeg did not answer within {QUERY_TIMEOUT_S:g} s") from error


class FFmpegProcess:
    """A running ffmpeg that reads its first input from us.

    Its messages are read all the time by a thread, so it never blocks on them. It runs in a session
    of its own: an interrupt from the keyboard reaches us, and we close it in order.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = STALL_TIMEOUT_S,
        output: int = subprocess.DEVNULL,
        pipe_bytes: int = PIPE_BYTES,
        target: Path | None = None,
    ) -> None:
        """Start the command.

        Args:
            command: The program and its arguments, which must include ``-progress pipe:2``.
            timeout_s: How long it may neither take data nor report progress.
            output: File descriptor of its standard output; the caller's to close.
            pipe_bytes: Capacity of the pipe to it.
            target: The file that it writes: in the end ffmpeg may move all of it, for long, without
                a report.
        """
        self._timeout_s = timeout_s
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._pipe: IO[bytes] = self._process.stdin
        self._pipe_lock = threading.RLock()
        self._log = FFmpegLog(self._process.stderr)
        self._taken_at = time.monotonic()
        self._target = target
        self._state = _state_of(target)
        self._changed_at = -math.inf
        os.set_blocking(self._pipe.fileno(), False)
        _resize(self._pipe, pipe_bytes)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def frames(self) -> int | None:
        """Frames that it has written; None before its first report."""
        return self._log.frames

    @property
    def has_written(self) -> bool:
        """Whether it has written anything, as far as it has reported."""
        return self._log.has_written

    def hide_query(self, address: str) -> None:
        """Hide the query of an address among the arguments from others on this machine."""
        hide_query(self._process, address)

    def write(self, data: bytes | memoryview) -> None:
        """Write all of ``data``.

        Raises:
            EncodeError: ffmpeg has ended; the message is its own reason.
            StreamTimeout: It takes nothing any more.
        """
        rest = memoryview(data)
        with self._pipe_lock:
            while rest:
                try:
                    rest = rest[os.write(self._pipe.fileno(), rest) :]
                except BlockingIOError:
                    self._wait_for_room()
                except (OSError, ValueError) as error:
                    raise self.failure() from error

    def check(self) -> None:
        """Check that ffmpeg still accepts data, as ``write`` does only when the pipe is full.

        Raises:
            StreamTimeout: Nothing was taken for long, nor any progress made.
        """
        if not _bytes_in(self._pipe):
            self._taken_at = time.monotonic()
        elif min(time.monotonic() - self._taken_at, self._log.idle_s()) > self._timeout_s:
            raise StreamTimeout(self._stalled())

    def finish(self, *, stop: bool = False) -> None:
        """Close the pipe and wait until everything is encoded.

        Args:
            stop: Ask ffmpeg to end once it has taken all data, however much it could still read
                from another input.

        Raises:
            EncodeError: ffmpeg failed; the message is its own reason.
            StreamTimeout: It makes no progress any more; it is killed.
        """
        if stop:
            self._wait_until_taken()
            self._process.send_signal(signal.SIGINT)
        self._close_pipe()
        while (code := self._code_after(LOOK_EVERY_S)) is None:
            if min(self._log.idle_s(), self._unchanged_s()) > self._timeout_s:
                self.kill()
                raise StreamTimeout(self._stalled())
        self._log.close()
        if code and not (stop and code == _ENDED_BY_SIGNAL):
            raise EncodeError(f"ffmpeg failed: {self._why(code)}")

    def kill(self) -> None:
        """End the process at once; never raises. May be called from another thread."""
        self._process.kill()
        self._process.wait()
        self._close_pipe()
        self._log.close()

    def _unchanged_s(self) -> float:
        """Seconds since the target was last seen to change."""
        state = _state_of(self._target)
        if state != self._state:
            self._state, self._changed_at = state, time.monotonic()
        return time.monotonic() - self._changed_at

    def _code_after(self, seconds: float) -> int | None:
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def _wait_until_taken(self) -> None:
        while self._process.poll() is None and _bytes_in(self._pipe):
            if self._log.idle_s() > self._timeout_s:
                raise StreamTimeout(self._stalled())
            time.sleep(TAKEN_AFTER_S)
        time.sleep(TAKEN_AFTER_S)

    def _wait_for_room(self) -> None:
        poll = select.poll()
        poll.register(self._pipe, select.POLLOUT)
        deadline = time.monotonic() + self._timeout_s
        while self._process.poll() is None:
            if poll.poll(1000 * min(LOOK_EVERY_S, self._timeout_s)):
                return
            if time.monotonic() > deadline and self._log.idle_s() > self._timeout_s:
                raise StreamTimeout(self._stalled())

    def failure(self) -> EncodeError:
        """Why ffmpeg ended, in its words; a process that does not end is killed."""
        try:
            self._process.wait(timeout=KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._log.close()
        return EncodeError(f"ffmpeg stopped: {self._why(self._process.returncode)}")

    def _why(self, code: int) -> str:
        """The error that ffmpeg reported, or the signal that ended it."""
        if code >= 0:
            return self._log.reason()
        name = signal.Signals(-code).name
        return f"{name} ended it" + _SIGNALS.get(name, "")

    def _stalled(self) -> str:
        return (
            f"ffmpeg makes no progress for {self._timeout_s:g} s; its message: {self._log.reason()}"
        )

    def _close_pipe(self) -> None:
        with self._pipe_lock, suppress(OSError):
            self._pipe.close()


def run_ffmpeg(command: Sequence[str], target: Path) -> None:
    """Run a command that needs nothing from us, for as long as it makes progress.

    Args:
        command: See ``FFmpegProcess``, as for the errors.
        target: The file that it writes.
    """
    process = FFmpegProcess(command, target=target)
    try:
        process.finish()
    except BaseException:
        process.kill()
        raise


def _shipped_ffmpeg() -> str:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        # Where no program can be started at all, an error of the system reports that.
        nothing = [sys.executable, "-I", "-c", ""]
        subprocess.run(nothing, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        raise MissingDependency(
            "no ffmpeg came with imageio-ffmpeg on this platform; install ffmpeg and set "
            "VSR_FFMPEG=system"
        ) from error


def _state_of(target: Path | None) -> tuple[int, int] | None:
    """Size and time of the last change of a file; None without one."""
    try:
        found = None if target is None else target.stat()
    except (OSError, ValueError):
        return None
    return found and (found.st_size, found.st_mtime_ns)


def _bytes_in(pipe: IO[bytes]) -> int:
    """Bytes that the other end has not read yet."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def _resize(pipe: IO[bytes], num_bytes: int) -> None:
    # Linux only, and refused to users over their quota: speed is all that is lost without it.
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, num_bytes)
