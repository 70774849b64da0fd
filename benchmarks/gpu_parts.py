"""The parts of ``benchmarks.gpu``, each of which prints a table.

python -m benchmarks.gpu_parts graphs OUT --device cuda
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import click
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.parts import measure, render, vsr_words
from vsr.cli.parameters import Size
from vsr.cli.tables import print_table
from vsr.engine.device_transfer import Transfer, restored_copy, wait_for
from vsr.errors import VSRError
from vsr.evaluation.speed import network_of
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.models.state_tree import named_tensors, rebuild
from vsr.streams.encode.encoders import encoder_formats
from vsr.types import Chunk

CHUNK, LOOK_AHEAD = 8, 4
NETWORKS = (
    "compact-x4",
    "compact-x2-video",
    "unet-x1-video",
    "basicvsr",
    "iconvsr",
    "edvr",
    "basicvsrpp",
)
PROFILED = ("compact-x4", "basicvsr")
PRECISIONS = ("float32", "bfloat16", "float16")
DEVICE_ENCODERS = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a part is told.

    Attributes:
        out: Folder of files that are no tables.
        device: Device of the networks.
        seconds: Length of each measurement.
        height: Rows of the frames.
        width: Columns of the frames.
    """

    out: Path
    device: torch.device
    seconds: float
    height: int = 180
    width: int = 320

    def network(self, name: str, precision: str = "auto") -> Network[Any]:
        """A network on the device; without its weights, one with random ones."""
        placed, _ = place(network_of(name), device=str(self.device), precision=precision)
        return placed

    def window(self, batch: int = 1, frames: int = CHUNK + LOOK_AHEAD) -> Tensor:
        """Frames on the device: (B, T, 3, H, W)."""
        generator = torch.Generator().manual_seed(0)
        frames_BTCHW = torch.rand(batch, frames, 3, self.height, self.width, generator=generator)
        return frames_BTCHW.to(self.device)

    def rate(self, call: Callable[[], object]) -> float:
        """Calls a second, after two that do not count."""
        for _ in range(2):
            call()
        wait_for(self.device)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < self.seconds or not count:
            call()
            wait_for(self.device)
            count += 1
        return count / (time.perf_counter() - began)


def networks(bench: Bench) -> None:
    """Every network in every precision, beside the device's rate of convolution."""
    words = [sys.executable, "-m", "vsr", "bench", f"--size={bench.width}x{bench.height}"]
    words += [f"--device={bench.device}", f"--seconds={bench.seconds}"]
    words += [f"--model={name}" for name in NETWORKS]
    words += [f"--precision={name}" for name in PRECISIONS]
    subprocess.run(words, check=True)


def graphs(bench: Bench) -> None:
    """A step replayed from a CUDA graph against the same step launched operation by operation."""
    rows = []
    for name in NETWORKS:
        network = bench.network(name)
        eager = Steps(network, bench.window())
        rate = bench.rate(eager.step)
        try:
            replayed = graph_rate(bench, network)
        except (RuntimeError, VSRError) as error:
            rows.append((name, f"{CHUNK * rate:.1f}", str(error).splitlines()[0][:40], ""))
            continue
        rows.append((name, f"{CHUNK * rate:.1f}", f"{CHUNK * replayed:.1f}", ratio(replayed, rate)))
    print_table(("network", "eager, frames/s", "graph", "times"), rows)


class Steps:
    """Steps of a network one after the other over the same window.

    Args:
        network: On its device.
        window_BTCHW: (B, T, 3, H, W).
    """

    def __init__(self, network: Network[Any], window_BTCHW: Tensor) -> None:
        self._network, self._window, self.state = network, window_BTCHW, None

    @torch.inference_mode()
    def step(self) -> Tensor:
        """One step, from the state of the one before."""
        restored, self.state = self._network.step(
            self._window, self.state, min(CHUNK, self._window.shape[1]), ends_scene=False
        )
        return restored


@torch.inference_mode()
def graph_rate(bench: Bench, network: Network[Any]) -> float:
    """Steps a second of a captured step, which must restore what an eager one does.

    Raises:
        RuntimeError: The step cannot be captured, or restores something else.
        VSRError: The device has no graphs.
    """
    if bench.device.type != "cuda":
        raise VSRError("needs CUDA")
    window = bench.window()
    steps = Steps(network, window)
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(aside):
        for _ in range(3):
            steps.step()
    torch.cuda.current_stream().wait_stream(aside)
    state = rebuild(steps.state, Tensor.clone)
    expected, _ = network.step(window, state, CHUNK, ends_scene=False)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        restored, after = network.step(window, state, CHUNK, ends_scene=False)
        pairs = zip(named_tensors(state), named_tensors(after), strict=True)
        kept = [(old, new.clone()) for (_, old), (_, new) in pairs]
        for old, new in kept:
            old.copy_(new)
    graph.replay()
    wait_for(bench.device)
    if (error := float((restored - expected).abs().max())) > 1e-2:
        raise RuntimeError(f"the graph's result differs by {error:.2g}")
    return bench.rate(graph.replay)


def layouts(bench: Bench) -> None:
    """Convolution with weights and features channels-last against contiguous ones."""
    rows = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        rates = []
        for layout in (torch.contiguous_format, torch.channels_last):
            convolve = torch.nn.Conv2d(64, 64, 3, padding=1).to(bench.device, dtype)
            convolve = convolve.to(memory_format=layout)  # type: ignore[call-overload]
            feat = torch.rand(1, 64, bench.height, bench.width, device=bench.device, dtype=dtype)
            feat = feat.contiguous(memory_format=layout)
            with torch.inference_mode():
                rates.append(bench.rate(lambda c=convolve, f=feat: c(f)))  # type: ignore[misc]
        rows.append((str(dtype)[6:], *(f"{rate:.0f}" for rate in rates), ratio(*rates[::-1])))
    print_table(("type", "contiguous, calls/s", "channels-last", "times"), rows)


def batches(bench: Bench) -> None:
    """Several streams of one network: joint steps, and steps on CUDA streams of their own."""
    rows = []
    for name in PROFILED:
        network = bench.network(name)
        alone = bench.rate(Steps(network, bench.window()).step)
        for count in (2, 4, 8):
            joint = count * bench.rate(Steps(network, bench.window(batch=count)).step)
            apart = count * bench.rate(on_streams(bench, network, count))
            rates = (f"{CHUNK * rate:.1f}" for rate in (alone, joint, apart))
            rows.append((name, str(count), *rates))
    print_table(("network", "streams", "one, frames/s", "joint steps", "CUDA streams"), rows)


def on_streams(bench: Bench, network: Network[Any], count: int) -> Callable[[], None]:
    """A step of each of several streams, on CUDA streams of their own."""
    every = [Steps(network, bench.window()) for _ in range(count)]
    is_cuda = bench.device.type == "cuda"
    lanes = [torch.cuda.Stream() if is_cuda else None for _ in every]  # type: ignore[no-untyped-call]

    def step() -> None:
        for one, lane in zip(every, lanes, strict=True):
            with torch.cuda.stream(lane):  # without one, where that is all there is
                one.step()

    return step


def deform(bench: Bench) -> None:
    """Deformable convolution by each backend that is installed, over EDVR-M's features."""
    from benchmarks.deform import make_pass

    rows = []
    for backend in ("torch", "torchvision", "mmcv"):
        for layout in ("contiguous", "channels-last"):
            call = make_pass(
                backend, layout, (bench.height, bench.width), 64, 8, device=bench.device
            )
            if call is not None:
                with torch.inference_mode():
                    rows.append((backend, layout, f"{1000 / bench.rate(call):.2f}"))
    print_table(("backend", "layout", "ms a pass"), rows)


def transfers(bench: Bench) -> None:
    """Frames of 1280x720 sent up and 5120x2880 fetched, as the pipeline does it."""
    up, down = Transfer(bench.device), Transfer(bench.device)
    rows = []
    for name, shape in (("720p", (8, 3, 720, 1280)), ("2880p", (2, 3, 2880, 5120))):
        here = torch.rand(shape)
        chunk = Chunk(frames=here, pts=tuple(range(len(here))), time_base=Fraction(1, 25))
        there = up.up(chunk).take()
        sent = bench.rate(lambda c=chunk: up.up(c).take())  # type: ignore[misc]
        fetched = bench.rate(lambda c=there: down.down(restored_copy(c)))  # type: ignore[misc]
        size = here.nbytes / 1e9
        rows.append((name, f"{sent * size:.2f}", f"{fetched * size:.2f}"))
    print_table(("frames", "up, GB/s", "down, GB/s"), rows)


def codecs(bench: Bench) -> None:
    """Whole runs that decode and encode on the device, where it can."""
    with TemporaryDirectory() as name:
        source = render(Path(name) / "source.mp4", f"{bench.width}x{bench.height}", 200)
        rows = [whole_run(bench, source, "libx264", "")]
        rows.append(whole_run(bench, source, "libx264", "auto"))
        for encoder in DEVICE_ENCODERS:
            try:
                encoder_formats(encoder)
                rows.append(whole_run(bench, source, encoder, "auto"))
            except (VSRError, subprocess.CalledProcessError) as error:
                rows.append((encoder, "auto", f"not here ({type(error).__name__})"))
    print_table(("encoder", "--hwaccel", "frames/s, start included"), rows)


def whole_run(bench: Bench, source: Path, encoder: str, hwaccel: str) -> tuple[str, str, str]:
    """A line of ``codecs``."""
    words = vsr_words(source, source.with_name("target.mkv"), "--model", "compact-x4")
    words += ["--device", str(bench.device), "--encoder", encoder]
    words += ["--hwaccel", hwaccel] if hwaccel else []
    return encoder, hwaccel or "none", f"{200 / measure(words).wall:.1f}"


def end_to_end(bench: Bench) -> None:
    """The whole pipeline beside the network alone, which takes the device that is there."""
    module = ["-m", "benchmarks.end_to_end", "--rounds", "1", "--frames", "640"]
    module += ["--size", f"{bench.width}x{bench.height}"]
    subprocess.run([sys.executable, *module], check=True)


def profiles(bench: Bench) -> None:
    """Operators of a step by the time that they take; traces for a browser lie in the folder."""
    kinds = [ProfilerActivity.CPU]
    order = "self_cpu_time_total"
    if bench.device.type == "cuda":
        kinds.append(ProfilerActivity.CUDA)
        order = "self_cuda_time_total"
    for name in PROFILED:
        steps = Steps(bench.network(name), bench.window())
        for _ in range(3):
            steps.step()
        with profile(activities=kinds) as found:
            steps.step()
            wait_for(bench.device)
        found.export_chrome_trace(str(bench.out / f"{name}.trace.json"))
        print(name, found.key_averages().table(sort_by=order, row_limit=15), sep="\n")


def ratio(one: float, other: float) -> str:
    """How many times as fast."""
    return f"{one / other:.2f}"


PARTS: Mapping[str, Callable[[Bench], None]] = MappingProxyType(
    {
        part.__name__.replace("_", "-"): part
        for part in (
            networks,
            graphs,
            batches,
            transfers,
            deform,
            layouts,
            end_to_end,
            codecs,
            profiles,
        )
    }
)


@click.command()
@click.argument("part", type=click.Choice(list(PARTS)))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--device", default="cuda", show_default=True)
@click.option("--seconds", default=1.0, show_default=True)
@click.option("--size", type=Size(), default="320x180", show_default=True)
def main(part: str, out: Path, device: str, seconds: float, size: tuple[int, int]) -> None:
    """Print one part's table."""
    height, width = size
    where = torch.device(device)
    PARTS[part](Bench(out=out, device=where, seconds=seconds, height=height, width=width))


if __name__ == "__main__":
    main()
