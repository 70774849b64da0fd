"""Memory of one step, computed in advance.

A network is run on PyTorch's meta device, where tensors have shapes and no data, at the true
size of the frames, and the bytes of all tensors alive at once are followed from operation to
operation. That gives each network's cost in bytes per pixel and frame without a table to maintain,
for any width, precision and scale, in a tenth of a second. Memory that a library needs inside one
operation is not seen; ``OVERHEAD`` accounts for it (`python -m benchmarks.memory` measures it).

T time, H, W size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from vsr.engine.live_tensors import LiveTensors, remember_calls
from vsr.engine.settings import Settings
from vsr.engine.tiling import spans
from vsr.models.network import Network
from vsr.models.state_tree import named_tensors

OVERHEAD = 1.08
"""Ratio of measured to estimated bytes per step on a CPU; chosen so that the cases of
`python -m benchmarks.memory` come out right."""

LONGEST_SCENE = 250
"""Frames assumed for a look-ahead to the end of the scene: ten seconds."""

FLOAT = 4
"""Bytes of a value of a frame."""

FAR, NEARER = 45, 40
"""Look-ahead in frames beyond which each further frame is taken to cost what the last ones do: a
multiple of IconVSR's stride of key frames apart. Up to 35 frames BasicVSR's peak is at its output's
size, and a frame of look-ahead costs a seventh of what it costs beyond."""

MANY, FEWER = 36, 32
"""The same of the frames of a chunk: no plan takes longer because somebody asks for 1,000. Measured
against steps of 300 frames: 0.91 (basicvsrpp) to 1.57 (basicvsr) times their memory."""

PAST = 6
"""Frames after which a state is as large as it gets."""

PROBE = 64
"""Side of the frames on which networks are tried that look at values, not only at sizes."""


def step_bytes(
    steps: Steps,
    settings: Settings,
    height: int,
    width: int,
    batch: int = 1,
    *,
    by_area: bool = False,
) -> int:
    """Peak device memory of a step: window, state, features, output.

    Args:
        steps: Memory of the network in its final precision.
        settings: Step sizes.
        height: Rows of a frame.
        width: Columns of a frame.
        batch: Number of streams in a joint step.
        by_area: Estimate the memory of a tile as its share of a whole frame's: a little too low
            where networks pad their input to multiples, and quick for tiles of many sizes.
    """
    network = steps.network
    scale = network.facts.scale
    ahead = LONGEST_SCENE if settings.look_ahead is None else settings.look_ahead
    radius = network.facts.receptive_radius
    sides = zip((height, width), settings.tiles, strict=True)
    rows, columns = (spans(side, count, radius) for side, count in sides)
    tile = [max(span.end - span.start for span in along) for along in (rows, columns)]
    followed = [height, width] if by_area else tile
    share = tile[0] * tile[1] / (followed[0] * followed[1])
    peak, state = (
        share * of_followed
        for of_followed in steps.extrapolated(batch, settings.chunk, ahead, followed)
    )
    frame = 3 * FLOAT * batch * height * width
    window, result = (settings.chunk + ahead) * frame, settings.chunk * frame * scale**2
    num_tiles = len(rows) * len(columns)
    if num_tiles > 1:
        # Besides the tile at work: the others' states, old and new, all frames, and the result.
        peak += 2 * (num_tiles - 1) * state + window + result
    if batch > 1:
        # At the end the result and the new states are there twice.
        peak = max(peak, window + 3 * num_tiles * state + 2 * result)
    return round(OVERHEAD * peak)


def look_bytes(steps: Steps, height: int, width: int) -> int:
    """Memory of a step with one frame and one of look-ahead; arguments as of ``step_bytes``."""
    peak, _ = steps.peak(1, 1, 1, height, width)
    return round(OVERHEAD * peak)


def weight_bytes(network: nn.Module) -> int:
    """Memory of parameters and buffers."""
    return sum(t.untyped_storage().nbytes() for t in (*network.parameters(), *network.buffers()))


def _on_meta_device(network: Network[Any]) -> Network[Any]:
    """A copy on the meta device, made without copying weights."""
    emptied: dict[int, Any] = {}
    for tensor in (*network.parameters(), *network.buffers()):
        empty = torch.empty_like(tensor, device="meta")
        keeps = isinstance(tensor, nn.Parameter)
        emptied[id(tensor)] = nn.Parameter(empty, requires_grad=False) if keeps else empty
    return copy.deepcopy(network, emptied)


class Steps:
    """Steps of one network, whose memory is followed without a value being computed.

    Args:
        network: On any device; not changed. Its copy is used again and again: calls of the same
            shapes are remembered.
    """

    def __init__(self, network: Network[Any]) -> None:
        self.network, self._hollow = network, _on_meta_device(network)
        self._living = LiveTensors()
        self._peaks: dict[tuple[int, ...], tuple[float, float]] = {}
        self._pasts: dict[tuple[int, ...], Any] = {}
        remember_calls(self._hollow, self._living)

    def peak(self, *sizes: int) -> tuple[float, float]:
        """Peak bytes of a step with a past, and bytes of its state.

        Args:
            sizes: Streams, frames to restore, look-ahead, height and width.
        """
        if sizes not in self._peaks:
            try:
                self._peaks[sizes] = _follow(self._hollow, self._living, sizes, "meta", self._pasts)
            except (NotImplementedError, RuntimeError):
                # A network that decides by what it sees cannot run without contents.
                self._peaks[sizes] = _probe(self.network, sizes, PROBE)
        return self._peaks[sizes]

    def extrapolated(
        self, batch: int, chunk: int, ahead: int, tile: Sequence[int]
    ) -> tuple[float, float]:
        """Peak and state, extrapolated from steps of at most ``MANY`` + ``FAR`` frames."""
        most, farthest = min(chunk, MANY), min(ahead, FAR)
        measured = peak, state = self.peak(batch, most, farthest, *tile)
        if ahead > FAR:
            beyond, nearer = (ahead - FAR) / (FAR - NEARER), self.peak(batch, most, NEARER, *tile)
            peak += beyond * (measured[0] - nearer[0])
            state += beyond * (measured[1] - nearer[1])
        if chunk > MANY:
            fewer, _ = self.peak(batch, FEWER, farthest, *tile)
            peak += (chunk - MANY) * (measured[0] - fewer) / (MANY - FEWER)
        return peak, state


def _probe(network: Network[Any], sizes: tuple[int, ...], side: int) -> tuple[float, float]:
    """Peak and state, extrapolated by area from a step on small frames."""
    *others, height, width = sizes
    probed = (*others, min(height, side), min(width, side))
    area = height * width / (probed[-1] * probed[-2])
    device = next((str(p.device) for p in network.parameters()), "cpu")
    peak, state = _follow(network, LiveTensors(), probed, device, {})
    return area * peak, area * state


@torch.inference_mode()
def _follow(
    network: Network[Any],
    living: LiveTensors,
    sizes: tuple[int, ...],
    device: str,
    pasts: dict[tuple[int, ...], Any],
) -> tuple[float, float]:
    """Peak and state of a step; states that it begins with are kept in ``pasts``."""
    batch, chunk, look_ahead, height, width = sizes
    # As much of a past as any step leaves; a full first step would only take longer.
    before = min(chunk, PAST)
    past = (batch, before, look_ahead, height, width)
    with living:
        if past not in pasts:
            early = torch.zeros(batch, before + look_ahead, 3, height, width, device=device)
            pasts[past] = network.step(early, None, before, ends_scene=False)[1]
            del early
        # Unlike the past: a network may skip what stands still.
        window = torch.ones(batch, chunk + look_ahead, 3, height, width, device=device)
        storages = {
            t.untyped_storage()._cdata: t.untyped_storage() for _, t in named_tensors(pasts[past])
        }
        held = sum(storage.nbytes() for storage in storages.values())
        # Other states, and what a network keeps of its first step, such as weights in another
        # layout, are no part of this step.
        kept = max(0, living.now - window.untyped_storage().nbytes() - held)
        living.peak = living.now
        network.step(window, pasts[past], chunk, ends_scene=False)
    return float(living.peak - kept), float(held)
