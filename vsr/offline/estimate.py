"""Estimating sizes, memory and time of a run: ``--dry-run``."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from fractions import Fraction

import torch

from vsr.engine.device_transfer import wait_for
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.engine.settings import Settings
from vsr.engine.step_memory import LONGEST_SCENE
from vsr.offline.faces import FaceEstimate, check_faces, estimate_faces
from vsr.offline.model_choice import choose_models, lines, named, named_network, networks_for
from vsr.offline.options import DEFAULTS, RestoreOptions
from vsr.offline.output_size import OutputSize, choose_size
from vsr.offline.restorer_factory import make_restorer
from vsr.restorer import Restorer
from vsr.resume.compatibility import journal_planned
from vsr.scenes.markers import scene_marker
from vsr.streams import open_reader
from vsr.types import Chunk, StreamInfo

SAMPLE = 64
"""Side of the first frames that are timed; doubled until a step takes ``LONG_ENOUGH_S``."""

LONG_ENOUGH_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An estimate of a run.

    Attributes:
        model: The model, or those of the scenes.
        device: Device of the network.
        precision: Precision of the convolutions.
        source: Name of the source.
        target: Name of the target.
        input_size: Width and height.
        output_size: Width and height.
        frames: Number of frames; None if the source does not say.
        settings: Step sizes.
        memory_bytes: Expected peak.
        budget_bytes: Memory budget.
        fps: Expected restored frames per second, measured on a sample.
        seconds: Expected duration of the run; None if the number of frames is unknown.
        journal: Folder of the journal for resuming; None without one.
        faces: Cost of faces, of which ``fps`` and ``seconds`` include only the search; None
            without faces.
        changes: The models of a run with several: from which time each restores, and why.
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
    journal: str | None
    faces: FaceEstimate | None = None
    changes: tuple[str, ...] = ()

    def text(self) -> str:
        """The estimate as text, one fact per line."""
        before, after, spent = self.cells()
        rows = {
            "model": f"{self.model}, {self.precision} on {self.device}",
            "input": f"{self.source}: {before}",
            "output": f"{self.target}: {after}",
            "steps": str(self.settings),
            "memory": f"{_mebibytes(self.memory_bytes)} of {_mebibytes(self.budget_bytes)}",
            "time": spent,
            "journal": "none" if self.journal is None else f"{self.journal}, for --resume",
        }
        if self.faces is not None:
            rows["faces"] = self.faces.text()
        said = [f"{name:8}{value}" for name, value in rows.items()]
        return "\n".join([said[0], *(f"{'':8}{line}" for line in self.changes), *said[1:]])

    def cells(self) -> tuple[str, str, str]:
        """Input, output and time, for a table of several runs."""
        many = "an unknown number of" if self.frames is None else str(self.frames)
        spent = "" if self.seconds is None else f"about {_duration(self.seconds)}, "
        return (
            f"{_size(self.input_size)}, {many} frames",
            _size(self.output_size),
            f"{spent}{self.fps:.1f} frames/s",
        )


def estimate(source: str, target: str, options: RestoreOptions = DEFAULTS) -> Estimate:
    """Estimate a ``restore`` with these options; nothing is written."""
    network = named_network(options)
    check_faces(options)
    info = _look_at(source, options)
    models = choose_models(source, options, info)
    network, changes = networks_for(models, options) if network is None else (network, ())
    restorer, plan = make_restorer(
        network,
        info,
        asked=options.asked,
        memory=options.memory,
        parallel_scenes=options.parallel_scenes,
        device=options.device,
        precision=options.precision,
        exact=True,
        changes=changes,
    )
    fps, faces = expected_fps(restorer, info), estimate_faces(options, restorer, info)
    if faces is not None:
        fps = 1 / (1 / fps + faces.cost.search_s)
    journal = journal_planned(
        source, target, info, segment=options.segment, in_process=options.in_process
    )
    output = choose_size(info, network.facts.scale, options.output_size)
    return Estimate(
        model=named(models),
        changes=tuple(lines(models, info)),
        device=str(restorer.device),
        precision=str(restorer.network.dtype).removeprefix("torch."),
        source=source,
        target=target,
        input_size=(info.width, info.height),
        output_size=(output.width, output.height),
        frames=info.num_frames,
        settings=plan.settings,
        memory_bytes=plan.memory_bytes,
        budget_bytes=plan.budget_bytes,
        fps=fps,
        seconds=None if info.num_frames is None else info.num_frames / fps,
        journal=None if journal is None else str(journal),
        faces=faces,
    )


def _look_at(source: str, options: RestoreOptions) -> StreamInfo:
    """Description of the wanted part of a source; refuses scenes that cannot be found in it."""
    with open_reader(
        source,
        start_s=options.start_s,
        end_s=options.end_s,
        frame_rate=options.frame_rate,
        deinterlace=options.deinterlace,
    ) as reader:
        scene_marker(options.scenes, reader.info)
        return reader.info


LARGEST_USUAL = 4096 * 2160
"""Pixels of a 4K frame; larger ones few players and screens show."""


def large_output_note(
    restorer: Restorer | ParallelScenes, info: StreamInfo, output: OutputSize
) -> str | None:
    """A sentence about an output above 4K that was not asked for, and the time it takes.

    Args:
        restorer: The restorer of the run; it is measured on a small part of a frame.
        info: Description of the source.
        output: Size of the output.

    Returns:
        None where the output is no larger than 4K.
    """
    if output.height * output.width <= LARGEST_USUAL:
        return None
    fps = expected_fps(restorer, info)
    spent = f"{fps:.2g} frames/s are expected"
    if info.num_frames is not None:
        spent = f"{info.num_frames} frames take about {_duration(info.num_frames / fps)}"
    return (
        f"the output is {output.width}x{output.height}, above 4K: {spent}, encoding not counted; "
        "--fit 2160 makes 4K, and a model of a smaller scale (`vsr models`) takes less time"
    )


def expected_fps(restorer: Restorer | ParallelScenes, info: StreamInfo) -> float:
    """Expected restored frames per second, measured on a small part of a frame."""
    settings = restorer.settings
    chunk = min(settings.chunk, 4)
    scene = min(LONGEST_SCENE, info.num_frames or LONGEST_SCENE)
    # To the end of the scene is half a scene on average.
    look_ahead = scene // 2 if settings.look_ahead is None else settings.look_ahead
    ahead = round(look_ahead * chunk / settings.chunk)
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
    """Seconds of a step, the second of two: the first one warms up."""
    timed = Restorer(
        restorer.network,
        chunk=chunk,
        look_ahead=ahead,
        device=str(restorer.device),
        precision=str(restorer.network.dtype).removeprefix("torch."),
    )
    noise, starts = torch.rand(chunk, 3, *size, device=restorer.device), itertools.count(0, chunk)
    seconds = 0.0
    for _ in range(2):
        left = 0
        started = time.perf_counter()
        while not left:
            start = next(starts)
            pts = tuple(range(start, start + chunk))
            part = Chunk(frames=noise, pts=pts, time_base=Fraction(1, 25))
            left = sum(map(len, timed.push(part)))
        wait_for(restorer.device)
        seconds = time.perf_counter() - started
    return seconds


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
