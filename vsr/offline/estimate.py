"""Estimating sizes, memory and time of a run: ``--dry-run``."""

from __future__ import annotations

from dataclasses import dataclass

from vsr.engine.settings import Settings
from vsr.offline.expected_rate import duration_text, expected_fps
from vsr.offline.faces import FaceEstimate, check_faces, estimate_faces
from vsr.offline.job import check_options, planned_journal
from vsr.offline.model_choice import choose_models, lines, named, named_network, networks_for
from vsr.offline.options import DEFAULTS, RestoreOptions
from vsr.offline.output_size import choose_size
from vsr.offline.restorer_factory import make_restorer
from vsr.scenes.markers import scene_marker
from vsr.streams import open_reader
from vsr.types import StreamInfo


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
        spent = "" if self.seconds is None else f"about {duration_text(self.seconds)}, "
        return (
            f"{_size(self.input_size)}, {many} frames",
            _size(self.output_size),
            f"{spent}{self.fps:.1f} frames/s",
        )


def estimate(source: str, target: str, options: RestoreOptions = DEFAULTS) -> Estimate:
    """Estimate a ``restore`` with these options; nothing is written."""
    check_options(source, target, options)
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
    journal = planned_journal(source, target, info, options)
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


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
