"""How much of a cluster's time films can use, simulated: ``benchmarks.cluster scaling``."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.look_ahead import require_matplotlib
from vsr.cluster.shards import Scene, divide, efficiency, longest_first
from vsr.engine.settings import Settings

SETTINGS = Settings(chunk=16, look_ahead=4)
WORKERS = (1, 2, 4, 8, 16, 32, 64)

RATES = ((1.0, 100.0), (5.5, 300.0))
"""Frames per second of a worker and of the first pass."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds that are lost, and the frames of the film.

    Attributes:
        frames: Frames of the film.
        rate: Frames per second of the film, for the lengths of its scenes.
        shard_s: Seconds that a worker loses with each shard.
        start_s: Seconds until workers have loaded their network, during the first pass.
        films: Number of films that are drawn and averaged.
    """

    frames: int
    rate: float
    shard_s: float
    start_s: float
    films: int


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a number of workers reaches.

    Attributes:
        shards: Mean number of shards.
        hours: Mean duration with the first pass.
        alone: Share of the workers' time that is used while they restore.
        whole: The same with the first pass, during which they wait.
    """

    shards: float
    hours: float
    alone: float
    whole: float


@click.command()
@click.option("--hours", default=2.0, show_default=True, help="Length of the film.")
@click.option("--rate", default=24.0, show_default=True, help="Frames per second of the film.")
@click.option(
    "--rates",
    type=(float, float),
    multiple=True,
    default=RATES,
    show_default=True,
    metavar="WORKER PASS",
    help="Frames per second of a worker, and of the first pass; as often as wanted.",
)
@click.option("--shard-s", default=0.6, show_default=True, help="Seconds lost with each shard.")
@click.option("--start-s", default=20.0, show_default=True, help="Seconds until workers begin.")
@click.option("--films", default=20, show_default=True, help="Drawn at random, and averaged.")
@click.option("--plot", "picture", type=click.Path(dir_okay=False, path_type=Path))
def scaling(
    hours: float,
    rate: float,
    rates: Sequence[tuple[float, float]],
    shard_s: float,
    start_s: float,
    films: int,
    picture: Path | None,
) -> None:
    """Efficiency of 1 to 64 workers for films with a long tail of scene lengths."""
    if picture is not None:
        require_matplotlib()
    frames = round(hours * 3600 * rate)
    costs = Costs(frames=frames, rate=rate, shard_s=shard_s, start_s=start_s, films=films)
    curves = {speeds: [simulate(costs, *speeds, count) for count in WORKERS] for speeds in rates}
    print(table(curves))
    if picture is not None:
        plot(curves, picture)


def simulate(costs: Costs, fps: float, scan_fps: float, workers: int) -> Point:
    """Restore films of random scenes by workers of one speed."""
    shards, hours, alone, whole = 0.0, 0.0, 0.0, 0.0
    for seed in range(costs.films):
        scenes = draw_scenes(costs.frames, costs.rate, random.Random(seed))
        parts = divide(scenes, SETTINGS, segment=250, workers=workers)
        durations = [part.frames / fps + costs.shard_s for part in longest_first(parts)]
        span = sum(durations) / workers / efficiency(durations, [1.0] * workers)
        total = max(costs.start_s, costs.frames / scan_fps) + span
        shards, hours = shards + len(parts), hours + total / 3600
        alone += costs.frames / fps / workers / span
        whole += costs.frames / fps / workers / total
    count = costs.films
    return Point(
        shards=shards / count, hours=hours / count, alone=alone / count, whole=whole / count
    )


def draw_scenes(frames: int, rate: float, chance: random.Random) -> list[Scene]:
    """Scenes of a log-normal length: three seconds in the middle, minutes at the end."""
    scenes: list[Scene] = []
    place = 0
    while place < frames:
        length = max(8, round(chance.lognormvariate(1.1, 0.95) * rate))
        length = min(length, frames - place)
        scenes.append(Scene(frames=length, first_pts=place, last_pts=place + length - 1, digest=""))
        place += length
    return scenes


def name_of(speeds: tuple[float, float]) -> str:
    """The name of a curve."""
    return f"{speeds[0]:g} frames/s, first pass {speeds[1]:g}"


def table(curves: dict[tuple[float, float], list[Point]]) -> str:
    """Markdown."""
    heads = [f"{name_of(speeds)}: hours | shards alone | with the first pass" for speeds in curves]
    lines = [
        " | ".join(["| workers | shards", *heads]) + " |",
        "|--:" * (2 + 3 * len(curves)) + "|",
    ]
    for i, workers in enumerate(WORKERS):
        points = [curve[i] for curve in curves.values()]
        cells = [f"{p.hours:.2f} | {p.alone:.1%} | {p.whole:.1%}" for p in points]
        lines.append(" | ".join([f"| {workers} | {points[0].shards:.0f}", *cells]) + " |")
    return "\n".join(lines)


def plot(curves: dict[tuple[float, float], list[Point]], path: Path) -> None:
    """Efficiency over the number of workers: a line for each speed, one for the shards alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for speeds, points in curves.items():
        axes.plot(WORKERS, [100 * p.whole for p in points], "-", marker=".", label=name_of(speeds))
    slowest = next(iter(curves.values()))
    alone = [100 * p.alone for p in slowest]
    axes.plot(WORKERS, alone, "k--", marker=".", label="shards alone")
    axes.set_xscale("log", base=2)
    axes.set_xticks(WORKERS, [str(workers) for workers in WORKERS])
    axes.set_ylim(0, 105)
    axes.set_xlabel("workers")
    axes.set_ylabel("share of their time that is used, %")
    axes.grid(alpha=0.3)
    axes.legend(title="speed of a worker", loc="lower left")
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
