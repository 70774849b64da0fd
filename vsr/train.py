"""Training of the networks this project ships: ``vsr train CONFIG``.

First the flow network alone learns to align low-resolution neighbours (photometric), then
everything learns to reconstruct. A share of the steps runs as a stream - random chunks, truncated
look-ahead, state carried with its gradient - so that what the network is used for is what it was
trained for.

B batch, T time, C colour, H, W size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from vsr.degrade import bicubic_down
from vsr.models.network import Network
from vsr.models.propagation import FlowEstimator, pair_flows
from vsr.models.warping import warp
from vsr.training_config import Schedule

CHARBONNIER_EPSILON = 1e-3
"""Rounds the absolute error near zero; the square is the 1e-6 of the published configurations."""


@dataclass(eq=False)
class Training:
    """A run in progress: everything a checkpoint needs.

    Attributes:
        network: The weights that learn, float32.
        average: Their exponential moving average.
        optimiser: Adam over all of them.
        iteration: Steps done, flow steps included.
        seconds: Time spent in steps, over all sessions.
    """

    network: Network[Any]
    average: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: Schedule
    device: torch.device
    rng: torch.Generator
    iteration: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.schedule.flow_iterations + self.schedule.iterations


@dataclass(frozen=True)
class StepReport:
    """What one step did."""

    iteration: int
    loss: float
    gradient_norm: float
    learning_rate: float


def charbonnier(restored: Tensor, truth: Tensor) -> Tensor:
    """Mean of sqrt(error² + epsilon²)."""
    return ((restored - truth).square() + CHARBONNIER_EPSILON**2).sqrt().mean()


def run(
    training: Training, clips: Iterator[Tensor], after_step: Callable[[StepReport], None]
) -> None:
    """Train to the end of the schedule.

    Args:
        training: Changed in place; an interrupted run goes on from its checkpoint.
        clips: Batches (B, T, 3, H, W), uint8, ground truth.
        after_step: Called after every step, to log, save and validate.
    """
    while training.iteration < training.total:
        started = time.perf_counter()
        report = _step(training, next(clips))
        training.seconds += time.perf_counter() - started
        after_step(report)


def learning_rate(schedule: Schedule, iteration: int) -> float:
    """Linear warm-up and cosine, over the flow steps and again over the others."""
    span, done = schedule.iterations, iteration - schedule.flow_iterations
    if done < 0:
        span, done = schedule.flow_iterations, iteration
    warm = min(1.0, (done + 1) / max(schedule.warmup, 1))
    cosine = (1 + math.cos(math.pi * done / max(span, 1))) / 2
    low = schedule.final_learning_rate
    return warm * (low + (schedule.learning_rate - low) * cosine)


def _step(training: Training, truth_u8: Tensor) -> StepReport:
    schedule = training.schedule
    rate = learning_rate(schedule, training.iteration)
    for group in training.optimiser.param_groups:
        group["lr"] = rate
    truth = truth_u8.to(training.device).float().div(255)
    inputs = bicubic_down(truth, training.network.facts.scale)
    with _precision(training):
        loss = _loss(training, inputs, truth)
    training.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(training.network.parameters(), schedule.clip_norm)
    if torch.isfinite(norm):
        training.optimiser.step()
        _average(training)
    training.iteration += 1
    return StepReport(training.iteration, float(loss.detach()), float(norm), rate)


def _loss(training: Training, inputs: Tensor, truth: Tensor) -> Tensor:
    if training.iteration < training.schedule.flow_iterations:
        return photometric(training.network, inputs)
    return charbonnier(_restore(training, inputs), truth)


def photometric(network: Network[Any], frames_BTCHW: Tensor) -> Tensor:
    """How far neighbours, moved along the estimated flow, are from the frames themselves.

    Args:
        network: One that has a flow network named ``flow``.
        frames_BTCHW: Low-resolution clips.
    """
    flows = pair_flows(cast("FlowEstimator", network.get_submodule("flow")), frames_BTCHW, None)
    earlier, later = frames_BTCHW[:, :-1].flatten(0, 1), frames_BTCHW[:, 1:].flatten(0, 1)
    to_earlier = flows.forward_BT2HW[:, 1:].flatten(0, 1)
    to_later = flows.backward_BT2HW[:, 1:].flatten(0, 1)
    return charbonnier(warp(earlier, to_earlier, "border"), later) + charbonnier(
        warp(later, to_later, "border"), earlier
    )


def _restore(training: Training, inputs: Tensor) -> Tensor:
    """The whole clip at once, or as a stream."""
    schedule = training.schedule
    if float(torch.rand((), generator=training.rng)) >= schedule.stream_share:
        restored: Tensor = training.network(inputs)
        return restored
    look_ahead = _draw(0, schedule.max_look_ahead, training.rng)
    parts, state, start = [], None, 0
    while start < inputs.shape[1]:
        num_keep = min(_draw(1, schedule.max_chunk, training.rng), inputs.shape[1] - start)
        window = inputs[:, start : start + num_keep + look_ahead]
        part, state = training.network.step(window, state, num_keep)
        parts.append(part)
        start += num_keep
    return torch.cat(parts, 1)


@torch.no_grad()
def _average(training: Training) -> None:
    """Pull the averaged weights towards the present ones; faster while the run is young."""
    decay = min(training.schedule.ema_decay, (1 + training.iteration) / (10 + training.iteration))
    present = dict(training.network.named_parameters())
    for name, average in training.average.named_parameters():
        average.lerp_(present[name], 1 - decay)


def _precision(training: Training) -> torch.autocast:
    low = training.schedule.precision == "bfloat16"
    return torch.autocast(training.device.type, torch.bfloat16, enabled=low)


def _draw(low: int, high: int, rng: torch.Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=rng))
