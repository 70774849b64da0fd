"""Deformable convolution, ours against mmcv's: ``python -m benchmarks.deform``.

Forward passes in float32 over the features of a 320x180 frame as EDVR-M has them: 64 features, 8
groups, 3x3. The backends take turns, and the fastest of each one's passes counts. EDVR's layout is
channels-last; contiguous is mmcv's. CPU time is the process's, of all threads together: on a
machine that has other work too, it is the steadier figure.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import torch
from torch import Tensor

from vsr.cli.tables import print_table
from vsr.errors import MissingDependency
from vsr.models.ops.deform_conv import load_backend

Pass = Callable[[], Tensor]


@click.command()
@click.option("--size", default="320x180", show_default=True, metavar="WxH")
@click.option("--features", default=64, show_default=True)
@click.option("--groups", default=8, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--threads", type=int, default=None, help="Of torch; as many as there are cores.")
def main(size: str, features: int, groups: int, rounds: int, threads: int | None) -> None:
    """Print milliseconds a pass, and how many times as fast as mmcv that is."""
    if threads is not None:
        torch.set_num_threads(threads)
    width, height = (int(side) for side in size.split("x"))
    passes = {
        f"{backend}, {layout}": one
        for backend in ("mmcv", "torch")
        for layout in ("contiguous", "channels-last")
        if (one := make_pass(backend, layout, (height, width), features, groups))
    }
    if not any(name.startswith("mmcv") for name in passes):
        click.echo(
            "mmcv with its ops is not installed: `make test-mmcv` makes .venv-mmcv", err=True
        )
    best = measure(passes, rounds)
    slow = best.get("mmcv, contiguous", (float("nan"),) * 2)
    print_table(
        ("backend", "wall, ms", "times mmcv", "CPU, ms", "times mmcv"),
        [
            (
                name,
                *(
                    word
                    for ours, theirs in zip(one, slow, strict=True)
                    for word in (f"{1000 * ours:.1f}", f"{theirs / ours:.2f}")
                ),
            )
            for name, one in best.items()
        ],
    )
    print(f"{features} features, {groups} groups, {size}, {torch.get_num_threads()} threads")


def make_pass(
    backend: str,
    layout: str,
    size: tuple[int, int],
    features: int,
    groups: int,
    device: torch.device | str = "cpu",
) -> Pass | None:
    """A forward pass over random features; None if the backend is not installed."""
    try:
        convolve = load_backend(backend)
    except MissingDependency:
        return None
    generator = torch.Generator().manual_seed(0)
    memory_format = {
        "contiguous": torch.contiguous_format,
        "channels-last": torch.channels_last,
    }[layout]

    def drawn(channels: int) -> Tensor:
        image = torch.randn(1, channels, *size, generator=generator)
        return image.to(device).contiguous(memory_format=memory_format)

    feat, offset, mask = drawn(features), 2 * drawn(18 * groups), drawn(9 * groups).sigmoid()
    weight = torch.randn(features, features, 3, 3, generator=generator) / (3 * features**0.5)
    weight, bias = weight.to(device), torch.zeros(features, device=device)
    return lambda: convolve(feat, offset, mask, weight, bias)


def measure(passes: dict[str, Pass], rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds of the fastest pass of each: wall time, CPU time."""
    best = dict.fromkeys(passes, (float("inf"), float("inf")))
    with torch.inference_mode():
        for _ in range(rounds + 1):
            for name, one in passes.items():
                wall, cpu = time.perf_counter(), time.process_time()
                one()
                taken = time.perf_counter() - wall, time.process_time() - cpu
                best[name] = min(best[name][0], taken[0]), min(best[name][1], taken[1])
    return best


if __name__ == "__main__":
    main()
