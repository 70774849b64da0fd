"""Sinks: each has its own process that writes encoded packets to a file or address.

A lost sink affects nothing else: the encoder keeps running, packets for the sink are
dropped, and it is fed again from the next key frame after its return.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from fractions import Fraction
from typing import Any

from vsr.address import is_address, redact, shown
from vsr.errors import EncodeError, VSRError
from vsr.live.audio.packets import EncodedPacket, PacketStream
from vsr.live.input.address import check_host
from vsr.live.input.retry import SETTLED_S, Retry
from vsr.live.monitor.counted_log import CountedLog
from vsr.live.monitor.figures import SinkFigures
from vsr.live.output.bit_rate import SinkLoad
from vsr.live.output.recording import Recording, Segments
from vsr.live.output.sink_command import FILE_TIMEOUT_S, TIMEOUT_S, sink_command, sink_preamble
from vsr.streams.ffmpeg.process import PIPE_BYTES, FFmpegProcess
from vsr.streams.names.container import SYSTEM, reason
from vsr.streams.names.formats import PLAYLISTS, suffix_of
from vsr.streams.names.target import TargetAddress, TargetFile
from vsr.streams.names.trust import Trust

log = logging.getLogger(__name__)

WAITING_S = 10
"""Seconds of packets that may wait for a sink; then it loses some."""

CONGESTED_S = 1.0
"""Seconds beyond the latency that may wait for an address which has kept up: a network that pauses
for longer is congested, and what waits would only come ever later."""

JUDGED_AFTER_S = 5.0
"""An address that has not kept up once for so long since it was opened is congested, too."""

WAITING_PACKETS = 2000

_ADDRESS_PIPE_BYTES = 8 * 1024
"""Bytes in the pipe to a sender, which are not counted as waiting: little even of a slow stream."""


class Sink:
    """One sink and its thread.

    Args:
        target: A file or an address.
        retry: Retry policy for reopening.
        overwrite: Replace a file that exists.
        stream: Name of the stream, for log lines.
        role: ``target`` or ``record``.
        trust: Which certificates are accepted.
        latency_s: Seconds by which an address that has kept up may lag, plus ``CONGESTED_S``.
        segments: Segments of a file; None for one file.

    Attributes:
        reopened: Times it was reopened.
        lost: Packets dropped while it was lost.
        error: Reason why it was given up or is incomplete; None otherwise.

    Raises:
        OpenError: The file cannot be written.
    """

    def __init__(
        self,
        target: str,
        *,
        retry: Retry,
        overwrite: bool = False,
        stream: str = "live",
        role: str = "target",
        trust: Trust = SYSTEM,
        latency_s: float = WAITING_S,
        segments: Segments | None = None,
    ) -> None:
        self.reopened = self.lost = 0
        self.error: VSRError | None = None
        self._target, self._retry, self._stream, self._role = target, retry, stream, role
        self._recording = None if segments is None else Recording(target, segments)
        self._num_segments = 0
        self._file = self._first_file(overwrite)
        self._trust = trust
        self._log, self._latency_s = CountedLog(log), latency_s
        self._offered = self._taken = 0
        self._has_kept_up = self._misses_key = False
        self._templates: list[Any] = []
        self._packets: deque[EncodedPacket] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._process: FFmpegProcess | None = None
        self._muxed: PacketStream | None = None
        self._opened = 0
        self._opened_at = self._again_at = 0.0
        self._begins = Fraction(0)
        self._missed_for = ""
        self._thread = threading.Thread(target=self._run, name="vsr-live-sink", daemon=True)

    @property
    def name(self) -> str:
        """The target without its secrets."""
        return shown(self._target)

    @property
    def depth(self) -> int:
        """Number of waiting packets."""
        return len(self._packets)

    @property
    def lag_s(self) -> float:
        """Stream time of the packets that wait."""
        with self._changed:
            return self._waiting_s()

    @property
    def state(self) -> str:
        """As in ``SinkFigures``."""
        if self.error is not None:
            return "given up"
        if (process := self._process) is not None and process.has_written:
            return "open"
        if self._thread.ident is not None and not self._thread.is_alive():
            return "ended"
        return "missing" if self._opened or self._missed_for else "waiting"

    @property
    def most_lag_s(self) -> float:
        """Seconds of packets that may wait for an address that has kept up."""
        return min(WAITING_S, self._latency_s + CONGESTED_S)

    @property
    def is_remote(self) -> bool:
        """Whether it is reached over a network."""
        return is_address(self._target)

    def load(self) -> SinkLoad:
        """The load by which a bit rate is chosen."""
        is_open, open_s = self.state == "open", time.monotonic() - self._opened_at
        return SinkLoad(
            offered=self._offered,
            taken=self._taken,
            lost=self.lost,
            lag_s=self.lag_s,
            is_judged=is_open and (self._has_kept_up or open_s > JUDGED_AFTER_S),
        )

    def _first_file(self, overwrite: bool) -> TargetFile | TargetAddress:
        # Playlists are rewritten all the time: they have no moment at which they are whole.
        if is_address(self._target) or suffix_of(self._target) in PLAYLISTS:
            return TargetAddress(self._target)
        if self._recording is not None:
            return self._recording.next_file()
        return TargetFile(self._target, source=None, overwrite=overwrite)

    def figures(self) -> SinkFigures:
        """Figures of the sink for the monitor."""
        return SinkFigures(
            role=self._role,
            name=self.name,
            state=self.state,
            queue=self.depth,
            lag_s=round(self.lag_s, 2),
            reopened=self.reopened,
            lost_packets=self.lost,
            segments=self._num_segments,
        )

    def start(self, templates: list[Any]) -> None:
        """Start the sink for these streams."""
        self._templates = templates
        self._thread.start()

    def put(self, coded: EncodedPacket) -> None:
        """Append a packet; never waits."""
        with self._changed:
            self._has_kept_up = self._has_kept_up or (self.state == "open" and not self._packets)
            self._offered += len(coded.data)
            self._misses_key = self._misses_key and not _begins(coded)
            if self._misses_key:
                self.lost += 1
                return
            self._packets.append(coded)
            most_s = self._most_waiting_s()
            while len(self._packets) > WAITING_PACKETS or self._waiting_s() > most_s:
                self._shed()
            self._changed.notify_all()

    def finish(self) -> None:
        """Write waiting packets and close the sink; the file then has its final name."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while (coded := self._next()) is not None:
                try:
                    self._write(coded)
                except (VSRError, OSError) as error:
                    self._lose(error)
            self._close()
        except Exception as error:
            # Nobody else sees what this thread ends with.
            self.error = EncodeError(f"{self.name} broke off ({reason(error)})")
            self.error.__cause__ = error
            self._kill()

    def _next(self) -> EncodedPacket | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or bool(self._packets))
            return self._packets.popleft() if self._packets else None

    def _write(self, coded: EncodedPacket) -> None:
        if self._is_due(coded):
            self._end_segment()
        is_open = self._muxed is not None or self._open(coded)
        # FLV breaks off at a time before its first: sound may lag behind the picture.
        if not is_open or coded.time < self._begins:
            self.lost += 1
            return
        assert self._process is not None
        assert self._muxed is not None
        self._process.check()
        self._muxed.write(coded)
        self._taken += len(coded.data)
        if time.monotonic() - self._opened_at > SETTLED_S:
            self._retry.succeeded()

    def _open(self, coded: EncodedPacket) -> bool:
        """Open the sink if a retry is due and the packet is a key frame."""
        if self.error is not None or not _begins(coded) or time.monotonic() < self._again_at:
            return False
        check_host(self._target)
        if self._recording is not None:
            self._recording.forget_old(time.time())  # also where no segment ends: a disk is full
            self._file = self._recording.next_file()
        self._file.create()
        self._process = FFmpegProcess(
            sink_command(self._target, self._file.temporary, self._trust),
            timeout_s=TIMEOUT_S if is_address(self._target) else FILE_TIMEOUT_S,
            pipe_bytes=_ADDRESS_PIPE_BYTES if is_address(self._target) else PIPE_BYTES,
        )
        self._has_kept_up = False
        self._opened_at = time.monotonic()
        if preamble := sink_preamble(self._target):
            self._process.write(preamble)
        else:
            self._process.hide_query(self._target)
        origin = Fraction(0) if self._recording is None else coded.time
        self._muxed = PacketStream(self._templates, self._process.write, origin)
        self._begins = coded.time
        self.reopened += bool(self._missed_for)
        self._missed_for = ""
        self._opened += 1
        return True

    def _lose(self, error: VSRError | OSError) -> None:
        """Note that the sink is lost, and when to retry."""
        self._kill()
        if self._recording is not None:
            self._keep_part()
        message = redact(reason(error), self._target)
        self._missed_for = message = f"{self.name} takes nothing ({message})"
        again = is_address(self._target) or self._recording is not None
        delay_s = self._retry.next_delay_s() if again else None
        if delay_s is None:
            self.error = EncodeError(f"{message}; it is given up")
            log.error("%s: %s", self._stream, self.error)
            return
        self._again_at = time.monotonic() + delay_s
        self._log.warning(message, f"{self._stream}: {message}; opening it again")

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self._process = self._muxed = None

    def _is_due(self, coded: EncodedPacket) -> bool:
        """Whether a segment is long enough, and the next can begin with a packet."""
        if self._recording is None or self._muxed is None:
            return False
        return _begins(coded) and coded.time - self._begins >= self._recording.segments.length_s

    def _end_segment(self) -> None:
        """Close a segment, and forget old ones.

        Raises:
            EncodeError: It cannot be finished.
        """
        assert self._muxed is not None
        assert self._process is not None
        self._muxed.close()
        self._process.finish()
        self._process = self._muxed = None
        self._file.keep(partial=False)
        self._num_segments += 1
        if self._recording is not None:
            self._recording.forget_old(time.time())

    def _close(self) -> None:
        """Close the sink, which must be open, otherwise its last packets are lost."""
        if self.error is not None:
            self._keep_part()
        elif self._muxed is None or self._process is None:
            message = self._missed_for or f"{self.name} was not opened"
            self.error = EncodeError(f"{message}; it was still missing in the end")
        else:
            self._end()
        self._process = self._muxed = None

    def _end(self) -> None:
        try:
            self._end_segment()
        except (VSRError, OSError) as error:
            self._kill()
            message = redact(reason(error), self._target)
            self.error = EncodeError(f"{self.name} did not end in order ({message})")
            self._keep_part()

    def _keep_part(self) -> None:
        """Rename a failed sink's file to a name that shows it is partial, unless it is empty."""
        with suppress(OSError):
            if isinstance(self._file, TargetFile) and self._file.is_empty:
                self._file.remove()
                return
            kept = self._file.keep(partial=True)
            if not is_address(self._target):
                log.warning("%s: what was written until then is %s", self._stream, kept)

    def _waiting_s(self) -> float:
        if not self._packets:
            return 0.0
        pictures = [self._packets[0], self._packets[-1]]
        return float(pictures[1].time - pictures[0].time)

    def _most_waiting_s(self) -> float:
        """Until it has kept up once, it is still being opened, or catches up with that."""
        if not is_address(self._target) or not self._has_kept_up:
            return WAITING_S
        return self.most_lag_s

    def _shed(self) -> None:
        """Drop the oldest waiting packets up to a key frame, which may be still to come."""
        self._packets.popleft()
        self.lost += 1
        while self._packets and not _begins(self._packets[0]):
            self._packets.popleft()
            self.lost += 1
        self._misses_key = not self._packets


def _begins(coded: EncodedPacket) -> bool:
    """Whether decoding can begin with a packet."""
    return coded.stream_index == 0 and coded.is_key
