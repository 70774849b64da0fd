"""What a run will be, said before it: sizes, memory, time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction

import torch

from vsr.engine.lanes import ParallelScenes
from vsr.engine.settings import Settings
from vsr.restorer import Restorer
from vsr.types import Chunk, StreamInfo

SAMPLE = 64
"""Side of the first frames that are timed; doubled until a step takes ``LONG_ENOUGH_S``."""

LONG_ENOUGH_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A run that has not begun.

    Attributes:
        model: The network's architecture.
        device: Where it will run.
        precision: Of its convolutions.
        source: What is restored.
        target: Where to.
        input_size: Width and height.
        output_size: Width and height.
        frames: That will come; None where the source does not say.
        settings: Sizes of the steps.
        memory_bytes: Expected at the peak.
        budget_bytes: What the run may take.
        fps: Expected restored frames per second, by a sample on this machine.
        seconds: Expected in all; None where the number of frames is not known.
    """

    model: str
    device: str
    precision: str
    source: str
    target: str
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    frames: int | None
    settings: Settings
    memory_bytes: int
    budget_bytes: int
    fps: float
    seconds: float | None

    def text(self) -> str:
        """A line per fact."""
        many = "an unknown number of" if self.frames is None else str(self.frames)
        spent = "" if self.seconds is None else f"about {_duration(self.seconds)}, "
        rows = {
            "model": f"{self.model}, {self.precision} on {self.device}",
            "input": f"{self.source}: {_size(self.input_size)}, {many} frames",
            "output": f"{self.target}: {_size(self.output_size)}",
            "steps": str(self.settings),
            "memory": f"{_mebibytes(self.memory_bytes)} of {_mebibytes(self.budget_bytes)}",
            "time": f"{spent}{self.fps:.1f} frames/s",
        }
        return "\n".join(f"{name:8}{value}" for name, value in rows.items())


def expected_fps(restorer: Restorer | ParallelScenes, info: StreamInfo) -> float:
    """Restored frames per second, from a step on a small part of a frame."""
    settings = restorer.settings
    chunk = min(settings.chunk, 4)
    ahead = round((settings.look_ahead or 0) * chunk / settings.chunk)
    side = SAMPLE
    while True:
        height, width = min(side, info.height), min(side, info.width)
        seconds = _time(restorer, chunk, ahead, (height, width))
        whole = (height, width) == (info.height, info.width)
        if whole or seconds >= LONG_ENOUGH_S:
            return chunk / seconds * (height * width) / (info.height * info.width)
        side *= 2


def _time(
    restorer: Restorer | ParallelScenes, chunk: int, ahead: int, size: tuple[int, int]
) -> float:
    """Seconds of a step, the second of two: the first one loads and chooses what it needs."""
    timed = Restorer(
        restorer.network,
        chunk=chunk,
        look_ahead=ahead,
        device=str(restorer.device),
        precision=str(restorer.network.dtype).removeprefix("torch."),
    )
    noise = Chunk(
        frames=torch.rand(chunk, 3, *size), pts=tuple(range(chunk)), time_base=Fraction(1, 25)
    )
    seconds = 0.0
    for _ in range(2):
        left = 0
        started = time.perf_counter()
        while not left:
            left = sum(map(len, timed.push(noise)))
        if restorer.device.type == "cuda":
            torch.cuda.synchronize(restorer.device)
        seconds = time.perf_counter() - started
    return seconds


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
