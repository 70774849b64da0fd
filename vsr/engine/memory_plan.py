"""Planning step sizes before a run, from the memory available.

A smaller chunk costs speed alone, tiles cost very little, a shorter look-ahead costs sharpness:
sizes that were not asked for are reduced in that order until the run fits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import torch

from vsr.engine.run_memory import lower_bound_bytes, run_bytes, upper_bound_bytes
from vsr.engine.settings import FULL, Settings, settings_for
from vsr.engine.step_memory import Steps
from vsr.engine.tiling import finer
from vsr.errors import MemoryLimitError
from vsr.models.network import Network


@dataclass(frozen=True, kw_only=True)
class RequestedSettings:
    """Sizes set by the user; None for those that the planner may choose."""

    chunk: int | None = None
    look_ahead: int | str | None = None
    tiles: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Step sizes of a run and the memory they need.

    Attributes:
        settings: Step sizes.
        memory_bytes: Expected peak: of the process on a CPU, of the device on CUDA.
        budget_bytes: Memory that the plan should stay under.
    """

    settings: Settings
    memory_bytes: int
    budget_bytes: int

    @property
    def fits(self) -> bool:
        """Whether the run is expected to stay within its budget."""
        return self.memory_bytes <= self.budget_bytes


def make_plan(
    network: Network[Any],
    device: torch.device,
    height: int,
    width: int,
    *,
    budget_bytes: int,
    asked: RequestedSettings | None = None,
    scenes: int = 1,
    num_frames: int | None = None,
    exact: bool = True,
) -> Plan:
    """The largest sizes that fit; the smallest where none does.

    Args:
        network: Network in its final device and precision.
        device: Device of the network.
        height: Rows of a frame.
        width: Columns of a frame.
        budget_bytes: Memory the process may have on a CPU, or the run on a CUDA device.
        asked: Sizes that must not be changed.
        scenes: Scenes stepped together.
        num_frames: Length of the source if known; no scene is longer.
        exact: Compute the exact peak even where a quick estimate shows that the defaults fit.
    """
    wanted = within_source(asked or RequestedSettings(), num_frames)
    tried, steps = list(candidates(network, wanted, height, width)), Steps(network)

    def plan(settings: Settings, *, by_area: bool = False) -> Plan:
        memory = run_bytes(
            steps,
            device,
            settings,
            height,
            width,
            scenes=scenes,
            num_frames=num_frames,
            by_area=by_area,
        )
        return Plan(settings=settings, memory_bytes=memory, budget_bytes=budget_bytes)

    def least(settings: Settings) -> int:
        return lower_bound_bytes(
            network, settings, height, width, scenes=scenes, num_frames=num_frames
        )

    def may_fit(settings: Settings) -> bool:
        return least(settings) <= budget_bytes and plan(settings, by_area=True).fits

    most = upper_bound_bytes(
        steps, device, tried[0], height, width, scenes=scenes, num_frames=num_frames
    )
    if most <= budget_bytes:
        quick = Plan(settings=tried[0], memory_bytes=most, budget_bytes=budget_bytes)
        return plan(tried[0]) if exact else quick
    for settings in _promising(tried, may_fit):
        if (found := plan(settings)).fits:
            return found
    # More tiles may take more: each has a state.
    fewest = min(map(least, tried))
    smallest = [settings for settings in tried if least(settings) == fewest]
    return plan(min(smallest, key=lambda settings: plan(settings, by_area=True).memory_bytes))


def _promising(
    tried: Sequence[Settings], may_fit: Callable[[Settings], bool]
) -> Iterator[Settings]:
    """Candidates that may fit; of those with the first one's tiles, ever smaller, by bisection."""
    alike = list(takewhile(lambda settings: settings.tiles == tried[0].tiles, tried))
    first = bisect_left(alike, True, key=may_fit)
    yield from alike[first:]
    yield from filter(may_fit, tried[len(alike) :])


def within_source(asked: RequestedSettings, num_frames: int | None) -> RequestedSettings:
    """Requested sizes, limited to the length of a source.

    A look-ahead that reaches beyond its end is one to the end: it stays so where the source turns
    out to be longer than its header says.

    Args:
        asked: Sizes that are fixed.
        num_frames: Number of frames of the source; None where that is not known.
    """
    if num_frames is None:
        return asked
    chunk, ahead = asked.chunk, asked.look_ahead
    if isinstance(ahead, int) and ahead >= max(1, num_frames):
        ahead = FULL
    if chunk is not None and chunk > num_frames:
        chunk = max(1, num_frames)
    return replace(asked, chunk=chunk, look_ahead=ahead)


def require(plan: Plan, name: str, height: int, width: int) -> None:
    """Raise an error for a plan that does not fit.

    Raises:
        MemoryLimitError: The plan exceeds its budget.
    """
    if not plan.fits:
        raise MemoryLimitError(
            f"{name} needs {plan.memory_bytes / 2**20:.0f} MiB for {width}x{height} with "
            f"{plan.settings}, {plan.budget_bytes / 2**20:.0f} MiB are given; raise --memory, or "
            "leave chunk, look-ahead and tiles to the planner"
        )


def candidates(
    network: Network[Any], asked: RequestedSettings, height: int, width: int
) -> Iterator[Settings]:
    """Step sizes from the network's defaults down to the smallest; requested ones stay."""
    tiles = asked.tiles or (1, 1)
    settings = settings_for(
        network.facts, chunk=asked.chunk, look_ahead=asked.look_ahead, tiles=tiles
    )
    yield settings
    worthwhile = max(1, (settings.look_ahead or 0) // 2)
    while asked.chunk is None and settings.chunk // 2 >= worthwhile:
        settings = replace(settings, chunk=settings.chunk // 2)
        yield settings
    radius = network.facts.receptive_radius
    while asked.tiles is None and (smaller := finer(settings, height, width, radius)) is not None:
        settings = smaller
        yield settings
    while (smaller := _shorter(settings, asked)) != settings:
        settings = smaller
        yield settings


def _shorter(settings: Settings, asked: RequestedSettings) -> Settings:
    """Halve the look-ahead and the chunk where the user has not set them."""
    half = settings.smaller() or settings
    return replace(
        settings,
        chunk=settings.chunk if asked.chunk is not None else half.chunk,
        look_ahead=settings.look_ahead if asked.look_ahead is not None else half.look_ahead,
    )
