"""A training run on disk: data, checkpoints, log, validation.

OUT/last.pt            everything needed to resume
OUT/last.safetensors   averaged weights, float16, of the last validation
OUT/best.safetensors   the same of the best validation
OUT/log.csv            iteration, loss, gradient norm, learning rate, seconds, validation PSNR
"""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vsr.errors import CheckpointError, ConfigurationError
from vsr.models.architecture_table import build_network
from vsr.models.checkpoints.checkpoint import DAMAGED, read_weights, save_network
from vsr.models.network import Network
from vsr.models.placement import place, resolve_device
from vsr.quality.degradation import bicubic_down
from vsr.quality.metrics import luma, psnr
from vsr.restorer import Restorer
from vsr.training.batches import clip_batches, flow_batches, photographs_of
from vsr.training.clips import load_videos
from vsr.training.config import TrainingConfig
from vsr.training.degraded_clips import ClipDegradation, degrade_clip
from vsr.training.loop import StepReport, Training, has_flow_network, make_optimiser, run
from vsr.types import Chunk

MEASURED = 5
"""Frames of each held-out clip over which it is measured what the int8 form has to know."""

LOG_FIELDS = ("iteration", "loss", "gradient_norm", "learning_rate", "seconds", "validation_psnr_y")


@dataclass(frozen=True)
class Progress:
    """Progress of a training run: last step, total, and a score if there is one."""

    step: StepReport
    total: int
    seconds: float
    validation_psnr_y: float | None = None


def train(
    config: TrainingConfig,
    data: Path,
    out: Path,
    *,
    device: str = "auto",
    init: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train, or resume if ``out`` has a checkpoint.

    Args:
        config: The run.
        data: Folder that the configuration's folders lie in.
        out: Folder of the run, created.
        device: As for ``Restorer``.
        init: Checkpoint of weights that a new run starts from; those of another shape are left.
        on_progress: Called after every step.

    Returns:
        The best weights.

    Raises:
        OpenError: Data that is not there.
        ConfigurationError: A network without a flow network of its own, which is what is trained.
        CheckpointError: A checkpoint that is damaged, or of another network.
    """
    out.mkdir(parents=True, exist_ok=True)
    training = _start(config, resolve_device(device), init)
    if (out / "last.pt").exists():
        _load(training, out / "last.pt")
    held_out = load_videos(data / config.data.videos, only=config.data.hold_out)
    recorder = _Recorder(config, training, out, held_out, on_progress)
    photographs = photographs_of(data, config.data)
    pairs = flow_batches(config, photographs, training.iteration)
    clips = clip_batches(config, data, photographs, training.iteration)
    run(training, pairs, clips, recorder)
    return out / "best.safetensors"


def validate(
    network: Network[Any],
    clips: Sequence[Tensor],
    frames: int,
    device: str,
    degradation: ClipDegradation | None = None,
) -> float:
    """Mean PSNR-Y of the middle of each clip, restored as a stream with the network's defaults."""
    scores = [
        _score(network, clip[:frames], device, degradation, seed) for seed, clip in enumerate(clips)
    ]
    return sum(scores) / len(scores)


def _score(
    network: Network[Any],
    clip_u8: Tensor,
    device: str,
    degradation: ClipDegradation | None,
    seed: int,
) -> float:
    reduced, truth = _middle(clip_u8, network.facts.scale)
    if degradation is not None:
        rng = torch.Generator().manual_seed(seed)
        coded = degrade_clip(truth.mul(255).round().byte(), network.facts.scale, degradation, rng)
        reduced = coded.float().div(255)
    restorer = Restorer(network, device=device)
    inputs = Chunk(frames=reduced, pts=tuple(range(len(truth))), time_base=Fraction(1, 25))
    restored = torch.cat([c.frames.cpu() for c in restorer.push(inputs) + restorer.drain()])
    return float(psnr(luma(restored.clamp(0, 1)), luma(truth)).mean())


def _middle(clip_u8: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """The middle of a clip in RGB, float32, reduced and as it is."""
    height, width = (side // (4 * scale) * 2 * scale for side in clip_u8.shape[-2:])
    truth = clip_u8[..., height // 2 :, width // 2 :][..., :height, :width].float().div(255)
    return bicubic_down(truth, scale), truth


def _start(config: TrainingConfig, device: torch.device, init: Path | None) -> Training:
    torch.manual_seed(config.schedule.seed)
    architecture = config.network.architecture
    network = build_network(architecture, config.network.options)
    if not has_flow_network(network):
        raise ConfigurationError(f"{architecture} cannot be trained here; train compact")
    if init is not None:
        _adopt(network, read_weights(init))
    network, _ = place(network, device=str(device), precision="float32")
    return Training(
        network=network,
        average=copy.deepcopy(network).requires_grad_(False),
        optimiser=make_optimiser(network),
        schedule=config.schedule,
        device=device,
        rng=torch.Generator().manual_seed(config.schedule.seed),
    )


def _adopt(network: Network[Any], weights: Mapping[str, Tensor]) -> None:
    """Load the weights that fit; the others keep their initial values."""
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    network.load_state_dict({**own, **fitting})


def _save(training: Training, path: Path) -> None:
    """Write a checkpoint so that an interrupted write leaves the one before."""
    saved = {
        "network": training.network.state_dict(),
        "average": training.average.state_dict(),
        "optimiser": training.optimiser.state_dict(),
        "rng": training.rng.get_state(),
        "iteration": training.iteration,
        "seconds": training.seconds,
        "schedule": asdict(training.schedule),
    }
    part = path.with_suffix(".part")
    torch.save(saved, part)
    part.replace(path)


def _load(training: Training, path: Path) -> None:
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
    except DAMAGED as error:
        raise CheckpointError(
            f"'{path}' is damaged; remove it and start again with --init last.safetensors beside it"
        ) from error
    try:
        training.network.load_state_dict(saved["network"])
        training.average.load_state_dict(saved["average"])
    except RuntimeError as error:
        raise CheckpointError(
            f"'{path}' is of another network than the configuration's; train into an empty folder"
        ) from error
    training.optimiser.load_state_dict(saved["optimiser"])
    training.rng.set_state(saved["rng"])
    training.iteration, training.seconds = saved["iteration"], saved["seconds"]


class _Recorder:
    """Logs, saves and validates at the configured intervals."""

    def __init__(
        self,
        config: TrainingConfig,
        training: Training,
        out: Path,
        held_out: Sequence[Tensor],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.reporting, self.training, self.out = config.reporting, training, out
        self.degradation = config.data.degradation
        self.held_out, self.on_progress = held_out, on_progress
        self.best = _best_so_far(out / "log.csv")

    def __call__(self, step: StepReport) -> None:
        training, reporting = self.training, self.reporting
        last = step.iteration == training.total
        score = None
        if self.held_out and (last or step.iteration % reporting.validate_every == 0):
            score = self._validate()
        if last or step.iteration % reporting.save_every == 0:
            _save(training, self.out / "last.pt")
        if last or score is not None or step.iteration % reporting.log_every == 0:
            _log(self.out / "log.csv", step, training.seconds, score)
        self.on_progress(Progress(step, training.total, training.seconds, score))

    def _validate(self) -> float:
        network = self.training.average
        assert isinstance(network, Network)
        device = str(self.training.device)
        frames, degradation = self.reporting.validation_frames, self.degradation
        score = validate(network, self.held_out, frames, device, degradation)
        clips = (clip[:MEASURED] for clip in self.held_out)
        network = network.measured(_middle(clip, network.facts.scale)[0][None] for clip in clips)
        save_network(network, self.out / "last.safetensors")
        if score > self.best:
            self.best = score
            save_network(network, self.out / "best.safetensors")
        return score


def _log(path: Path, step: StepReport, seconds: float, score: float | None) -> None:
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        if fresh:
            log.writerow(LOG_FIELDS)
        shown = "" if score is None else f"{score:.3f}"
        row = (f"{step.loss:.5f}", f"{step.gradient_norm:.3f}", f"{step.learning_rate:.2e}")
        log.writerow((step.iteration, *row, f"{seconds:.0f}", shown))


def _best_so_far(path: Path) -> float:
    if not path.exists():
        return float("-inf")
    with path.open(newline="", encoding="utf-8") as file:
        scores = [row["validation_psnr_y"] for row in csv.DictReader(file)]
    return max((float(score) for score in scores if score), default=float("-inf"))
