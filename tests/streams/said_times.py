"""The times that a file says its frames have, in ffmpeg's and in PyAV's reading."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av import Packet
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags
from av.stream import Stream

from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.streams.names.container import open_input

MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What PyAV reads of a video.

    Attributes:
        times: Times of its frames up to where the clock of joined recordings jumps; None for frames
            that have none.
        num_frames: How many there are in all.
        tick: Its time base.
    """

    times: list[Fraction | None]
    num_frames: int
    tick: Fraction


def without_stray(times: list[Fraction | None]) -> list[Fraction | None]:
    """Without times that do not lie between those of their neighbours, which follow each other."""
    said = times[:]
    before = next((time for time in times if time is not None), None)
    for place, (time, behind) in enumerate(pairwise(times)):
        if place and time and before is not None and behind is not None and before < behind:
            said[place] = time if before < time <= behind else None
        before = before if said[place] is None else said[place]
    return said


def possible(times: list[Fraction | None]) -> Iterator[tuple[int, Fraction]]:
    """Places and times of frames behind which no later one has come, nor been moved."""
    reached: Fraction | None = None
    for place, time in enumerate(times):
        if time is not None and (reached is None or time > reached):
            yield place, time
            reached = time
        elif reached is not None:
            reached += MILLISECOND


def jump(times: list[Fraction | None]) -> int:
    """Where a clock jumps; time continues without the jump in joined recordings."""
    known = [(place, time) for place, time in enumerate(without_stray(times)) if time is not None]
    for (_, earlier), (place, later) in pairwise(known):
        if not -0.5 <= later - earlier <= 10:
            return place
    return len(times)


def decoded_plainly(path: Path) -> Said:
    """Decode a file without threads over frames."""
    times: list[Fraction | None] = []
    coded: list[Fraction | None] = []
    sent: list[int] = []
    with open_input(str(path)) as container:
        video = container.streams.video[0]
        base = video.time_base or Fraction(0)
        joined = Flags.ts_discont in Flags(container.format.flags)
        video.thread_type = "SLICE"
        with suppress(FFmpegError):
            for packet in packets_of(container):
                if packet.stream_index != video.index:
                    continue
                coded.append(None if packet.dts is None else packet.dts * base)
                sent.append(len(times))
                with suppress(FFmpegError):
                    frames = video.decode(packet)
                    times += [None if f.pts is None else f.pts * base for f in frames]
    whole = [*sent, len(times)][jump(coded)] if joined else len(times)
    return Said(times=times[:whole], num_frames=len(times), tick=base)


def packets_of(container: InputContainer) -> Iterator[Packet[Stream]]:
    """All packets; PyAV fails where a stream begins in the middle of a file, and can continue."""
    while True:
        with suppress(IndexError):
            yield from container.demux()
            return


def decoded_by_ffmpeg(path: Path, stream: str = "V:0") -> list[Fraction]:
    """The times of the frames that ffmpeg decodes of a file."""
    command = [find_ffmpeg(), "-v", "quiet", "-copyts", "-i", str(path), "-map", f"0:{stream}"]
    command += ["-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "framemd5", "-"]
    said = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    base, times = Fraction(1), []
    for line in said.splitlines():
        if line.startswith("#tb 0:"):
            base = Fraction(line.partition(":")[2].strip())
        elif not line.startswith("#"):
            times.append(int(line.split(",")[2]) * base)
    return times
