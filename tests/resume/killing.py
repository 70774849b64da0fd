"""Runs of `vsr restore` that are killed, and what is compared of their outputs."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import torch

from tests.media import Clip, Sine, add_video, audio_packets
from tests.networks import compact
from tests.scenes.test_scenes import scene
from vsr.models.checkpoints.checkpoint import save_network

CHUNK, SEGMENT = 3, 8
CUTS = (17, 18, 41, 70)
NUM_FRAMES = 90
FLASH = 30
PATIENCE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a file shows and sounds like.

    Attributes:
        frames: Time and hash of every frame.
        sound: Time and hash of every packet.
        size: Bytes; two that are alike may differ in it.
    """

    frames: list[tuple[Fraction, str]]
    sound: list[tuple[Fraction, str]]
    size: int = field(compare=False)


def write_footage(path: Path, num_frames: int = NUM_FRAMES) -> Path:
    """Scenes that move, a flash, an uneven rate from a late start, and sound."""
    times = uneven_times(num_frames)
    clip = Clip(num_frames=num_frames, pts=times, audio="aac", height=48, width=64)
    points = [0, *(cut for cut in CUTS if cut < num_frames), num_frames]
    frames = torch.cat(
        [scene(end - first, seed) for seed, (first, end) in enumerate(pairwise(points))]
    )
    frames[FLASH] = 1
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "footage"
        video, sine = add_video(container, clip), Sine(container, clip)
        for pixels, pts, seconds in zip(frames, clip.times, clip.seconds, strict=True):
            image = pixels.mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = pts, clip.time_base
            container.mux(video.encode(frame))
            sine.encode(until=seconds - clip.seconds[0])
        container.mux(video.encode())
        sine.finish()
    return path


def uneven_times(num_frames: int) -> list[int]:
    """From 0.39 s on, in steps of 40, 20 or 90 ms."""
    return [5000 + 512 * i + (i % 3) * 64 + (i // 5) * 300 for i in range(num_frames)]


def write_weights(path: Path) -> Path:
    """A small network with a state that matters."""
    save_network(compact(), path)
    return path


def command(source: Path, target: Path, *words: str) -> list[str]:
    sizes = ("--chunk", str(CHUNK), "--look-ahead", "2", "--segment", str(SEGMENT))
    return [
        *(sys.executable, "-m", "vsr", "restore", str(source), str(target), "--device", "cpu"),
        *sizes,
        *words,
    ]


def finish(source: Path, target: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        command(source, target, *words), capture_output=True, check=False, text=True
    )


def kill_at(size: int, source: Path, target: Path, *words: str, encoder_too: bool) -> bool:
    """Kill a run once it has written so much; whether it was still running.

    Args:
        size: Bytes of the journal and the segments beside it, from when the encoder runs.
        source: Source of the run.
        target: Target of the run.
        words: More of its command line.
        encoder_too: As a power cut does, instead of leaving ffmpeg to end by itself.
    """
    folder = target.with_name(f"{target.name}.resume")
    process = subprocess.Popen(
        command(source, target, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    give_up = time.monotonic() + PATIENCE_S
    while ended(process) is None and not (encoders(process.pid) and written(folder) >= size):
        assert time.monotonic() < give_up
    victims = encoders(process.pid) if encoder_too else []
    alive = process.poll() is None
    process.kill()
    for victim in victims:
        kill(victim)
    process.wait()
    return alive


def ended(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code if it ends within a moment."""
    try:
        return process.wait(0.005)
    except subprocess.TimeoutExpired:
        return None


def written(folder: Path) -> int:
    """Bytes of a journal and what lies beside it; -1 before it has begun."""
    if not (folder / "journal.jsonl").exists():
        return -1
    total = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # segments are renamed
            total += path.stat().st_size
    return total


def encoders(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def look(path: Path) -> Result:
    """What a file shows and sounds like."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = [
            (Fraction(frame.pts or 0) * (video.time_base or 0), digest(frame))
            for frame in container.decode(video)
        ]
    return Result(frames=frames, sound=audio_packets(path), size=path.stat().st_size)


def digest(frame: av.VideoFrame) -> str:
    return hashlib.md5(frame.to_ndarray().tobytes(), usedforsecurity=False).hexdigest()
