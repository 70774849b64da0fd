"""One program restoring frames, in a process of its own: what ``benchmarks.peers`` starts.

The Python that runs this is the other program's own where the user names one, so that nothing of
this project is imported but for ``vsr`` itself. The one argument is JSON; printed is JSON, too.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

Frames = Any
"""(T, 3, H, W), float32, RGB in [0, 1]."""

Restore = Callable[[Frames], Iterator[Frames]]
"""Gives restored frames (3, H, W) as soon as the program has them; what is not kept is free."""

BASICSR = {
    "basicvsr": ("basicvsr_arch", "BasicVSR", {}),
    "basicvsrpp": ("basicvsrpp_arch", "BasicVSRPlusPlus", {"num_feat": "mid_channels"}),
    "iconvsr": ("basicvsr_arch", "IconVSR", {"refill": ""}),
    "edvr": ("edvr_arch", "EDVR", {}),
    "rrdbnet": ("rrdbnet_arch", "RRDBNet", {"num_grow": "num_grow_ch"}),
    "srvgg": ("srvgg_arch", "SRVGGNetCompact", {"scale": "upscale", "activation": "act_type"}),
}
"""BasicSR's module and class of a network, and its names of our options where they differ; empty
where it has none."""

MMAGIC = {
    "basicvsr": (
        "basicvsr.basicvsr_net",
        "BasicVSRNet",
        {"num_feat": "mid_channels", "num_block": "num_blocks"},
    ),
    "basicvsrpp": (
        "basicvsr_plusplus_net.basicvsr_plusplus_net",
        "BasicVSRPlusPlusNet",
        {"num_feat": "mid_channels", "num_block": "num_blocks"},
    ),
    "rrdbnet": (
        "esrgan.rrdb_net",
        "RRDBNet",
        {"num_feat": "mid_channels", "num_block": "num_blocks", "num_grow": "growth_channels",
         "scale": "upscale_factor"},
    ),
}  # fmt: skip
"""The same of mmagic's, below ``mmagic.models.editors``."""

SINGLE = frozenset({"rrdbnet", "srvgg"})
"""Networks that take frames one by one."""

CHANNELS = {"basicsr": ("num_in_ch", "num_out_ch"), "mmagic": ("in_channels", "out_channels")}
"""Names of what a picture network asks for beside our options."""


def basicsr(asked: dict[str, Any]) -> Restore:
    """A network of BasicSR, from its checkout or package."""
    # Its own __init__ also imports training and data, with all that these need.
    _without_init("basicsr")
    _without_init("basicsr.archs")
    module, name, renamed = BASICSR[asked["architecture"]]
    return _torch_network(f"basicsr.archs.{module}", name, renamed, asked)


def mmagic(asked: dict[str, Any]) -> Restore:
    """A network of mmagic, whose requirements are installed."""
    module, name, renamed = MMAGIC[asked["architecture"]]
    return _torch_network(f"mmagic.models.editors.{module}", name, renamed, asked)


def ncnn(asked: dict[str, Any]) -> Restore:
    """A network's two files by ncnn on the CPU, frame by frame."""
    library: Any = importlib.import_module("ncnn")
    net = library.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = asked["threads"]
    path = asked["weights"]
    if net.load_param(path) or net.load_model(path.removesuffix(".param") + ".bin"):
        raise SystemExit(f"ncnn cannot read '{path}'")

    def restore(frames: Frames) -> Iterator[Frames]:
        for frame in frames:
            run = net.create_extractor()
            run.input(net.input_names()[0], library.Mat(np.ascontiguousarray(frame)))
            yield np.array(run.extract(net.output_names()[0])[1])

    return restore


def vsr(asked: dict[str, Any]) -> Restore:
    """A network of ours as a stream."""
    from fractions import Fraction

    import torch

    from vsr.models.loading import load_network
    from vsr.restorer import Restorer
    from vsr.types import Chunk

    look_ahead = {} if asked["look_ahead"] is None else {"look_ahead": asked["look_ahead"]}
    restorer = Restorer(load_network(asked["weights"]), precision=asked["precision"], **look_ahead)

    def restore(frames: Frames) -> Iterator[Frames]:
        times = range(len(frames))
        for i in times:
            entering = Chunk(
                frames=torch.from_numpy(frames[i : i + 1]), pts=(i,), time_base=Fraction(1, 25)
            )
            for part in restorer.push(entering):
                yield from part.frames.numpy()
        for part in restorer.drain():
            yield from part.frames.numpy()

    return restore


PROGRAMS = {"basicsr": basicsr, "mmagic": mmagic, "ncnn": ncnn, "vsr": vsr}


def _without_init(name: str) -> None:
    """Make a package importable whose own code is not run."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit(f"{name} is not installed; name its checkout, or a Python that has it")
    package = ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[name] = package


def _torch_network(
    module: str, name: str, renamed: dict[str, str], asked: dict[str, Any]
) -> Restore:
    """A network of PyTorch with its weights, in float32; whole clips, or frame by frame."""
    import torch

    named = {renamed.get(key, key): value for key, value in asked["options"].items()}
    options = {name: value for name, value in named.items() if name}
    single = asked["architecture"] in SINGLE
    if single:
        options |= dict.fromkeys(CHANNELS[asked["program"]], 3)
    network = getattr(importlib.import_module(module), name)(**options)
    network.load_state_dict(torch.load(asked["weights"], weights_only=True))
    network.eval()

    def restore(frames: Frames) -> Iterator[Frames]:
        clip = torch.from_numpy(frames)
        with torch.inference_mode():
            if single:
                yield from (network(frame[None])[0].numpy() for frame in clip)
            elif asked["architecture"] == "edvr":
                windows = _windows(len(clip), options["num_frame"])
                yield from (network(clip[window][None])[0].numpy() for window in windows)
            else:
                yield from network(clip[None])[0].numpy()

    return restore


def _windows(num_frames: int, size: int) -> Iterator[list[int]]:
    """The frames around each, which at the ends are taken from the other side of the window."""
    last, radius = num_frames - 1, size // 2
    for middle in range(num_frames):
        around = range(middle - radius, middle + radius + 1)
        before = [middle + radius - i if i < 0 else i for i in around]
        yield [middle - radius - (i - last) if i > last else i for i in before]


def _threads(number: int) -> None:
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(number)


def main() -> None:
    """Restore the first half of the frames some times, then all; print seconds and memory."""
    asked = json.loads(sys.argv[1])
    sys.path[:0] = asked["paths"]
    _threads(asked["threads"])
    frames = np.load(asked["frames"])
    half = frames[: len(frames) // 2]
    restore = PROGRAMS[asked["program"]](asked)
    costs = [_cost(restore, half) for _ in range(asked["rounds"])]
    peaks = [_peak_bytes()]
    _cost(restore, frames)
    peaks.append(_peak_bytes())
    if asked["out"]:
        np.save(asked["out"], np.stack(list(restore(half))))
    wall, cpu = (min(cost) for cost in zip(*costs, strict=True))
    print(json.dumps({"seconds": wall, "cpu_seconds": cpu, "peak_bytes": peaks}))


def _cost(restore: Restore, frames: Frames) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    for _frame in restore(frames):
        pass
    return time.perf_counter() - clock, time.process_time() - processor


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
