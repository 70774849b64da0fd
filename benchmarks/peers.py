"""Other programs next to this one: ``python -m benchmarks.peers --basicsr CHECKOUT --ncnn``.

BasicSR's and mmagic's networks, and ncnn's Real-ESRGAN, restore the same frames as ours from the
same weights, each in a process of its own, on as many threads, one after the other. BasicSR and
mmagic are what the user has: a checkout, or the Python of an environment where they are installed;
nothing of them is here. Printed are seconds a frame by the clock and of the processor, and how many
times as fast ours is (of the processor's time, which a busy machine disturbs least); how far the
outputs are apart where both see the whole clip in float32; and the most memory that each process
held for a clip and for one of twice the length: theirs grows, since they hold all frames.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks import peer_process
from benchmarks.files import render
from vsr.cli.tables import print_table
from vsr.models.architecture_table import ARCHITECTURES
from vsr.models.catalogue import weights_path
from vsr.models.checkpoints.export import export
from vsr.models.checkpoints.key_mapping import to_openmmlab
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.ops.int8_conv import is_fast_at_int8
from vsr.models.placement import resolve_device, resolve_precision
from vsr.restorer import FULL
from vsr.streams import open_reader

HEADINGS = (
    "program",
    "precision",
    "s/frame",
    "CPU s/frame",
    "ours as fast",
    "apart, of 255",
    "MiB",
    "MiB, twice the frames",
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program and its settings.

    Attributes:
        name: A key of ``peer_process.PROGRAMS``.
        python: The interpreter.
        weights: Weights that it loads.
        precision: Words for the table; ours takes it as ``Restorer`` does.
        look_ahead: Look-ahead of ours; None for the network's own.
        paths: Folders to import from.
    """

    name: str
    python: str
    weights: str
    precision: str = "float32"
    look_ahead: int | str | None = None
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Work:
    """The task of all programs.

    Attributes:
        architecture: Kind of the network.
        options: Options of the network.
        threads: Threads of each process.
        rounds: Repetitions, of which the fastest counts.
        folder: Folder for exchanged frames.
    """

    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: int
    rounds: int
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of a program for a clip.

    Attributes:
        seconds: Wall-clock time.
        cpu_seconds: Processor time.
        peak_bytes: Peak memory, up to the end of the clip and of one twice as long.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: tuple[int, int]


@click.command()
@click.option("--model", default="realesr-animevideov3", show_default=True)
@click.option("--source", type=click.Path(path_type=Path), help="Video or folder; else rendered.")
@click.option("--size", default="96x64", show_default=True, help="Of rendered frames.")
@click.option("--frames", default=8, show_default=True)
@click.option("--basicsr", "basicsr", help="Its checkout, or a Python that has it.")
@click.option("--mmagic", "mmagic", help="The same of mmagic's.")
@click.option("--ncnn", is_flag=True, help="Image networks whose ncnn files were pulled.")
@click.option("--python", default=sys.executable, help="Runs checkouts and ncnn, if not this one.")
@click.option("--threads", default=1, show_default=True)
@click.option("--rounds", default=2, show_default=True, help="Of which the fastest counts.")
def main(
    model: str,
    source: Path | None,
    size: str,
    frames: int,
    basicsr: str | None,
    mmagic: str | None,
    ncnn: bool,
    python: str,
    threads: int,
    rounds: int,
) -> None:
    """Print a table."""
    network = load_network(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if source is None:
            source = render(folder / "source.mp4", 2 * frames, size)
        clip = read_frames(source, 2 * frames)
        work = Work(
            architecture=network.facts.name,
            options=options_of(network),
            threads=threads,
            rounds=rounds,
            folder=folder,
        )
        theirs = list(_theirs(network, model, folder, basicsr, mmagic, ncnn, python))
        print_table(HEADINGS, list(_rows(theirs, list(_ours(model, network)), clip, work)))
        print(f"{model}, {frames} frames of {clip.shape[3]}x{clip.shape[2]}, {threads} threads")


def _theirs(
    network: Network[Any],
    model: str,
    folder: Path,
    basicsr: str | None,
    mmagic: str | None,
    ncnn: bool,
    python: str,
) -> Iterator[Program]:
    """The other programs, each with its weights."""
    for name, place in (("basicsr", basicsr), ("mmagic", mmagic)):
        if place:
            weights = bare_weights(network, folder / f"{name}.pth", name)
            here = Path(place).is_dir()
            yield Program(
                name=name,
                python=python if here else place,
                weights=str(weights),
                paths=(place,) if here else (),
            )
    if ncnn:
        graph = _graph(model)
        yield Program(name="ncnn", python=python, weights=str(graph), precision="its default")


def _ours(model: str, network: Network[Any]) -> Iterator[Program]:
    """Ours on the whole clip in float32, then as a stream in all precisions that are fast here."""
    device = resolve_device("cpu")
    precisions: list[tuple[str, int | str | None]] = [("float32", FULL), ("float32", None)]
    if resolve_precision("auto", device) != torch.float32:
        precisions.append(("bfloat16", None))
    if network.has_int8 and is_fast_at_int8(device):
        precisions.append(("int8", None))
    for precision, look_ahead in precisions:
        yield Program(
            name="vsr",
            python=sys.executable,
            weights=model,
            precision=precision,
            look_ahead=look_ahead,
        )


def _rows(
    theirs: list[Program], ours: list[Program], clip: Any, work: Work
) -> Iterator[tuple[str, ...]]:
    """A row for each program, those of ours first."""
    count = len(clip) // 2
    expected: Any = None
    reference: Cost | None = None
    for program in (*ours, *theirs):
        exact = program.name != "vsr" or program.look_ahead == FULL
        cost, restored = run(program, work, clip, keep=exact)
        if expected is None:
            expected, reference = restored, cost
        assert reference is not None
        yield (
            f"{program.name}, {'whole' if exact else 'streamed'}",
            program.precision,
            f"{cost.seconds / count:.3f}",
            f"{cost.cpu_seconds / count:.3f}",
            f"{cost.cpu_seconds / reference.cpu_seconds:.2f}",
            "-" if restored is None else f"{255 * np.abs(restored - expected).max():.3f}",
            *(f"{peak / 2**20:.0f}" for peak in cost.peak_bytes),
        )


def run(program: Program, work: Work, frames: Any, *, keep: bool) -> tuple[Cost, Any]:
    """Start a program.

    Args:
        program: The program.
        work: Its task.
        frames: (2 T, 3, H, W), float32, RGB in [0, 1]; the first half is what is timed.
        keep: Whether to return that half restored, (T, 3, H, W), else None.

    Raises:
        click.ClickException: It ended with an error; its last line.
    """
    entering, leaving = (work.folder / name for name in ("frames.npy", "restored.npy"))
    np.save(entering, frames)
    asked = {
        "program": program.name,
        "architecture": work.architecture,
        "options": dict(work.options),
        "weights": program.weights,
        "precision": program.precision,
        "look_ahead": program.look_ahead,
        "paths": program.paths,
        "threads": work.threads,
        "rounds": work.rounds,
        "frames": str(entering),
        "out": str(leaving) if keep else "",
    }
    command = [program.python, "-W", "ignore", peer_process.__file__, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{program.name}: {done.stderr.strip().splitlines()[-1]}")
    cost = Cost(**json.loads(done.stdout.splitlines()[-1]))
    return cost, np.load(leaving) if keep else None


def options_of(network: Network[Any]) -> dict[str, Any]:
    """What a network is built with, read from its weights; an int8 form is ours alone."""
    found = ARCHITECTURES[network.facts.name].options_from_weights(network.state_dict())
    return {name: value for name, value in (found or {}).items() if name != "has_ranges"}


def bare_weights(network: Network[Any], path: Path, layout: str) -> Path:
    """Weights as a network of BasicSR or mmagic has them, without the container of a file."""
    if layout == "mmagic":
        torch.save(to_openmmlab(network.state_dict()), path)
    else:
        export(network, path, layout)
        torch.save(torch.load(path, weights_only=True)["params"], path)
    return path


def _graph(model: str) -> Path:
    """The graph of a model that was pulled as ncnn's files."""
    found = weights_path(model)
    if found is None or not found.with_suffix(".param").is_file():
        raise click.UsageError(f"{model} was not pulled as ncnn's files; give a realesrgan-… model")
    return found.with_suffix(".param")


def read_frames(source: Path, count: int) -> Any:
    """The first frames of a video or folder, (T, 3, H, W)."""
    with open_reader(str(source)) as reader:
        frames = torch.cat([chunk.frames for chunk in reader.chunks(count)][:1]).numpy()
    if len(frames) < count:
        raise click.UsageError(f"'{source}' has {len(frames)} frames; give --frames {count // 2}")
    return frames


if __name__ == "__main__":
    main()
