"""How fast a run will be: measured on a small part of a frame."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction
from typing import Any

import torch

from vsr.engine.device_transfer import wait_for
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.engine.step_memory import LONGEST_SCENE
from vsr.models.network import Network
from vsr.offline.output_size import OutputSize
from vsr.restorer import Restorer
from vsr.types import Chunk, StreamInfo

SAMPLE = 64
"""Side of the first frames that are timed; doubled until a step takes ``LONG_ENOUGH_S``."""

LONG_ENOUGH_S = 0.3


LARGEST_USUAL = 4096 * 2160
"""Pixels of a 4K frame; larger ones few players and screens show."""


def large_output_note(
    restorer: Restorer | ParallelScenes, info: StreamInfo, output: OutputSize
) -> str | None:
    """A sentence about an output above 4K that was not asked for, and the time it takes.

    Args:
        restorer: The restorer of the run; it is measured on a small part of a frame.
        info: Description of the source.
        output: Size of the output.

    Returns:
        None where the output is no larger than 4K.
    """
    if output.height * output.width <= LARGEST_USUAL:
        return None
    fps = expected_fps(restorer, info)
    spent = f"{fps:.2g} frames/s are expected"
    if info.num_frames is not None:
        spent = f"{info.num_frames} frames take about {duration_text(info.num_frames / fps)}"
    return (
        f"the output is {output.width}x{output.height}, above 4K: {spent}, encoding not counted; "
        "--fit 2160 makes 4K, and a model of a smaller scale (`vsr models`) takes less time"
    )


def expected_fps(restorer: Restorer | ParallelScenes, info: StreamInfo) -> float:
    """Expected restored frames per second, measured on a small part of a frame.

    Of several networks each counts by the time of the film that it restores.
    """
    shares = _shares(restorer, info)
    networks = {id(network): network for network, _ in shares}
    spent = {key: 1 / _fps_of(network, restorer, info) for key, network in networks.items()}
    return 1 / sum(share * spent[id(network)] for network, share in shares)


def _shares(
    restorer: Restorer | ParallelScenes, info: StreamInfo
) -> list[tuple[Network[Any], float]]:
    """The networks in order of time, each with its share of the film; the shares add up to 1."""
    changes = restorer.changes if isinstance(restorer, Restorer) else ()
    networks = [restorer.network, *(change.network for change in changes)]
    starts = [info.start_pts * info.time_base, *(change.at_s for change in changes)]
    if not changes or info.num_frames is None or info.frame_rate is None:
        return [(network, 1 / len(networks)) for network in networks]
    length = info.num_frames / info.frame_rate
    ends = [*starts[1:], max(starts[-1], starts[0] + length)]
    spans = [max(Fraction(0), end - start) for start, end in zip(starts, ends, strict=True)]
    return [
        (network, float(span / sum(spans))) for network, span in zip(networks, spans, strict=True)
    ]


def _fps_of(network: Network[Any], restorer: Restorer | ParallelScenes, info: StreamInfo) -> float:
    """Frames per second of one network with the sizes of a restorer."""
    settings = restorer.settings
    chunk = min(settings.chunk, 4)
    scene = min(LONGEST_SCENE, info.num_frames or LONGEST_SCENE)
    # To the end of the scene is half a scene on average.
    look_ahead = scene // 2 if settings.look_ahead is None else settings.look_ahead
    ahead = round(look_ahead * chunk / settings.chunk)
    side = SAMPLE
    while True:
        height, width = min(side, info.height), min(side, info.width)
        seconds = _time(network, restorer.device, chunk, ahead, (height, width))
        whole = (height, width) == (info.height, info.width)
        if whole or seconds >= LONG_ENOUGH_S:
            return chunk / seconds * (height * width) / (info.height * info.width)
        side *= 2


def _time(
    network: Network[Any], device: torch.device, chunk: int, ahead: int, size: tuple[int, int]
) -> float:
    """Seconds of a step, the second of two: the first one warms up."""
    timed = Restorer(
        network,
        chunk=chunk,
        look_ahead=ahead,
        device=str(device),
        precision=str(network.dtype).removeprefix("torch."),
    )
    starts = itertools.count(0, chunk)
    seconds = 0.0
    for _ in range(2):
        left = 0
        started = time.perf_counter()
        while not left:
            start = next(starts)
            pts = tuple(range(start, start + chunk))
            noise = torch.rand(chunk, 3, *size, device=device)  # nothing of it stands still
            part = Chunk(frames=noise, pts=pts, time_base=Fraction(1, 25))
            left = sum(map(len, timed.push(part)))
        wait_for(device)
        seconds = time.perf_counter() - started
    return seconds


def duration_text(seconds: float) -> str:
    """Hours, minutes and seconds: ``0:03:10``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
