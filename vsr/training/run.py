"""A training run on disk: data, checkpoints, log, validation.

OUT/last.pt            everything needed to resume
OUT/last.safetensors   averaged weights, float16, of the last validation, or of the end
OUT/best.safetensors   the same of the best validation
OUT/log.csv            iteration, loss, gradient norm, learning rate, seconds, validation PSNR
OUT/tensorboard        the same for TensorBoard, where it is asked for

The best validation is the one of the highest PSNR, which adversarial training lowers on purpose:
what such a run is for is in last.safetensors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vsr.errors import CheckpointError, ConfigurationError, MissingDependency
from vsr.models.architecture_table import build_network
from vsr.models.checkpoints.checkpoint import read_weights, save_network
from vsr.models.loading import load_network, looks_like_a_file
from vsr.models.network import Network
from vsr.models.placement import place, resolve_device
from vsr.quality.degradation import degrade
from vsr.quality.metrics import luma, psnr
from vsr.restorer import Restorer
from vsr.training.adversarial import Adversary
from vsr.training.batches import clip_batches, flow_batches, photographs_of
from vsr.training.checkpoint import load_training, save_training
from vsr.training.clips import load_videos
from vsr.training.config import DataSettings, TrainingConfig, staged
from vsr.training.degraded_clips import degrade_clip
from vsr.training.face_losses import FaceCritics
from vsr.training.log import best_score, write_log
from vsr.training.loop import StepReport, Training, run, training_of
from vsr.training.processes import Rank, joined, local_device
from vsr.types import Chunk

log = logging.getLogger(__name__)

MEASURED = 5
"""Frames of each held-out clip over which it is measured what the int8 form has to know."""


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
    init: str | Path | None = None,
    teacher: str | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train, or resume if ``out`` has a checkpoint; alone, or beside others that torchrun started.

    Args:
        config: The run.
        data: Folder that the configuration's folders lie in.
        out: Folder of the run, created.
        device: See ``Restorer``.
        init: Model or checkpoint whose weights a new run starts from; those of another shape are
            left.
        teacher: Model or checkpoint of a network of the same scale whose results are learnt from
            beside the truth.
        on_progress: Called after every step.

    Returns:
        The best weights; the last ones where no video is held out to tell which are best.

    Raises:
        OpenError: Data that is not there.
        ConfigurationError: A network without the flow network that the schedule trains, a
            teacher of another scale, or updates of low rank without weights to update.
        CheckpointError: A checkpoint that is damaged, or of another network.
        MissingDependency: TensorBoard is asked for and not installed.
    """
    out.mkdir(parents=True, exist_ok=True)
    where = resolve_device(local_device(device))
    if config.schedule.low_rank and init is None and not (out / "last.pt").exists():
        raise ConfigurationError(
            "low_rank learns updates of finished weights; give them with --init, or set it to 0"
        )
    with joined(where) as rank:
        training = _start(config, where, init, rank)
        training.teacher, training.quality = _teacher(teacher, training), config.quality
        if config.faces is not None:
            training.faces = FaceCritics(config.faces, data, where)
        if (out / "last.pt").exists():
            load_training(training, out / "last.pt")
        if rank.number:
            _run_stages(config, training, data, _nothing)
        else:
            held_out = load_videos(data / config.data.videos, config.data.hold_out)
            recorder = _Recorder(config, training, out, held_out, on_progress)
            _run_stages(config, training, data, recorder)
            recorder.finish()
    return out / ("best.safetensors" if config.data.hold_out else "last.safetensors")


def _nothing(step: StepReport) -> None:
    """Do nothing after a step, as all processes but the first."""


def _run_stages(
    config: TrainingConfig, training: Training, data: Path, after_step: Callable[[StepReport], None]
) -> None:
    """Train to the end, each stage with batches of its own."""
    photographs = photographs_of(data, config.data)
    seed = config.schedule.seed + training.rank.number
    config = replace(config, schedule=replace(config.schedule, seed=seed))
    while training.iteration < training.total:
        stage, end = staged(config, training.iteration)
        scale = training.network.facts.scale
        pairs = flow_batches(stage, photographs, training.iteration, scale)
        clips = clip_batches(stage, data, photographs, training.iteration, scale)
        run(training, pairs, clips, after_step, end=min(end, training.total))


def _teacher(name: str | None, training: Training) -> Network[Any] | None:
    if name is None:
        return None
    network, _ = place(load_network(name), device=str(training.device), precision="float32")
    scale = training.network.facts.scale
    if network.facts.scale != scale:
        raise ConfigurationError(
            f"teacher {name} enlarges by {network.facts.scale}, the network by {scale}; give one "
            "of the same scale"
        )
    return network.requires_grad_(False)


def validate(
    network: Network[Any],
    clips: Sequence[Tensor],
    frames: int,
    device: str,
    data: DataSettings,
) -> float:
    """Mean PSNR-Y of the middle of each clip, restored as a stream with the network's defaults."""
    scores = [_score(network, clip[:frames], device, data, seed) for seed, clip in enumerate(clips)]
    return sum(scores) / len(scores)


def _score(
    network: Network[Any],
    clip_u8: Tensor,
    device: str,
    data: DataSettings,
    seed: int,
) -> float:
    truth_u8, scale = _middle(clip_u8, network.facts.scale), network.facts.scale
    truth = truth_u8.float().div(255)
    if data.degradation is None:
        reduced = _reduced(truth_u8, scale, data)
    else:
        rng = torch.Generator().manual_seed(seed)
        reduced = degrade_clip(truth_u8, scale, data.degradation, rng).float().div(255)
    restorer = Restorer(network, device=device)
    inputs = Chunk(frames=reduced, pts=tuple(range(len(truth))), time_base=Fraction(1, 25))
    restored = torch.cat([c.frames.cpu() for c in restorer.push(inputs) + restorer.drain()])
    return float(psnr(luma(restored.clamp(0, 1)), luma(truth)).mean())


def _middle(clip_u8: Tensor, scale: int) -> Tensor:
    """The middle of a clip; sides are multiples of twice the scale."""
    height, width = (side // (4 * scale) * 2 * scale for side in clip_u8.shape[-2:])
    return clip_u8[..., height // 2 :, width // 2 :][..., :height, :width]


def _reduced(truth_u8: Tensor, scale: int, data: DataSettings) -> Tensor:
    """A clip, reduced and not otherwise degraded, float32."""
    return degrade(truth_u8.float().div(255), scale, data.reduction)


def _start(
    config: TrainingConfig, device: torch.device, init: str | Path | None, rank: Rank
) -> Training:
    torch.manual_seed(config.schedule.seed)
    network = build_network(config.network.architecture, config.network.options)
    if init is not None:
        _adopt(network, _weights_of(init), str(init))
    adversary = None if config.adversarial is None else Adversary(config.adversarial, device)
    return training_of(network, config.schedule, device, rank=rank, adversary=adversary)


def _weights_of(init: str | Path) -> Mapping[str, Tensor]:
    """Those of a checkpoint, or of a model, whose network then says what is wrong with its name."""
    if looks_like_a_file(str(init)):
        return read_weights(Path(init))
    return load_network(init).state_dict()


def _adopt(network: Network[Any], weights: Mapping[str, Tensor], name: str) -> None:
    """Load the weights that fit; the others keep their initial values.

    Raises:
        CheckpointError: None fits.
    """
    own = network.state_dict()
    fitting = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise CheckpointError(
            f"--init {name} has no weights of the network, {network.facts.name}; give one of its "
            "kind"
        )
    if new := len(own) - len(fitting):
        log.warning("%d of %d tensors begin anew: %s has none of their shape", new, len(own), name)
    network.load_state_dict({**own, **fitting})


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
        self.data = config.data
        self.held_out, self.on_progress = held_out, on_progress
        self.best = best_score(out / "log.csv")
        self.board = _board(out / "tensorboard") if self.reporting.tensorboard else None

    def __call__(self, step: StepReport) -> None:
        training, reporting = self.training, self.reporting
        last = step.iteration == training.total
        score = None
        if self.held_out and (last or step.iteration % reporting.validate_every == 0):
            score = self._validate()
        if last or step.iteration % reporting.save_every == 0:
            save_training(training, self.out / "last.pt")
        if last or score is not None or step.iteration % reporting.log_every == 0:
            write_log(self.out / "log.csv", step, training.seconds, score)
            self._show(step, score)
        self.on_progress(Progress(step, training.total, training.seconds, score))

    def finish(self) -> None:
        """Write the weights of a run whose end was not validated."""
        best, last = self.out / "best.safetensors", self.out / "last.safetensors"
        if self.held_out and not best.exists():
            self._validate()
        elif not self.held_out:
            network = self.training.average
            assert isinstance(network, Network)
            save_network(network, last)

    def _show(self, step: StepReport, score: float | None) -> None:
        if self.board is None:
            return
        for name in ("loss", "gradient_norm", "learning_rate"):
            self.board.add_scalar(name, getattr(step, name), step.iteration)
        if score is not None:
            self.board.add_scalar("validation_psnr_y", score, step.iteration)
        self.board.flush()

    def _validate(self) -> float:
        network = self.training.average
        assert isinstance(network, Network)
        device = str(self.training.device)
        frames = self.reporting.validation_frames
        score = validate(network, self.held_out, frames, device, self.data)
        scale = network.facts.scale
        clips = (_middle(clip[:MEASURED], scale) for clip in self.held_out)
        network = network.measured(_reduced(clip, scale, self.data)[None] for clip in clips)
        save_network(network, self.out / "last.safetensors")
        if score > self.best:
            self.best = score
            save_network(network, self.out / "best.safetensors")
        return score


def _board(folder: Path) -> Any:
    """A log for TensorBoard, which a resumed run continues."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "tensorboard = true needs TensorBoard; pip install 'vsr-stream[tensorboard]', or leave "
            "it out"
        ) from error
    return SummaryWriter(folder)
