"""300 damaged files: restored as far as they go, or refused; nothing hangs, crashes or lies."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.error import FFmpegError

from tests.streams.encoding import frame_seconds
from tests.streams.mutation import write_mutants, write_sources
from tests.streams.restoring import Report, restore_apart
from vsr.streams.ffmpeg import find_ffmpeg

COUNT, SEED = 300, 20261121
KEPT = "; what came before is in '"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_damaged_files_are_restored_or_refused(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("sources", "mutants", "restored")]
    for folder in folders:
        folder.mkdir()
    sources, damaged, restored = folders
    mutants = write_mutants(write_sources(sources), damaged, COUNT, SEED)
    reports = restore_apart(mutants, restored)
    assert [report.name for report in reports] == [path.name for path in mutants]
    wrong = [fault for report in reports for fault in faults(report, damaged, restored)]
    assert wrong == []
    assert sum(not report.error for report in reports) > COUNT / 3
    assert not [path for path in restored.iterdir() if path.name.startswith(".")]


def faults(report: Report, damaged: Path, restored: Path) -> list[str]:
    """What is wrong with what became of a file, in words."""
    target = restored / f"{report.name}.mkv"
    if report.crashed:
        return [f"{report.name}: {report.crashed}"]
    if report.error:
        found = ["more than one line"] if "\n" in report.error else []
        found += ["a refused file has a target"] if target.exists() else []
        found += partial_faults(report.error)
    else:
        found = restored_faults(report, damaged / report.name, target)
    return [f"{report.name}: {fault} ({report})" for fault in found]


def partial_faults(message: str) -> list[str]:
    if KEPT not in message:
        return []
    partial = Path(message.partition(KEPT)[2].rstrip("'"))
    return [] if frame_seconds(partial) else ["the partial file holds nothing"]


def restored_faults(report: Report, source: Path, target: Path) -> list[str]:
    times = frame_seconds(target)
    # Matroska counts milliseconds, of which a damaged clock may pass several frames in one.
    found = ["times that go back"] if times != sorted(times) else []
    if len(times) != report.frames:
        found.append(f"{len(times)} frames in the target")
    # PyAV carries another version of ffmpeg, which finds its way through other damage.
    decodable = {len(decoded_by_ffmpeg(source)), decoded_plainly(source)}
    if report.frames not in decodable:
        found.append(f"ffmpeg decodes {sorted(decodable)} frames")
    return found


def decoded_plainly(path: Path) -> int:
    """How many frames PyAV decodes of a file, without threads over frames."""
    count = 0
    with av.open(str(path), metadata_errors="replace") as container:
        video = container.streams.video[0]
        video.thread_type = "SLICE"
        with suppress(FFmpegError):
            for packet in container.demux(video):
                with suppress(FFmpegError):
                    count += len(video.decode(packet))
    return count


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
