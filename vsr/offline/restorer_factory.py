"""Creating a restorer whose step sizes fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from vsr.engine.memory import budget_bytes
from vsr.engine.memory_plan import Plan, RequestedSettings, make_plan, require
from vsr.engine.networks_in_time import NetworkChange
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.engine.settings import FULL
from vsr.models.network import Network
from vsr.models.placement import place, precision_among_others
from vsr.restorer import Restorer
from vsr.types import StreamInfo

log = logging.getLogger(__name__)


def make_restorer(
    network: Network[Any],
    info: StreamInfo,
    *,
    asked: RequestedSettings,
    memory: str | None = None,
    parallel_scenes: int = 1,
    device: str = "auto",
    precision: str = "auto",
    exact: bool = False,
    changes: Sequence[NetworkChange] = (),
) -> tuple[Restorer | ParallelScenes, Plan]:
    """Create a restorer whose step sizes fit into memory, and return the plan.

    Args:
        network: Any network.
        info: Description of the stream.
        asked: Sizes set by the user.
        memory: See ``restore``.
        parallel_scenes: See ``restore``.
        device: See ``restore``.
        precision: See ``restore``.
        exact: Compute the exact peak even where a quick estimate shows that it fits.
        changes: See ``Restorer``; not with parallel scenes. Sizes are planned for the largest
            of all networks.

    Raises:
        ConfigurationError: Impossible sizes, memory, device or precision.
        MemoryLimitError: No choice of the free sizes fits into the given memory.
    """
    largest = max((network, *(change.network for change in changes)), key=_num_parameters)
    wanted = precision_among_others(network, precision) if changes else precision
    placed, where = place(network, device=device, precision=wanted)
    plan = make_plan(
        placed if largest is network else _placed(largest, device, precision),
        where,
        info.height,
        info.width,
        budget_bytes=budget_bytes(memory, where),
        asked=asked,
        scenes=parallel_scenes,
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
        "precision": precision,
    }
    if parallel_scenes == 1:
        return Restorer(placed, **options, changes=changes), plan
    return ParallelScenes(placed, scenes=parallel_scenes, **options), plan


def _placed(network: Network[Any], device: str, precision: str) -> Network[Any]:
    wanted = precision_among_others(network, precision)
    return place(network, device=device, precision=wanted)[0]


def _num_parameters(network: Network[Any]) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
