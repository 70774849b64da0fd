"""A restorer for a stream, with sizes that fit into memory."""

from __future__ import annotations

import itertools
import logging
from fractions import Fraction
from typing import Any

import torch

from vsr.engine.memory import budget_bytes
from vsr.engine.memory_plan import Asked, Plan, make_plan, require
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.engine.settings import FULL
from vsr.models.network import Network, NetworkFacts
from vsr.models.placement import place
from vsr.restorer import Restorer
from vsr.scenes.markers import AUTO, OFF, scene_marker
from vsr.types import Chunk, StreamInfo

log = logging.getLogger(__name__)

KNOWN_FRAMES = 10_000
"""Frames of which scenes are planned for one by one: it takes half a second."""


def make_restorer(
    network: Network[Any],
    info: StreamInfo,
    *,
    asked: Asked,
    memory: str | None = None,
    scenes: str = AUTO,
    parallel_scenes: int = 1,
    device: str = "auto",
    precision: str = "auto",
    exact: bool = False,
) -> tuple[Restorer | ParallelScenes, Plan]:
    """A restorer whose sizes fit into memory, and the plan they come from.

    Args:
        network: Any.
        info: Of what it will restore.
        asked: Sizes that are fixed.
        memory: As for ``restore``.
        scenes: As for ``restore``.
        parallel_scenes: As for ``restore``.
        device: As for ``restore``.
        precision: As for ``restore``.
        exact: Reckon the memory even where a look shows that it suffices.

    Raises:
        ConfigurationError: Sizes, memory, a device or a precision that cannot be.
        MemoryLimitError: Memory was given, and nothing that was left free fits into it.
    """
    placed, where = place(network, device=device, precision=precision)
    plan = make_plan(
        placed,
        where,
        info.height,
        info.width,
        budget_bytes=budget_bytes(memory, where),
        asked=asked,
        scenes=parallel_scenes,
        lengths=known_lengths(scenes, info, placed.facts) if parallel_scenes > 1 else None,
        num_frames=info.num_frames,
        exact=exact,
    )
    if memory is not None:
        require(plan, network.facts.name, info.height, info.width)
    elif not plan.fits:
        log.warning(
            "about %d MiB will be needed, %d MiB are free; --memory, a smaller chunk or tiles help",
            plan.memory_bytes >> 20,
            plan.budget_bytes >> 20,
        )
    log.info("%s, at most about %d MiB", plan.settings, plan.memory_bytes >> 20)
    sizes = plan.settings
    options: dict[str, Any] = {
        "chunk": sizes.chunk,
        "look_ahead": FULL if sizes.look_ahead is None else sizes.look_ahead,
        "tiles": sizes.tiles,
        "device": str(where),
        "precision": str(placed.dtype).removeprefix("torch."),
    }
    if parallel_scenes == 1:
        return Restorer(placed, **options), plan
    return ParallelScenes(placed, scenes=parallel_scenes, **options), plan


def known_lengths(scenes: str, info: StreamInfo, facts: NetworkFacts) -> list[int] | None:
    """Frames of the first scenes of a stream, one after the other; None where they are found later.

    Args:
        scenes: As for ``restore``.
        info: Of the stream.
        facts: Of the network: one that restores each frame by itself has no cuts searched for.

    Raises:
        ConfigurationError: As of ``scene_marker``.
    """
    if scenes == AUTO:
        if not facts.stateless:
            return None
        scenes = OFF
    num_frames = min(info.num_frames or KNOWN_FRAMES, KNOWN_FRAMES)
    between = 1 / (info.frame_rate * info.time_base) if info.frame_rate else Fraction(1)
    frames = Chunk(
        frames=torch.zeros(num_frames, 3, 1, 1),
        pts=tuple(info.start_pts + round(i * between) for i in range(num_frames)),
        time_base=info.time_base,
    )
    (marked,) = scene_marker(scenes, info).push(frames)
    borders = sorted({0, *marked.scene_starts, num_frames})
    return [end - start for start, end in itertools.pairwise(borders)]
