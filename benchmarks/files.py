"""``vsr restore`` on whole files: ``python -m benchmarks.files``.

Speed end to end (decode, restore, encode with x264 veryfast) next to the network alone, each in a
process of its own, and resident memory late in a long file against early in it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import ffmpeg
import imageio_ffmpeg

from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.offline.pipeline import Progress

SPEED_FRAMES = 300
MEMORY_FRAMES = (200, 2000)
MEMORY_SPAN = 150
"""Frames before each of those over which resident memory is averaged: chunks come and go."""
RATE = 25


@click.command()
@click.option("--model", default="compact-x4", show_default=True)
def main(model: str) -> None:
    """Print frames per second and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        speed(model, Path(folder))
        memory(model, Path(folder))


def speed(model: str, folder: Path) -> None:
    """320x180 through the network alone, and through the whole pipeline."""
    source = render(folder / "speed.mp4", SPEED_FRAMES, "320x180")
    alone = run("bench", "--model", model, "--seconds", "10", "--json")
    whole = run("restore", str(source), str(folder / "out.mp4"), "--model", model, "--json")
    print(
        f"network alone {alone['fps']:.1f} frames/s, machine's convolutions "
        f"{alone['machine_tflops']:.2f} TFLOP/s"
    )
    print(f"end to end    {whole['fps']:.1f} frames/s ({whole['fps'] / alone['fps']:.0%})")


def memory(model: str, folder: Path) -> None:
    """Resident memory of one run, early and late."""
    samples: list[tuple[int, int]] = []

    def sample(progress: Progress) -> None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        samples.append((progress.frames, pages * resource.getpagesize()))

    source = render(folder / "memory.mp4", MEMORY_FRAMES[-1], "96x72")
    restore(str(source), "null", RestoreOptions(model=model), on_progress=sample)
    means = []
    for end in MEMORY_FRAMES:
        near = [size for frames, size in samples if end - MEMORY_SPAN <= frames <= end]
        means.append(sum(near) / len(near))
        print(f"at {end} frames: {means[-1] / 2**20:.1f} MiB resident, mean of {len(near)} samples")
    print(f"ratio {means[1] / means[0]:.4f}")


def render(path: Path, num_frames: int, size: str) -> Path:
    """A moving test picture with sound."""
    seconds = num_frames / RATE
    picture = ffmpeg.input(f"testsrc2=size={size}:rate={RATE}:duration={seconds}", f="lavfi")
    sound = ffmpeg.input(f"sine=duration={seconds}", f="lavfi")
    command = ffmpeg.output(picture, sound, str(path), vcodec="libx264", acodec="aac")
    command.run(cmd=imageio_ffmpeg.get_ffmpeg_exe(), quiet=True)
    return path


def run(*words: str) -> dict[str, Any]:
    """A command of ``vsr`` and the JSON it prints."""
    command = [sys.executable, "-m", "vsr", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    main()
