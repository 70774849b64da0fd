"""Receiving protocols that PyAV lacks through an ffmpeg process."""

from __future__ import annotations

import subprocess
from typing import IO

from vsr.streams.ffmpeg.hidden_query import hide_query
from vsr.streams.ffmpeg.log import FFmpegLog
from vsr.streams.ffmpeg.process import find_ffmpeg

RELAYED = ("srt://",)
"""SRT carries MPEG transport streams, which are handed on as they come."""

FORMAT = "mpegts"

KILL_TIMEOUT_S = 5.0


AS_IT_IS = "data"
"""Ffmpeg's name of bytes that are not looked into. Its MPEG-TS muxer would have times of a
publisher that starts anew, which go back, creep by one tick a packet until they are made up for."""


class Relay:
    """Receives an address and forwards its bytes.

    Args:
        address: An address with a scheme of ``RELAYED``.

    Attributes:
        file: File object that the bytes are read from.
    """

    def __init__(self, address: str) -> None:
        words = ["-hide_banner", "-nostdin", "-loglevel", "level+warning"]
        words += ["-f", AS_IT_IS, "-i", address, "-map", "0", "-c", "copy"]
        words += ["-f", AS_IT_IS, "-flush_packets", "1", "pipe:1"]
        self._process = subprocess.Popen(
            [find_ffmpeg(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        hide_query(self._process, address)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.file: IO[bytes] = self._process.stdout
        self._log = FFmpegLog(self._process.stderr)

    def reason(self) -> str:
        """Why ffmpeg ended, in its words."""
        return self._log.reason()

    def interrupt(self) -> None:
        """End the process; readers of ``file`` reach its end."""
        self._process.kill()

    def close(self) -> None:
        """End the process, from the thread that reads."""
        self._process.kill()
        self._process.wait(KILL_TIMEOUT_S)
        self._log.close()
        self.file.close()
