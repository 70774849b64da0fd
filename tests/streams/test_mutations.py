"""300 damaged files: restored as far as they go, or refused; nothing hangs, crashes or lies."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.streams.encoding import frame_seconds
from tests.streams.mutation import write_mutants, write_sources
from tests.streams.restoring import Report, restore_apart
from tests.streams.said_times import (
    MILLISECOND,
    Said,
    decoded_by_ffmpeg,
    decoded_plainly,
    possible,
    without_stray,
)
from vsr.streams.names.container import open_input

COUNT, SEED = 300, 20261121
PARTS = 4
"""Of the files, each a test."""
HALF_A_MILLISECOND = Fraction(1, 1999)
KEPT = "; frames restored before are in '"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_files_are_restored_or_refused(part: int, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("sources", "mutants", "restored")]
    for folder in folders:
        folder.mkdir()
    sources, damaged, restored = folders
    mutants = write_mutants(write_sources(sources), damaged, COUNT, SEED)
    mutants = mutants[part * COUNT // PARTS : (part + 1) * COUNT // PARTS]
    reports = restore_apart(mutants, restored)
    assert [report.name for report in reports] == [path.name for path in mutants]
    wrong = [fault for report in reports for fault in faults(report, damaged, restored)]
    assert wrong == []
    assert sum(not report.error for report in reports) > COUNT / PARTS / 3
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
    said = decoded_plainly(source)
    decodable = {len(decoded_by_ffmpeg(source)), said.num_frames}
    if report.frames not in decodable:
        found.append(f"ffmpeg decodes {sorted(decodable)} frames")
    elif len(times) == said.num_frames:
        found += time_faults(times, said)
    if (held := kinds(target)) != (streams := kinds(source)) and "out" not in report.notes:
        found.append(f"the source has {streams}, the target {held}")
    return found


def time_faults(times: list[Fraction], said: Said) -> list[str]:
    """Frames that are not where the file says, as far as what it says can be true."""
    sound = without_stray(said.times)
    # In a coarse time base a frame of no time of its own moves the next ones by a tick.
    near = HALF_A_MILLISECOND if sound == said.times else max(MILLISECOND, said.tick)
    return [
        f"frame {place} is at {times[place]}, the file says {wanted}"
        for place, wanted in possible(sound)
        if abs(times[place] - wanted) > near
    ]


def kinds(path: Path) -> list[str]:
    """Kinds of the streams."""
    with open_input(str(path)) as container:
        return sorted(stream.type for stream in container.streams if stream.codec_context)
