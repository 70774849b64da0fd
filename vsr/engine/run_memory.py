"""Peak memory of a whole run, computed in advance.

Resident memory, the peak of one step, and frames in queues:
of the process on a CPU, of the device on CUDA.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from vsr.engine.memory import resident_bytes
from vsr.engine.parallel_scenes import num_held
from vsr.engine.settings import Settings
from vsr.engine.step_memory import (
    FLOAT,
    LONGEST_SCENE,
    OVERHEAD,
    Steps,
    look_bytes,
    step_bytes,
    weight_bytes,
)
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
"""The same of networks without weights, for which no convolutions are loaded: 11 MiB with
`identity`, 4 MiB with `bicubic`."""


def run_bytes(
    steps: Steps,
    device: torch.device,
    settings: Settings,
    height: int,
    width: int,
    *,
    scenes: int = 1,
    num_frames: int | None = None,
    by_area: bool = False,
) -> int:
    """Peak memory of a run: memory already held, one step, and frames in queues.

    Args:
        steps: Steps of the network in its final device and precision.
        device: Device of the network.
        settings: Step sizes.
        height: Rows of a frame.
        width: Columns of a frame.
        scenes: Number of scenes in one joint step.
        num_frames: Length of the source if known; no scene is longer.
        by_area: See ``step_bytes``.
    """
    network, within = steps.network, _limit_look_ahead(settings, num_frames)
    step = step_bytes(steps, within, height, width, scenes, by_area=by_area)
    if scenes > 1:
        step += _held_bytes(network, within, (height, width), scenes)
    return _with_queues(step, network, device, within, (height, width), scenes)


def upper_bound_bytes(
    steps: Steps,
    device: torch.device,
    settings: Settings,
    height: int,
    width: int,
    *,
    scenes: int = 1,
    num_frames: int | None = None,
) -> int:
    """A quick upper bound of ``run_bytes``, from a step of two frames."""
    network, settings = steps.network, _limit_look_ahead(settings, num_frames)
    a_frame = scenes * look_bytes(steps, height, width)
    step = max(settings.chunk, settings.look_ahead or 0) * a_frame
    if scenes > 1:
        step += _held_bytes(network, settings, (height, width), scenes)
    return _with_queues(step, network, device, settings, (height, width), scenes)


def lower_bound_bytes(
    network: Network[Any],
    settings: Settings,
    height: int,
    width: int,
    *,
    scenes: int = 1,
    num_frames: int | None = None,
) -> int:
    """Bytes of the window and of the frames restored from it: no run takes less."""
    within = _limit_look_ahead(settings, num_frames)
    frame, restored = _frame_bytes(network, (height, width))
    window = (within.chunk + (within.look_ahead or 0)) * frame
    return scenes * (window + within.chunk * restored)


def _with_queues(
    step: int,
    network: Network[Any],
    device: torch.device,
    settings: Settings,
    size: tuple[int, int],
    scenes: int,
) -> int:
    frame, restored = _frame_bytes(network, size)
    bytes_ = step + settings.chunk * DECODED_CHUNKS * frame
    if device.type == "cuda":
        return weight_bytes(network) + bytes_ + settings.chunk * RESTORED_CHUNKS * restored
    bytes_ += resident_bytes() + (STARTED if weight_bytes(network) else CODECS)
    window = (settings.chunk + (settings.look_ahead or 0)) * frame
    if step <= round(OVERHEAD * window):
        # Nothing is computed: the peak is not within a step, and holds what was restored.
        bytes_ += settings.chunk * RESTORED_CHUNKS * restored
    elif settings.num_tiles > 1 and scenes == 1:
        # The result is begun with the first tile, while the chunk before is with the encoder; steps
        # of several scenes wait for so many frames that it is done by then.
        bytes_ += settings.chunk * restored
    return bytes_


def _held_bytes(
    network: Network[Any], settings: Settings, size: tuple[int, int], scenes: int
) -> int:
    """Memory of waiting and restored frames of parallel scenes."""
    return (num_held(settings, scenes) + settings.chunk) * sum(_frame_bytes(network, size))


def _frame_bytes(network: Network[Any], size: tuple[int, int]) -> tuple[int, int]:
    """Bytes of a waiting frame and of a restored one."""
    frame = 3 * FLOAT * size[0] * size[1]
    return frame, frame * network.facts.scale**2


def _limit_look_ahead(settings: Settings, num_frames: int | None) -> Settings:
    """Settings with the look-ahead limited to the length of the source."""
    reach = min(LONGEST_SCENE, num_frames or LONGEST_SCENE)
    return settings if settings.look_ahead is not None else replace(settings, look_ahead=reach)
