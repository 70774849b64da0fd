"""``vsr bench``."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vsr.cli.parameters import PRECISIONS, Size, complete_model
from vsr.cli.startup import loading
from vsr.cli.tables import print_table
from vsr.models.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from vsr.evaluation.speed import Measurement

HEADINGS = (
    "model",
    "input",
    "device",
    "precision",
    "chunk+ahead",
    "frames/s",
    "GFLOP/frame",
    "TFLOP/s",
    "conv TFLOP/s",
    "peak MiB",
)


@click.command()
@click.option(
    "-m",
    "--model",
    "names",
    multiple=True,
    default=(DEFAULT_MODEL,),
    show_default=True,
    shell_complete=complete_model,
    help="May be given several times; a network without weights runs with random ones.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=Size(),
    default=("320x180",),
    show_default=True,
    help="Input size; may be given several times.",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    default=("auto",),
    show_default=True,
    type=click.Choice(PRECISIONS),
)
@click.option("--device", "devices", multiple=True, default=("auto",), show_default=True)
@click.option("--chunk", type=click.IntRange(min=1), help="See `vsr restore`.")
@click.option("--look-ahead", type=click.IntRange(min=0), help="Frames after a chunk that it sees.")
@click.option("--seconds", default=5.0, show_default=True, help="Per measurement.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line per measurement.")
def bench(
    names: tuple[str, ...],
    sizes: tuple[tuple[int, int], ...],
    precisions: tuple[str, ...],
    devices: tuple[str, ...],
    chunk: int | None,
    look_ahead: int | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure frames per second and peak memory, next to the machine's convolution rate.

    \b
    vsr bench --model compact-x4 --model basicvsr --size 320x180 --size 640x360
    """
    with loading():
        from vsr.evaluation.speed import measure, network_of
    measured = []
    for name in names:
        network = network_of(name)
        for (height, width), precision, device in itertools.product(sizes, precisions, devices):
            one = measure(
                name,
                network,
                height=height,
                width=width,
                chunk=chunk,
                look_ahead=look_ahead,
                device=device,
                precision=precision,
                seconds=seconds,
            )
            measured.append(one)
            if as_json:
                click.echo(json.dumps(asdict(one)))
    if not as_json:
        print_table(HEADINGS, [_row(one) for one in measured])


def _row(one: Measurement) -> tuple[str, ...]:
    """A measurement as a row of the table."""
    peak = one.peak_memory_bytes if one.peak_device_bytes is None else one.peak_device_bytes
    return (
        one.model,
        f"{one.width}x{one.height}",
        one.device,
        one.precision,
        f"{one.chunk}+{one.look_ahead}",
        f"{one.fps:.1f}",
        f"{one.gflop_per_frame:.1f}",
        f"{one.tflops:.2f}",
        f"{one.machine_tflops:.2f}",
        f"{peak / 2**20:.0f}",
    )
