"""Training of the networks this project ships: ``vsr train CONFIG``.

First the flow network alone learns the true flow of photographs under a moving camera, then
everything learns to reconstruct, the flow network more slowly or not at all: a flow that has lost
its way teaches nothing any more. A share of the steps runs as a stream - random chunks, truncated
look-ahead, state carried with its gradient - so that what the network is used for is what it was
trained for.

B batch, T time, C colour, H, W size.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from vsr.errors import ConfigurationError
from vsr.models.compact.network import Compact
from vsr.models.layers.propagation import FlowEstimator, pair_flows
from vsr.models.network import Network
from vsr.models.ops.grey import grey
from vsr.models.ops.imresize import imresize
from vsr.models.placement import place
from vsr.quality.filters import sharpen
from vsr.training.adversarial import Adversary
from vsr.training.config import Schedule
from vsr.training.face_losses import FaceCritics
from vsr.training.parametrised import learn_branches, learn_low_rank
from vsr.training.processes import ALONE, Rank, average_gradients
from vsr.training.quality import QualitySettings, chosen_truth, quality_of, region_error
from vsr.training.sample_order import STRIDE

FLOW_NETWORKS = ("flow", "spynet")
"""Names of a network's part that estimates flow."""

FLOW_EPSILON = 0.01
"""Pixels below which an error of the flow counts as none."""


@dataclass(eq=False)
class Training:
    """Everything a training checkpoint holds.

    Attributes:
        network: The weights that learn, float32.
        average: Exponential moving average of the weights that it computes with.
        optimiser: Adam over all of them.
        iteration: Steps done, flow steps included.
        seconds: Time spent in steps, over all sessions.
        rank: Rank of this process among several.
        adversary: The discriminator of adversarial training; None without.
        teacher: A network whose results are learnt from, too; None without.
        quality: What a quality predictor decides; None without.
        faces: The losses of faces; None without.
    """

    network: Network[Any]
    average: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: Schedule
    device: torch.device
    rank: Rank = ALONE
    iteration: int = 0
    seconds: float = 0.0
    adversary: Adversary | None = None
    teacher: Network[Any] | None = None
    quality: QualitySettings | None = None
    faces: FaceCritics | None = None

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.schedule.flow_iterations + self.schedule.iterations

    def rng(self) -> torch.Generator:
        """Randomness of the next step; a resumed run draws what it would have drawn."""
        seed = self.schedule.seed + STRIDE * self.iteration + self.rank.number
        return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class StepReport:
    """Result of one step."""

    iteration: int
    loss: float
    gradient_norm: float
    learning_rate: float


def charbonnier(restored: Tensor, truth: Tensor, epsilon: float) -> Tensor:
    """Charbonnier loss: mean of sqrt(error² + epsilon²)."""
    return ((restored - truth).square() + epsilon**2).sqrt().mean()


def run(
    training: Training,
    pairs: Iterator[tuple[Tensor, Tensor]],
    clips: Iterator[tuple[Tensor, Tensor]],
    after_step: Callable[[StepReport], None],
    *,
    end: int,
) -> None:
    """Train to the end of a stage.

    Args:
        training: Changed in place; an interrupted run resumes from its checkpoint.
        pairs: Batches of frames (B, 2, 3, h, w) in [0, 1] and flows (B, 2, 2, h, w); see
            ``FlowPairs``. Asked only while ``flow_iterations`` last.
        clips: Batches of inputs (B, T, 3, h, w) and truths (B, T, 3, H, W), both uint8.
        after_step: Called after every step, to log, save and validate.
        end: Iteration at which to end.
    """
    while training.iteration < end:
        started = time.perf_counter()
        learns_flow = training.iteration < training.schedule.flow_iterations
        for parameter in flow_parameters(training.network):
            parameter.requires_grad_(_flow_learns(training.schedule, training.iteration))
        with parametrize.cached():
            loss = _step_loss(training, pairs, clips, learns_flow=learns_flow)
        report = _descend(training, loss)
        training.seconds += time.perf_counter() - started
        after_step(report)


def _step_loss(
    training: Training,
    pairs: Iterator[tuple[Tensor, Tensor]],
    clips: Iterator[tuple[Tensor, Tensor]],
    *,
    learns_flow: bool,
) -> Tensor:
    if learns_flow:
        return _flow_loss(training, *next(pairs))
    loss = _loss(training, *next(clips))
    if training.schedule.flow_weight:
        loss = loss + training.schedule.flow_weight * _flow_loss(training, *next(pairs))
    return loss


def _flow_learns(schedule: Schedule, iteration: int) -> bool:
    """Whether the flow network learns in a step, alone or with the others."""
    done = iteration - schedule.flow_iterations
    return done < 0 or (schedule.flow_rate > 0 and done >= schedule.flow_from)


def learning_rate(schedule: Schedule, iteration: int) -> float:
    """Linear warm-up and cosine, over the flow steps and again over the others."""
    span, done = schedule.iterations, iteration - schedule.flow_iterations
    if done < 0:
        span, done = schedule.flow_iterations, iteration
    warm = min(1.0, (done + 1) / max(schedule.warmup, 1))
    cosine = (1 + math.cos(math.pi * done / max(span, 1))) / 2
    low = schedule.final_learning_rate
    return warm * (low + (schedule.learning_rate - low) * cosine)


def flow_error(flow: Tensor, truth: Tensor) -> Tensor:
    """Mean root of the length of the difference of flows (N, 2, h, w), in pixels.

    The root, because a tenth of a pixel decides whether a neighbour helps, and what has left the
    picture is wrong by many whatever is learnt (as Sun et al., "PWC-Net", CVPR 2018, with 0.4).
    """
    squared = (flow - truth).square().sum(1) + FLOW_EPSILON**2
    return squared.pow(0.25).mean()


def _flow_loss(training: Training, frames: Tensor, truth: Tensor) -> Tensor:
    """Error of both directions of each pair."""
    frames, truth = frames.to(training.device), truth.to(training.device)
    with _precision(training):
        flows = pair_flows(flow_network(training.network), frames, None)
        flow = torch.stack([flows.to_previous(1), flows.to_next(0)], 1)
    return flow_error(flow.flatten(0, 1), truth.flatten(0, 1))


def _loss(training: Training, inputs_u8: Tensor, truth_u8: Tensor) -> Tensor:
    """Reconstruction error of clips."""
    inputs, truth = (t.to(training.device).float().div(255) for t in (inputs_u8, truth_u8))
    truth = _sharpened(truth, training)
    with _precision(training):
        restored, drafts = _restore(training, inputs)
        epsilon = training.schedule.charbonnier_epsilon
        loss = charbonnier(restored, truth, epsilon)
        if drafts and training.schedule.draft_weight:
            loss = loss + training.schedule.draft_weight * _draft_loss(drafts, truth, epsilon)
        if training.teacher is not None:
            with torch.no_grad():
                taught = training.teacher(inputs)
            loss = loss + training.schedule.teacher_weight * charbonnier(restored, taught, epsilon)
        if training.quality is not None:
            loss = loss + _quality_loss(training.quality, inputs, restored, truth)
        if training.adversary is not None:
            loss = _adversarial(training, training.adversary, restored, truth, loss)
    if training.faces is not None:
        faces = _face_loss(training, training.faces, restored, truth)
        loss = loss if _learns_alone(training) else loss + faces
    return loss


def _learns_alone(training: Training) -> bool:
    """Whether discriminators learn, and the network does not yet."""
    if training.adversary is None:
        return False
    done = training.iteration - training.schedule.flow_iterations
    return done < training.adversary.settings.alone


def _quality_loss(
    settings: QualitySettings, inputs: Tensor, restored: Tensor, truth: Tensor
) -> Tensor:
    """Error where the input is worst, less the quality of what is restored."""
    loss = restored.new_zeros(())
    if settings.region_weight:
        loss = loss + settings.region_weight * region_error((restored - truth).abs(), inputs)
    if settings.quality_weight:
        quality = quality_of(settings.predictor, restored).mean()
        loss = loss - settings.quality_weight * quality
    return loss


def _face_loss(training: Training, critics: FaceCritics, restored: Tensor, truth: Tensor) -> Tensor:
    """Let the discriminators of eyes and mouth learn, and give what they say of the result."""
    share = learning_rate(training.schedule, training.iteration) / training.schedule.learning_rate
    critics.learn(restored, truth, share, training.rank)
    return critics.generator_loss(restored, truth)


def _sharpened(truth_BTCHW: Tensor, training: Training) -> Tensor:
    """Ground truth as the network is to restore it."""
    schedule = training.schedule
    if training.quality is not None and training.quality.truths:
        sigma = schedule.sharpen_sigma
        return chosen_truth(truth_BTCHW, training.quality, sigma, training.rng())
    if not schedule.sharpen:
        return truth_BTCHW
    images = truth_BTCHW.flatten(0, 1)
    return sharpen(images, schedule.sharpen, schedule.sharpen_sigma).view_as(truth_BTCHW)


def _adversarial(
    training: Training, adversary: Adversary, restored: Tensor, truth: Tensor, loss: Tensor
) -> Tensor:
    """Train the discriminator, and add its loss to the reconstruction loss."""
    settings = adversary.settings
    which = torch.randperm(truth.shape[1], generator=training.rng())[: settings.frames]
    schedule, done = training.schedule, training.iteration
    share = learning_rate(schedule, done) / schedule.learning_rate
    adversary.learn(restored, truth, which, share, training.rank)
    if _learns_alone(training):
        return 0 * loss
    loss = settings.reconstruction_weight * loss
    return loss + adversary.generator_loss(restored, truth, which)


def _draft_loss(drafts: Sequence[tuple[int, Tensor]], truth: Tensor, epsilon: float) -> Tensor:
    """Error of what the branches pass on, each with the number of its frame."""
    num_frames, size = truth.shape[1], drafts[0][1].shape[-1]
    shrunk = imresize(grey(truth.flatten(0, 1)), Fraction(size, truth.shape[-1]))
    wanted = shrunk.view(-1, num_frames, *shrunk.shape[1:])
    errors = [charbonnier(draft, wanted[:, i], epsilon) for i, draft in drafts]
    return torch.stack(errors).mean()


def _descend(training: Training, loss: Tensor) -> StepReport:
    """One step of the optimiser; a gradient that is not finite is left out."""
    schedule = training.schedule
    rate = learning_rate(schedule, training.iteration)
    learns_flow = training.iteration < schedule.flow_iterations
    flow, others = training.optimiser.param_groups
    flow["lr"], others["lr"] = rate if learns_flow else rate * schedule.flow_rate, rate
    training.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(training.network.parameters(), training.rank)
    norm = nn.utils.clip_grad_norm_(training.network.parameters(), schedule.clip_norm)
    if torch.isfinite(norm):
        training.optimiser.step()
        _average(training)
    training.iteration += 1
    return StepReport(training.iteration, float(loss.detach()), float(norm), rate)


def training_of(
    network: Network[Any],
    schedule: Schedule,
    device: torch.device,
    *,
    rank: Rank = ALONE,
    adversary: Adversary | None = None,
) -> Training:
    """The beginning of a run.

    Args:
        network: The network that is trained, in float32, changed in place; copied if it has to
            change its device.
        schedule: Schedule of the run.
        device: Device of the training.
        rank: See ``Training``.
        adversary: See ``Training``.

    Raises:
        ConfigurationError: The schedule trains a flow network, and the network has none.
    """
    check_flow(network, schedule)
    network, _ = place(network, device=str(device), precision="float32")
    average = copy.deepcopy(network).requires_grad_(False)
    if schedule.low_rank:
        learn_low_rank(network, schedule.low_rank, _flow_parts(network))
    elif schedule.branches:
        learn_branches(network, _flow_parts(network))
    return Training(
        network=network,
        average=average,
        optimiser=make_optimiser(network),
        schedule=schedule,
        device=device,
        rank=rank,
        adversary=adversary,
    )


def make_optimiser(network: Network[Any]) -> torch.optim.Optimizer:
    """Adam, the flow network's parameters first, in a group of their own, which may be empty."""
    flow = list(flow_parameters(network))
    known = {id(parameter) for parameter in flow}
    others = [p for p in network.parameters() if id(p) not in known]
    return torch.optim.Adam([{"params": flow}, {"params": others}], betas=(0.9, 0.99))


def check_flow(network: Network[Any], schedule: Schedule) -> None:
    """Check that a network has the flow network that a schedule trains.

    Raises:
        ConfigurationError: It has none.
    """
    trains_flow = schedule.flow_iterations or schedule.flow_weight
    if trains_flow and not has_flow_network(network):
        raise ConfigurationError(
            f"{network.facts.name} has no flow network to be trained by itself; set "
            "flow_iterations and flow_weight to 0, or train compact"
        )


def has_flow_network(network: Network[Any]) -> bool:
    """Whether a network has a part that estimates flow."""
    return any(True for _ in _flow_parts(network))


def flow_network(network: Network[Any]) -> FlowEstimator:
    """The part of a network that estimates flow."""
    return cast("FlowEstimator", next(_flow_parts(network)))


def flow_parameters(network: Network[Any]) -> Iterator[nn.Parameter]:
    """The parameters of that part; none of a network without it."""
    for part in _flow_parts(network):
        yield from part.parameters()


def _flow_parts(network: Network[Any]) -> Iterator[nn.Module]:
    return (part for name, part in network.named_children() if name in FLOW_NETWORKS)


def _restore(training: Training, inputs: Tensor) -> tuple[Tensor, list[tuple[int, Tensor]]]:
    """The clip, whole or as a stream, and what drafts there are, each with its frame's number."""
    restored, drafts, state, start = [], [], None, 0
    for num_keep, look_ahead in _cuts(training, inputs.shape[1]):
        window = inputs[:, start : start + num_keep + look_ahead]
        part, state, made = _step(training.network, window, state, num_keep)
        restored.append(part)
        drafts += [(start + i, draft) for branch in made for i, draft in enumerate(branch)]
        start += num_keep
    return torch.cat(restored, 1), drafts


def _cuts(training: Training, num_frames: int) -> list[tuple[int, int]]:
    """Frames to keep and look-ahead of each step over a clip."""
    schedule, rng = training.schedule, training.rng()
    if float(torch.rand((), generator=rng)) >= schedule.stream_share:
        return [(num_frames, 0)]
    look_ahead, cuts = _draw(0, schedule.max_look_ahead, rng), []
    while num_frames:
        cuts.append((min(_draw(1, schedule.max_chunk, rng), num_frames), look_ahead))
        num_frames -= cuts[-1][0]
    return cuts


def _step(
    network: Network[Any], window: Tensor, state: Any, num_keep: int
) -> tuple[Tensor, Any, tuple[list[Tensor], ...]]:
    """One step, and the drafts of a network that makes any."""
    if isinstance(network, Compact):
        return network.step_with_drafts(window, state, num_keep)
    restored, state = network.step(window, state, num_keep)
    return restored, state, ()


@torch.no_grad()
def _average(training: Training) -> None:
    """Pull the averaged weights towards the present ones; faster while the run is young."""
    decay = min(training.schedule.ema_decay, (1 + training.iteration) / (10 + training.iteration))
    for name, average in training.average.named_parameters():
        average.lerp_(attrgetter(name)(training.network), 1 - decay)


def _precision(training: Training) -> torch.autocast:
    low = training.schedule.precision == "bfloat16"
    return torch.autocast(training.device.type, torch.bfloat16, enabled=low)


def _draw(low: int, high: int, rng: torch.Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=rng))
