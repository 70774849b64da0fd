"""Choosing chunk and look-ahead for a latency.

    latency = waiting for chunk and look-ahead + restoring them + decoding, encoding, sending

Frames arrive at the source's rate, so the first of a chunk waits for all others of the step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from typing import Any

import torch

from vsr.engine.cpu_threads import all_cores
from vsr.engine.device_transfer import wait_for
from vsr.models.network import Network, NetworkFacts

CODING_S = 0.25
"""Decoding, colours, encoding, sending, and a server and a player near by: what a viewer waits for
beside restoring (`python -m benchmarks.live` measures all of it)."""

BUSY = 0.7
"""Share of the time that restoring may take: encoding runs on the same machine."""

SLACK = 0.25
"""Share of its time that a step may take longer than measured, for the same reason, and still be in
time."""

SLOW_S = 0.2
"""If the first step takes longer, others are timed once: the source does not wait."""

REPEATS = 3
"""Number of times that each step after the first is timed; the quickest counts. A process's first
steps take up to a fifth longer than later ones: the speed is measured again while the stream
runs."""


@dataclass(frozen=True, kw_only=True)
class StepSpeed:
    """Duration of a step.

    Attributes:
        frame_s: Seconds per restored frame.
        look_ahead_s: Seconds per frame of look-ahead.
    """

    frame_s: float
    look_ahead_s: float

    def step_s(self, chunk: int, look_ahead: int) -> float:
        """Seconds of a step."""
        return chunk * self.frame_s + look_ahead * self.look_ahead_s

    def scaled(self, factor: float) -> StepSpeed:
        """The speed for frames of this many times as many pixels."""
        return StepSpeed(frame_s=self.frame_s * factor, look_ahead_s=self.look_ahead_s * factor)

    def adapted(self, chunk: int, look_ahead: int, took_s: float) -> StepSpeed:
        """The speed updated by a measured step, with a weight of one eighth."""
        expected = self.step_s(chunk, look_ahead)
        if expected <= 0:
            return StepSpeed(frame_s=took_s / chunk, look_ahead_s=self.look_ahead_s)
        factor = 1 + (took_s / expected - 1) / 8
        return StepSpeed(frame_s=self.frame_s * factor, look_ahead_s=self.look_ahead_s * factor)


@dataclass(frozen=True, kw_only=True)
class LatencyPlan:
    """Step sizes and their latency.

    Attributes:
        chunk: Chunk in frames.
        look_ahead: Look-ahead in frames.
        waiting_s: Seconds until all frames of a step have arrived.
        restoring_s: Seconds of a step.
        budget_s: Requested latency.
        keeps_up: Whether restoration is faster than the frame rate.
    """

    chunk: int
    look_ahead: int
    waiting_s: float
    restoring_s: float
    budget_s: float
    keeps_up: bool

    @property
    def latency_s(self) -> float:
        """Total latency."""
        return self.waiting_s + self.restoring_s + CODING_S

    @property
    def latest_s(self) -> float:
        """Total latency if a step takes longer than measured."""
        return self.latency_s + SLACK * self.restoring_s

    def __str__(self) -> str:
        parts = (self.latency_s, self.waiting_s, self.restoring_s, CODING_S)
        whole, waiting, restoring, coding = (round(1000 * part) for part in parts)
        words = (
            f"chunk {self.chunk}, look-ahead {self.look_ahead}: {whole} ms of "
            f"{1000 * self.budget_s:.0f} ms (waiting {waiting}, restoring {restoring}, "
            f"coding {coding})"
        )
        if not self.keeps_up:
            return f"{words}; this machine may be too slow for that many frames"
        over = self.latency_s > self.budget_s
        return f"{words}; that is the least this network can do" if over else words


class Stopped(Exception):
    """Raised when a measurement is stopped."""


@torch.inference_mode()
def measure(
    network: Network[Any], device: torch.device, height: int, width: int, stop: Event
) -> StepSpeed:
    """Measure a few steps, each after a warm-up step, on grey frames of two levels in turn.

    A network that skips what stands still has to restore all of them.

    Args:
        network: Network ready to run.
        device: Device of the network.
        height: Rows of the frames.
        width: Columns of the frames.
        stop: Once set, no further step is taken.

    Raises:
        Stopped: ``stop`` was set.
    """
    first = 0

    def step(chunk: int, look_ahead: int, state: Any) -> tuple[float, Any]:
        nonlocal first
        if stop.is_set():
            raise Stopped
        levels_T = torch.arange(first, first + chunk + look_ahead, device=device) % 2 * 0.4 + 0.3
        window = levels_T.view(1, -1, 1, 1, 1).repeat(1, 1, 3, height, width)
        first += chunk
        began = time.perf_counter()
        with all_cores():
            _, state = network.step(window, state, chunk, ends_scene=False)
        wait_for(device)
        return time.perf_counter() - began, state

    def seconds(chunk: int, look_ahead: int) -> float:
        took_s, state = step(chunk, look_ahead, None)
        if slow:
            return took_s
        return min(step(chunk, look_ahead, state)[0] for _ in range(REPEATS))

    slow = step(1, 1, None)[0] > SLOW_S
    short, long, ahead = seconds(1, 0), seconds(3, 0), seconds(1, 2)
    frame_s = max((long - short) / 2, long / 4)
    return StepSpeed(frame_s=frame_s, look_ahead_s=max(0.0, (ahead - short) / 2))


def plan_latency(
    facts: NetworkFacts,
    speed: StepSpeed,
    frame_rate: Fraction,
    budget_s: float,
    *,
    held_back: int = 0,
) -> LatencyPlan:
    """The longest look-ahead, then the largest chunk, within the latency.

    Args:
        facts: Facts of the network, whose defaults are the maximum.
        speed: Measured speed.
        frame_rate: Frame rate of the source.
        budget_s: The latency asked for.
        held_back: Number of frames by which deinterlacing delays them.

    Returns:
        The plan that fits; failing that, one that may fit; failing that, the closest.
    """
    period_s = float(1 / frame_rate)
    most = max(1, facts.chunk)
    choices = [
        _choice(chunk, ahead, held_back + facts.sees_end, speed, period_s, budget_s)
        for ahead in range(facts.look_ahead + 1)
        for chunk in range(1, most + 1)
    ]
    fitting = [c for c in choices if c.keeps_up and c.latest_s <= budget_s]
    if fitting:
        return max(fitting, key=lambda c: (c.look_ahead, c.chunk))
    # Not sure to keep up, but it may: large chunks are what a step's fixed costs matter least to.
    barely = [c for c in choices if c.restoring_s <= c.chunk * period_s and c.latest_s <= budget_s]
    if barely:
        return max(barely, key=lambda c: (-c.look_ahead, c.chunk))
    return min(choices, key=lambda c: (not c.keeps_up, c.latency_s))


def _choice(
    chunk: int, ahead: int, behind: int, speed: StepSpeed, period_s: float, budget_s: float
) -> LatencyPlan:
    restoring_s = speed.step_s(chunk, ahead)
    return LatencyPlan(
        chunk=chunk,
        look_ahead=ahead,
        waiting_s=(chunk - 1 + ahead + behind) * period_s,
        restoring_s=restoring_s,
        budget_s=budget_s,
        keeps_up=restoring_s <= BUSY * chunk * period_s,
    )
