"""Deletes the artefacts of a vivid network: ``vsr train CONFIG --desra FAITHFUL``.

Footage is restored by the network under a guard (``models/guard``); pieces in which something is
found are trained on for a few hundred steps, with what the guard shows as their ground truth
(``artefact_cases``). Losses and learning rates are not published; these are ours.

OUT/cases.safetensors  what was collected, so that a resumed run does not do it again
OUT/cases.json         the settings that it was collected with
OUT/last.pt            everything needed to resume
OUT/last.safetensors   averaged weights, float16
OUT/log.csv            as of other runs
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from vsr.errors import ConfigurationError, OpenError
from vsr.models.checkpoints.checkpoint import save_network
from vsr.models.guard.network import Guarded
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.placement import resolve_device
from vsr.training.artefact_cases import Cases, CaseSettings, collect, guarded_frames, load_cases
from vsr.training.checkpoint import load_training, save_training
from vsr.training.clips import ClipShape, list_videos
from vsr.training.config import Reporting, Schedule
from vsr.training.kept_settings import check_same_settings
from vsr.training.log import write_log
from vsr.training.loop import StepReport, Training, run, training_of


@dataclass(frozen=True, kw_only=True)
class DesraConfig:
    """The settings of a run: footage for cases, and the training on them."""

    cases: CaseSettings
    schedule: Schedule = field(default_factory=Schedule)
    reporting: Reporting = field(default_factory=Reporting)


@dataclass(frozen=True, kw_only=True)
class DesraReport:
    """What a run has changed, measured in held-out videos.

    Attributes:
        weights: The file of the new weights.
        num_cases: Pieces with artefacts that were trained on.
        before: Part of the area of the frames that a guard replaces of the old network, 0 to 1.
        after: Part of the area that it replaces of the new network, 0 to 1.
        kept_db: PSNR of the new network's result to the old one's where neither is replaced.
    """

    weights: Path
    num_cases: int
    before: float
    after: float
    kept_db: float


def delete_artefacts(
    config: DesraConfig,
    data: Path,
    out: Path,
    *,
    vivid: str,
    faithful: str,
    device: str = "auto",
    on_progress: Callable[[StepReport, Training], None] = lambda _, __: None,
) -> DesraReport:
    """Fine-tune a network on its own artefacts, or resume if ``out`` has a checkpoint.

    Args:
        config: The run.
        data: Folder that the configuration's folder of videos lies in.
        out: Folder of the run, created.
        vivid: Model or checkpoint of the network.
        faithful: Model or checkpoint of a network of the same scale that invents little.
        device: See ``Restorer``.
        on_progress: Called after every step.

    Raises:
        OpenError: Videos that are not there.
        ConfigurationError: No video is held out, nothing is found, the networks have different
            scales, or the schedule trains a flow network.
        CheckpointError: A checkpoint that is damaged, or of another network.
    """
    _check_schedule(config)
    train_on, held_out = _divided(data / config.cases.videos, config.cases.hold_out)
    where = resolve_device(device)
    guard = Guarded(load_network(vivid), load_network(faithful))
    training = training_of(load_network(vivid).requires_grad_(), config.schedule, where)
    out.mkdir(parents=True, exist_ok=True)
    cases = _cases(config, guard, train_on, out, str(where))
    if (out / "last.pt").exists():
        load_training(training, out / "last.pt")
    _train(config, training, cases, out, on_progress)
    new = training.average
    assert isinstance(new, Network)
    save_network(new, out / "last.safetensors")
    before, after, kept_db = _compared(
        guard, Guarded(new, guard.faithful), held_out, config.reporting.validation_frames, where
    )
    return DesraReport(
        weights=out / "last.safetensors",
        num_cases=cases.num_found,
        before=before,
        after=after,
        kept_db=kept_db,
    )


def _check_schedule(config: DesraConfig) -> None:
    """Refuse what such a run does not do."""
    schedule = config.schedule
    if schedule.flow_iterations or schedule.flow_weight or schedule.stages:
        raise ConfigurationError(
            "artefacts are deleted from finished networks, on pieces of one size; leave "
            "flow_iterations, flow_weight and stages out"
        )


def _divided(folder: Path, hold_out: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The videos that are trained on, and those that artefacts are measured in."""
    paths = list_videos(folder)
    held_out = [path for path in paths if path.relative_to(folder).as_posix() in hold_out]
    if not held_out:
        raise ConfigurationError(
            f"none of the videos of '{folder}' is held out to measure artefacts in; name one in "
            "hold_out"
        )
    train_on = [path for path in paths if path not in held_out]
    if not train_on:
        raise OpenError(f"'{folder}' has no video beside those held out; add some")
    return train_on, held_out


def _cases(
    config: DesraConfig, guard: Guarded, videos: Sequence[Path], out: Path, device: str
) -> Cases:
    """What an earlier session has collected, or what is collected now."""
    path = out / "cases.safetensors"
    shape = ClipShape(frames=config.schedule.frames, size=config.schedule.patch)
    check_same_settings(path.with_suffix(".json"), asdict(config.cases) | asdict(shape))
    if path.exists():
        return load_cases(path)
    cases = collect(guard, videos, config.cases, shape, device=device)
    cases.save(path)
    return cases


def _train(
    config: DesraConfig,
    training: Training,
    cases: Cases,
    out: Path,
    on_progress: Callable[[StepReport, Training], None],
) -> None:
    """Train to the end."""
    schedule, reporting = config.schedule, config.reporting

    def after_step(step: StepReport) -> None:
        last = step.iteration == training.total
        if last or step.iteration % reporting.save_every == 0:
            save_training(training, out / "last.pt")
        if last or step.iteration % reporting.log_every == 0:
            write_log(out / "log.csv", step, training.seconds)
        on_progress(step, training)

    batches = cases.batches(schedule.batch, schedule.seed, training.iteration)
    run(training, iter(()), batches, after_step, end=training.total)


def _compared(
    old: Guarded, new: Guarded, videos: Sequence[Path], num_frames: int, device: torch.device
) -> tuple[float, float, float]:
    """Parts of the area replaced of both networks, and their PSNR where neither is."""
    replaced, squared, num_kept, count = torch.zeros(2), 0.0, 0, 0
    for video in videos:
        streams = (guarded_frames(guard, video, device=str(device)) for guard in (old, new))
        for pair in itertools.islice(zip(*streams, strict=True), num_frames):
            found_2HW = torch.stack([frame.found_HW for frame in pair])
            first, second = (frame.shown_3HW.float() / 255 for frame in pair)
            kept_HW = (found_2HW == 0).all(0)
            squared += float((first - second)[:, kept_HW].square().sum())
            num_kept += 3 * int(kept_HW.sum())
            replaced += found_2HW.float().mean((1, 2)) / 255
            count += 1
    before, after = (replaced / count).tolist()
    return before, after, -10 * math.log10(squared / num_kept) if squared else math.inf
