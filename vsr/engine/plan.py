"""Which sizes a run takes, decided before it from the memory there is.

A smaller chunk costs speed alone, tiles cost very little, a shorter look-ahead costs sharpness:
sizes that were not asked for are reduced in that order until the run fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from vsr.engine.cost import FLOAT, LONGEST_SCENE, OVERHEAD, look_bytes, step_bytes, weight_bytes
from vsr.engine.lanes import num_held, num_kept
from vsr.engine.settings import Settings, settings_for
from vsr.engine.tiles import finer
from vsr.errors import MemoryLimitError
from vsr.memory import resident_bytes
from vsr.models.network import Network

RESTORED_CHUNKS = 2
"""Restored chunks on a CUDA device beside the one in the making: in the queue, and on their way to
the host. On a CPU measured peaks hold none: they fall within steps, when others are gone."""

DECODED_CHUNKS = 3
"""Decoded chunks alive beside the window: at the decoder, in the queue, and being taken apart."""

STARTED = 70 * 2**20
"""Bytes that come with the first step on a CPU, whatever its size: compiled kernels, threads,
codecs; what was missing in `python -m benchmarks.memory`, 43 to 79 MiB in eight of nine runs."""


CODECS = 8 * 2**20
"""The same where nothing is computed, so that no kernels are loaded: 11 MiB with `identity`."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Sizes that people set; None for those the planner may choose."""

    chunk: int | None = None
    look_ahead: int | str | None = None
    tiles: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will take.

    Attributes:
        settings: Sizes of its steps.
        memory_bytes: Expected at its peak: of the process on a CPU, of the device on CUDA.
        budget_bytes: What it was to stay under.
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
    asked: Asked | None = None,
    scenes: int = 1,
    num_frames: int | None = None,
    exact: bool = True,
) -> Plan:
    """The largest sizes that fit; the smallest where none does.

    Args:
        network: As it will run.
        device: Where it will run.
        height: Of the frames.
        width: Of the frames.
        budget_bytes: Memory the process may have on a CPU, or the run on a CUDA device.
        asked: Sizes that are fixed.
        scenes: Scenes stepped together.
        num_frames: Of the source, where that is known: no scene is longer.
        exact: Reckon exactly even where a look shows that what suits the network fits.
    """
    tried = list(candidates(network, asked or Asked(), height, width))
    reach = min(LONGEST_SCENE, num_frames or LONGEST_SCENE)
    if not exact:
        best = tried[0]
        most = _at_most(network, device, _within(best, reach), height, width, scenes)
        if most <= budget_bytes:
            return Plan(settings=best, memory_bytes=most, budget_bytes=budget_bytes)
    for settings in tried:
        memory = run_bytes(network, device, _within(settings, reach), height, width, scenes=scenes)
        plan = Plan(settings=settings, memory_bytes=memory, budget_bytes=budget_bytes)
        if plan.fits:
            break
    return plan


def _within(settings: Settings, num_frames: int) -> Settings:
    """What a look-ahead to the end of the scene comes to."""
    return settings if settings.look_ahead is not None else replace(settings, look_ahead=num_frames)


def require(plan: Plan, name: str, height: int, width: int) -> None:
    """Refuse a plan that does not fit.

    Raises:
        MemoryLimitError: It does not.
    """
    if not plan.fits:
        raise MemoryLimitError(
            f"{name} needs {plan.memory_bytes / 2**20:.0f} MiB for {width}x{height} with "
            f"{plan.settings}, {plan.budget_bytes / 2**20:.0f} MiB are given; raise --memory, or "
            "leave chunk, look-ahead and tiles to the planner"
        )


def run_bytes(
    network: Network[Any],
    device: torch.device,
    settings: Settings,
    height: int,
    width: int,
    *,
    scenes: int = 1,
) -> int:
    """Memory of a whole run at its peak: what is there already, a step, and frames in queues."""
    step = step_bytes(network, settings, height, width, scenes)
    return _with_queues(step, network, device, settings, (height, width), scenes)


def _at_most(
    network: Network[Any],
    device: torch.device,
    settings: Settings,
    height: int,
    width: int,
    scenes: int,
) -> int:
    """More than ``run_bytes``, quickly: as if every frame cost what a step of two does."""
    step = max(settings.chunk, settings.look_ahead or 0) * look_bytes(
        network, height, width, scenes
    )
    return _with_queues(step, network, device, settings, (height, width), scenes)


def _with_queues(
    step: int,
    network: Network[Any],
    device: torch.device,
    settings: Settings,
    size: tuple[int, int],
    scenes: int,
) -> int:
    height, width = size
    frame = 3 * FLOAT * height * width
    restored = frame * network.facts.scale**2
    bytes_ = step + settings.chunk * DECODED_CHUNKS * frame
    if scenes > 1:
        bytes_ += num_held(settings, scenes) * frame + num_kept(settings, scenes) * restored
    if device.type == "cuda":
        return weight_bytes(network) + bytes_ + settings.chunk * RESTORED_CHUNKS * restored
    window = scenes * (settings.chunk + (settings.look_ahead or 0)) * frame
    if step <= round(OVERHEAD * window):
        # Nothing is computed: the peak is not within a step, and holds what was restored.
        return resident_bytes() + CODECS + bytes_ + settings.chunk * RESTORED_CHUNKS * restored
    if settings.num_tiles > 1:
        # The result is begun with the first tile, while the chunk before is with the encoder.
        bytes_ += settings.chunk * restored
    return resident_bytes() + STARTED + bytes_


def candidates(network: Network[Any], asked: Asked, height: int, width: int) -> Iterator[Settings]:
    """Sizes from what suits the network to the smallest, those asked for never changed."""
    tiles = asked.tiles or (1, 1)
    settings = settings_for(
        network.facts, chunk=asked.chunk, look_ahead=asked.look_ahead, tiles=tiles
    )
    yield settings
    worthwhile = max(1, (settings.look_ahead or 0) // 2)
    while asked.chunk is None and settings.chunk // 2 >= worthwhile:
        settings = replace(settings, chunk=settings.chunk // 2)
        yield settings
    while asked.tiles is None and (smaller := finer(settings, height, width)) is not None:
        settings = smaller
        yield settings
    while (smaller := _shorter(settings, asked)) != settings:
        settings = smaller
        yield settings


def _shorter(settings: Settings, asked: Asked) -> Settings:
    """Half the look-ahead and half the chunk, where they are free."""
    half = settings.smaller() or settings
    return replace(
        settings,
        chunk=settings.chunk if asked.chunk is not None else half.chunk,
        look_ahead=settings.look_ahead if asked.look_ahead is not None else half.look_ahead,
    )
