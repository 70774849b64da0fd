"""Speed of a network as a stream, next to the machine's convolution rate."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vsr.engine.device_transfer import wait_for
from vsr.engine.memory import forget_device_peak, peak_device_bytes, peak_host_bytes
from vsr.models.architecture_table import build_network
from vsr.models.catalogue import MODELS
from vsr.models.layers.blocks import channels_last, conv3x3
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.ops.int8_conv import HIGHEST, Int8Conv, to_levels, unsigned
from vsr.models.placement import place
from vsr.restorer import Restorer
from vsr.types import Chunk

WARM_UP_STEPS = 2
REFERENCE_FEATURES = 64
"""Width of the convolution that measures the machine: 3x3, as in the networks' trunks."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One network at one size on one device.

    Attributes:
        height: Input rows.
        width: Input columns.
        fps: Restored frames per second.
        gflop_per_frame: Floating-point operations per restored frame, in 10⁹, look-ahead included.
        tflops: Rate of the network, in 10¹² operations per second.
        machine_tflops: Rate of a lone convolution in the same precision at the same size.
        peak_memory_bytes: Largest resident size of the process so far.
        peak_device_bytes: Most memory held on a CUDA device while the network was timed.
    """

    model: str
    height: int
    width: int
    device: str
    precision: str
    chunk: int
    look_ahead: int
    fps: float
    gflop_per_frame: float
    tflops: float
    machine_tflops: float
    peak_memory_bytes: int
    peak_device_bytes: int | None


def network_of(name: str) -> Network[Any]:
    """A network of the catalogue, with random weights if it needs a file: speed ignores them."""
    if name in MODELS and MODELS[name].needs_weights:
        return build_network(MODELS[name].architecture, MODELS[name].options)
    return load_network(name)


def measure(
    name: str,
    network: Network[Any],
    *,
    height: int,
    width: int,
    chunk: int | None = None,
    look_ahead: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    seconds: float = 5.0,
) -> Measurement:
    """Time a network as a stream.

    Args:
        name: Name of the network in the result.
        network: Any network.
        height: Input rows.
        width: Input columns.
        chunk: See ``Restorer``.
        look_ahead: See ``Restorer``, in frames.
        device: See ``Restorer``.
        precision: See ``Restorer``.
        seconds: Minimum duration, after warming up.
    """
    placed, where = place(network, device=device, precision=precision)
    restorer = Restorer(
        placed, chunk=chunk, look_ahead=look_ahead, device=str(where), precision=_name(placed.dtype)
    )
    forget_device_peak(where)
    fps = _stream_rate(restorer, height, width, seconds)
    device_peak = peak_device_bytes(where)
    # Counted in float32: fused convolutions are invisible to the counter.
    counted = Restorer(
        network, chunk=chunk, look_ahead=look_ahead, device=str(where), precision="float32"
    )
    gflop = _gflop_per_frame(counted, height, width)
    return Measurement(
        model=name,
        height=height,
        width=width,
        device=str(where),
        precision=_name(placed.dtype),
        chunk=restorer.chunk,
        look_ahead=restorer.look_ahead or 0,
        fps=round(fps, 2),
        gflop_per_frame=round(gflop, 2),
        tflops=round(fps * gflop / 1e3, 3),
        machine_tflops=round(convolution_rate(where, placed.dtype, height, width), 3),
        peak_memory_bytes=peak_host_bytes(),
        peak_device_bytes=device_peak,
    )


def convolution_rate(device: torch.device, dtype: torch.dtype, height: int, width: int) -> float:
    """10¹² operations per second of one 3x3 convolution, 64 features, channels-last."""
    with torch.inference_mode():
        convolve = _convolution(device, dtype, height, width)
        calls = _calls_per_second(convolve, device, 0.5)
    return calls * 2 * 9 * REFERENCE_FEATURES**2 * height * width / 1e12


def _convolution(
    device: torch.device, dtype: torch.dtype, height: int, width: int
) -> Callable[[], Tensor]:
    conv = conv3x3(REFERENCE_FEATURES, REFERENCE_FEATURES).to(device)
    image = channels_last(torch.rand(1, REFERENCE_FEATURES, height, width, device=device))
    if dtype == torch.int8:
        whole = Int8Conv(conv, torch.ones(REFERENCE_FEATURES))
        levels = unsigned(to_levels(image.mul_(HIGHEST)))
        return lambda: whole.relu_levels(levels)
    image, kernel = image.to(dtype), channels_last(conv.weight.detach().to(dtype))
    return lambda: F.conv2d(image, kernel, padding=1)


def _stream_rate(restorer: Restorer, height: int, width: int, seconds: float) -> float:
    noise = _noise(restorer, height, width)
    for _ in range(WARM_UP_STEPS):
        _next_step(restorer, noise)
    wait_for(restorer.device)
    started, frames = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds or not frames:
        frames += sum(len(chunk) for chunk in restorer.push(next(noise)))
        wait_for(restorer.device)
    return frames / elapsed


def _gflop_per_frame(restorer: Restorer, height: int, width: int) -> float:
    """GFLOP a frame of a step that has a state: the second step."""
    noise = _noise(restorer, height, width)
    _next_step(restorer, noise)
    with FlopCounterMode(display=False) as counter:
        frames = _next_step(restorer, noise)
    return float(counter.get_total_flops()) / frames / 1e9


def _next_step(restorer: Restorer, noise: Iterator[Chunk]) -> int:
    """Push until frames are emitted, more than once with a long look-ahead; their number."""
    while not (left := restorer.push(next(noise))):
        pass
    return sum(len(chunk) for chunk in left)


def _noise(restorer: Restorer, height: int, width: int) -> Iterator[Chunk]:
    """The same noise in every chunk: zeros would run faster than pictures do."""
    num_frames = restorer.chunk
    frames: Tensor = torch.rand(num_frames, 3, height, width, device=restorer.device)
    for start in itertools.count(0, num_frames):
        pts = tuple(range(start, start + num_frames))
        yield Chunk(frames=frames, pts=pts, time_base=Fraction(1, 25))


def _calls_per_second(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    for _ in range(3):
        call()
    wait_for(device)
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for _ in range(10):
            call()
        calls += 10
        wait_for(device)
    return calls / (time.perf_counter() - started)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
