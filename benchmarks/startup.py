"""Gain by the settings of ``vsr.cli.startup``: ``python -m benchmarks.startup``.

Each round restores the same clip once with all settings and once without each of them, in turn, so
that whatever else the machine does meets all of them alike. Processor time and peak memory hardly
depend on other programs; the wall clock does.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from vsr.cli.tables import print_table
from vsr.streams.ffmpeg.process import find_ffmpeg

WITHOUT = {
    "all settings": {},
    "without short spinning": {"GOMP_SPINCOUNT": "300000"},  # libgomp's own, with idle cores
    "without the mmap threshold": {"MALLOC_TOP_PAD_": "131072"},  # glibc's own; leaves all to it
}
"""Settings left out, by the environment variables that do so."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One restoration: wall clock and processor seconds, peak resident bytes."""

    wall_s: float
    processor_s: float
    peak_bytes: int


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--frames", default=48, show_default=True)
@click.option("--size", default="320x180", show_default=True)
@click.option("--model", default="compact-x4", show_default=True)
def main(rounds: int, frames: int, size: str, model: str) -> None:
    """Print each variant's medians, and their ratios to those with all settings."""
    with tempfile.TemporaryDirectory() as folder:
        clip = _write_clip(Path(folder) / "clip.mkv", size, frames)
        runs: dict[str, list[Run]] = {name: [] for name in WITHOUT}
        for _ in range(rounds):
            for name, environment in WITHOUT.items():
                runs[name].append(_restore(clip, model, environment))
    base = _medians(runs["all settings"])
    rows = []
    for name, measured in runs.items():
        wall, processor, peak = _medians(measured)
        ratios = [f"{wall / base[0]:.3f}", f"{processor / base[1]:.3f}"]
        rows.append([name, *ratios, f"{peak / 2**20:.0f}"])
    print_table(["", "wall", "processor", "peak MiB"], rows)


def _write_clip(path: Path, size: str, frames: int) -> Path:
    source = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-frames:v", str(frames)]
    subprocess.run([find_ffmpeg(), "-v", "error", *source, str(path)], check=True)
    return path


def _restore(clip: Path, model: str, environment: dict[str, str]) -> Run:
    words = ["-m", "vsr", "restore", str(clip), "null", "--model", model, "--quiet"]
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], env={**os.environ, **environment})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the restoration ended with {status}")
    return Run(
        wall_s=time.monotonic() - began,
        processor_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
    )


def _medians(runs: list[Run]) -> tuple[float, float, float]:
    return (
        statistics.median(run.wall_s for run in runs),
        statistics.median(run.processor_s for run in runs),
        statistics.median(run.peak_bytes for run in runs),
    )


if __name__ == "__main__":
    main()
