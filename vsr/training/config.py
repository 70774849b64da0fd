"""The settings of a training run, read from TOML."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vsr.errors import ConfigurationError
from vsr.quality.degradation import DEGRADATIONS
from vsr.toml_tables import read_toml
from vsr.training.adversarial import AdversarialSettings
from vsr.training.degraded_clips import ClipDegradation
from vsr.training.face_losses import FaceLossSettings
from vsr.training.moving_scene import SceneMotion
from vsr.training.quality import QualitySettings
from vsr.training.virtual_camera import CameraMotion


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The network: an architecture of the catalogue, and its options."""

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Training data; folders are relative to the folder given on the command line.

    Attributes:
        photographs: Folder of photographs, or empty.
        videos: Folder of videos, or of folders of images with one for each frame; or empty.
        names: Text file with the names of those to train on, one in a line; all where it is empty.
        hold_out: Names of videos that are never trained on, for validation.
        photograph_share: Share of the clips that come from photographs, 0 to 1.
        candidates: Clips drawn for each one kept, which is the one with most detail.
        skip_share: Share of the clips from videos that have every other frame only, 0 to 1.
        mirrored: Whether the second half of a clip is its first half backwards, as in trainings on
            the short clips of Vimeo-90K.
        upright: Whether clips are only mirrored, and not turned: for faces.
        workers: Processes that prepare clips; 0 prepares them in the training process.
        camera: The motion given to photographs.
        scene: Layers that move in front of them, and changes of light.
        reduction: Reduction of clips that are not degraded otherwise: ``BI``, ``BD`` or
            another one of ``vsr.quality.degradation``.
        degradation: Degradation of clips instead; None for the reduction alone.
    """

    photographs: str = ""
    videos: str = ""
    names: str = ""
    hold_out: tuple[str, ...] = ()
    photograph_share: float = 0.5
    candidates: int = 1
    skip_share: float = 0.25
    mirrored: bool = False
    upright: bool = False
    workers: int = 0
    camera: CameraMotion = field(default_factory=CameraMotion)
    scene: SceneMotion = field(default_factory=SceneMotion)
    reduction: str = "BI"
    degradation: ClipDegradation | None = None

    def __post_init__(self) -> None:
        if self.reduction not in DEGRADATIONS:
            raise ConfigurationError(
                f"reduction is {self.reduction!r}; give one of {', '.join(DEGRADATIONS)}"
            )
        for name, least in (("candidates", 1), ("workers", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; give {least} or more")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a run, at its beginning, with clips of another shape.

    Small clips, many at a time, teach most of what large ones do in a fraction of the time (Wu et
    al., "A Multigrid Method for Efficiently Training Video Models", CVPR 2020).

    Attributes:
        until: Iteration at which it ends, flow iterations not counted.
        batch: Clips a step.
        frames: Frames a clip.
        patch: Side of a clip in low-resolution pixels.
    """

    until: int
    batch: int
    frames: int
    patch: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Schedule of a training run.

    Attributes:
        iterations: Steps of the optimiser with the reconstruction loss.
        flow_iterations: Steps before those in which the flow network alone learns the true flow
            of photographs seen by a moving camera.
        flow_rate: Learning rate of the flow network after that, relative to the others'; 0 leaves
            it as it is. Adam turns small, noisy gradients into steps of full size: a flow that
            nothing uses yet drifts away.
        flow_from: Iteration, flow iterations not counted, from which it learns with the others.
        flow_weight: Weight of the flow's error on its true flow in those steps; it guides a flow
            that goes on learning.
        batch: Clips a step.
        frames: Frames a clip.
        patch: Side of a clip in low-resolution pixels.
        learning_rate: Peak; warmed up linearly, then a cosine to ``final_learning_rate``.
        final_learning_rate: At the last iteration.
        warmup: Iterations of the warm-up.
        clip_norm: Largest norm of the gradient.
        ema_decay: Decay of the averaged weights that are validated and saved.
        stream_share: Share of steps that run as a stream: cut into chunks, look-ahead truncated.
        max_chunk: Largest chunk of those; drawn uniformly from 1.
        max_look_ahead: Largest look-ahead of those; drawn uniformly from 0.
        charbonnier_epsilon: Errors under it, of values in [0, 1], count by their squares, those
            above as they are; 1e-3 is that of the published configurations. Where what has to be
            learnt is itself small, as at scale 1, two levels of 255 teach sooner.
        draft_weight: Weight of the error of a network's drafts, next to that of its result.
        teacher_weight: Weight of the difference from what a teacher restores, where one is given.
        sharpen: Share of its detail that is added to the ground truth (unsharp masking), 0 or more.
        sharpen_sigma: Standard deviation of the Gaussian that this detail is measured against, in
            pixels of the ground truth; Real-ESRGAN's is 8, with a share of 0.5.
        low_rank: Rank of the updates that learn in place of the weights themselves, which stay as
            ``--init`` gave them; 0 lets all weights learn. For tuning a finished network to footage
            of your own: what it knew is lost less easily.
        branches: Whether 3x3 convolutions learn as sums of several, which are one again in what is
            saved.
        stages: Stages in front of what ``batch``, ``frames`` and ``patch`` say, in order.
        precision: ``bfloat16`` or ``float32``, of the convolutions.
        seed: Seed of weights and data.
    """

    iterations: int = 1000
    flow_iterations: int = 0
    flow_rate: float = 0.0
    flow_from: int = 0
    flow_weight: float = 0.0
    batch: int = 4
    frames: int = 8
    patch: int = 64
    learning_rate: float = 5e-4
    final_learning_rate: float = 1e-6
    warmup: int = 200
    clip_norm: float = 0.5
    ema_decay: float = 0.999
    stream_share: float = 0.5
    max_chunk: int = 4
    max_look_ahead: int = 2
    charbonnier_epsilon: float = 1e-3
    draft_weight: float = 0.0
    teacher_weight: float = 1.0
    sharpen: float = 0.0
    sharpen_sigma: float = 8.0
    low_rank: int = 0
    branches: bool = False
    stages: tuple[Stage, ...] = ()
    precision: str = "bfloat16"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {
            "batch": (self.batch, 1),
            "frames": (self.frames, 1),
            "patch": (self.patch, 1),
            "max_chunk": (self.max_chunk, 1),
            "iterations": (self.iterations, 0),
            "flow_iterations": (self.flow_iterations, 0),
            "max_look_ahead": (self.max_look_ahead, 0),
            "low_rank": (self.low_rank, 0),
        }
        for name, (value, smallest) in least.items():
            if value < smallest:
                raise ConfigurationError(f"{name} is {value}; give {smallest} or more")
        if self.charbonnier_epsilon <= 0:
            raise ConfigurationError(
                f"charbonnier_epsilon is {self.charbonnier_epsilon:g}; give more than 0"
            )
        trains_flow = self.flow_iterations or self.flow_rate or self.flow_weight
        if self.low_rank and (self.branches or trains_flow):
            raise ConfigurationError(
                f"low_rank is {self.low_rank}, with which nothing but its updates learns; set "
                "branches to false, and flow_iterations, flow_rate and flow_weight to 0"
            )
        if self.precision not in ("bfloat16", "float32"):
            raise ConfigurationError(
                f"precision is {self.precision!r}; give 'bfloat16' or 'float32'"
            )


@dataclass(frozen=True, kw_only=True)
class Reporting:
    """Iterations between log lines, checkpoints and validations.

    Attributes:
        log_every: Iterations between two lines of the log.
        save_every: Iterations between two checkpoints.
        validate_every: Iterations between two validations.
        validation_frames: Frames of each held-out clip that are restored for one.
        tensorboard: Also write the log for TensorBoard, into the run's folder.
    """

    log_every: int = 50
    save_every: int = 500
    validate_every: int = 1000
    validation_frames: int = 16
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("log_every", "save_every", "validate_every", "validation_frames"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; give 1 or more")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One training run.

    Attributes:
        network: The network.
        data: Its data.
        schedule: How it learns.
        reporting: What is written, and when.
        adversarial: Of a second stage, which begins with the weights of a first.
        quality: What a quality predictor decides.
    """

    network: NetworkSettings
    data: DataSettings
    schedule: Schedule = field(default_factory=Schedule)
    reporting: Reporting = field(default_factory=Reporting)
    adversarial: AdversarialSettings | None = None
    quality: QualitySettings | None = None
    faces: FaceLossSettings | None = None

    def __post_init__(self) -> None:
        self._check_quality()
        if (self.adversarial or self.faces) and self.schedule.learning_rate <= 0:
            raise ConfigurationError(
                f"learning_rate is {self.schedule.learning_rate:g}, by which discriminators learn, "
                "too; give more than 0"
            )
        if self.faces is not None and (not self.data.upright or self.data.photographs):
            raise ConfigurationError(
                "[faces] needs faces that stay as they are aligned; set upright = true in [data], "
                "and give them in folders of images as videos, not as photographs"
            )

    def _check_quality(self) -> None:
        quality = QualitySettings() if self.quality is None else self.quality
        if quality.quality_weight and (self.adversarial or not self.schedule.low_rank):
            raise ConfigurationError(
                f"quality_weight is {quality.quality_weight}, for which only updates of low rank "
                "may learn; set low_rank in [schedule], and leave [adversarial] out"
            )
        lengths = [self.schedule.frames, *(stage.frames for stage in self.schedule.stages)]
        judges = quality.truths or quality.quality_weight
        if judges and quality.predictor == "assessor" and min(lengths) < 2:
            raise ConfigurationError(
                "the assessor sees two frames at a time; give 2 frames a clip or more"
            )
        if quality.truths and self.schedule.sharpen:
            raise ConfigurationError(
                "sharpen and truths both say what is learnt; set sharpen to 0, or leave truths out"
            )


def read_training_config(path: Path) -> TrainingConfig:
    """Read a TOML file; errors as for ``read_toml``."""
    return read_toml(TrainingConfig, path)


def staged(config: TrainingConfig, iteration: int) -> tuple[TrainingConfig, int]:
    """The configuration with the clips of the stage at an iteration, and the stage's end.

    Args:
        config: The run.
        iteration: Iterations done, flow iterations included.
    """
    schedule = config.schedule
    for stage in schedule.stages:
        end = schedule.flow_iterations + stage.until
        if iteration < end:
            schedule = replace(schedule, batch=stage.batch, frames=stage.frames, patch=stage.patch)
            return replace(config, schedule=schedule), end
    return config, schedule.flow_iterations + schedule.iterations
