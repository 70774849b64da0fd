"""One step of one stream, retried after divergence or lack of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from vsr.engine.memory import is_out_of_memory, may_be_out_of_memory
from vsr.engine.stream import Stream
from vsr.engine.tiling import tiled
from vsr.engine.window import Step
from vsr.models.network import Network
from vsr.types import Chunk


def restore_ready(network_for: Callable[[Step], Network[Any]], stream: Stream) -> Iterator[Chunk]:
    """Restore all frames that are ready, one step per chunk asked for.

    Args:
        network_for: The network of a step.
        stream: The frames.
    """
    while (step := stream.next_step()) is not None:
        yield restore_next(network_for(step), stream, step)


@torch.inference_mode()
def restore_next(network: Network[Any], stream: Stream, step: Step) -> Chunk:
    """Restore the frames of one step, or fewer if memory runs out."""
    while True:
        past = stream.past(step)
        try:
            restored, state = _run(network, stream, step, past)
        except (MemoryError, RuntimeError) as error:
            if not may_be_out_of_memory(error):
                raise
            if stream.smaller() is None and not is_out_of_memory(error):
                raise
        else:
            chunk = stream.take_result(past, restored, state)
            if chunk is not None:
                return chunk
            continue
        # Out here the error no longer holds on to what the step had made.
        if not stream.shrink():
            return stream.pass_failed_through(1, "out of memory for a single frame")
        smaller = stream.next_step()
        assert smaller is not None, "a smaller step waits for less than the one that was ready"
        step = smaller


def _run(network: Network[Any], stream: Stream, step: Step, past: Any) -> tuple[Tensor, Any]:
    window_1TCHW = stream.timeline.window(step.num_seen)[None]
    restored, state = tiled(network, stream.settings.tiles).step(
        window_1TCHW, past, step.num_keep, ends_scene=step.ends_scene
    )
    return restored[0], state
