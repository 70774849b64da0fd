"""Published networks, measured: ``python -m benchmarks.papers --root VID4 --out FOLDER``.

The official weights that can be had are pulled, and each is taken through Vid4 as its paper was:
whole clips, and chunk by chunk as a stream goes, in float32 and in the precision that this machine
takes by default. A row is printed as soon as it is known, beside what was published; the figures of
clips are kept in the folder, and are not measured again. Missing weights are named. ``vsr eval``
gives the same figures one by one, and those of single clips; `python -m benchmarks.look_ahead` what
chunk and look-ahead cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from vsr.errors import DownloadError
from vsr.evaluation.data_set_clips import find_clips
from vsr.evaluation.ensembles import InferenceMode
from vsr.evaluation.evaluate import evaluate
from vsr.evaluation.jobs import Setup
from vsr.evaluation.published import published
from vsr.evaluation.results import Evaluation
from vsr.models.catalogue import MODELS
from vsr.models.checkpoints.pull import pull_model
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.placement import resolve_device, resolve_precision

HEADINGS = (
    "model",
    "input",
    "precision",
    "way",
    "PSNR-Y",
    "SSIM-Y",
    "published",
    "frames/s",
    "MiB",
)
"""The last is the most that the process held, which each row has to itself."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row's network and its input.

    Attributes:
        model: A key of ``MODELS``.
        degradation: Degradation of Vid4's input.
    """

    model: str
    degradation: str


ENTRIES = (
    Entry(model="basicvsr_vimeo90k_bi_basicsr", degradation="BI"),
    Entry(model="basicvsr_vimeo90k_bd_basicsr", degradation="BD"),
    Entry(model="basicvsr_reds4_basicsr", degradation="BI"),
    Entry(model="basicvsr_vimeo90k_bi", degradation="BI"),
    Entry(model="basicvsr_vimeo90k_bd", degradation="BD"),
    Entry(model="basicvsrpp_vimeo90k_bi", degradation="BI"),
    Entry(model="basicvsrpp_vimeo90k_bd", degradation="BD"),
    Entry(model="iconvsr_vimeo90k_bi", degradation="BI"),
    Entry(model="iconvsr_vimeo90k_bd", degradation="BD"),
    Entry(model="compact-x4", degradation="BI"),
    Entry(model="bicubic-x4", degradation="BI"),
)

NUM_CLIPS = 4
"""Clips of Vid4; rows of fewer say so."""

WAYS = {"whole": InferenceMode(whole=True), "streamed": InferenceMode()}


@click.command()
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Vid4.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Keeps results.")
@click.option("--models", default=",".join(entry.model for entry in ENTRIES), help="Which rows.")
@click.option("--precisions", default="float32,auto", show_default=True)
@click.option("--ways", default=",".join(WAYS), show_default=True)
@click.option("--clips", default="", help="Names; all where none is given.")
@click.option("--mirror", envvar="VSR_MIRROR", help="See `vsr models pull`.")
def main(
    root: Path, out: Path, models: str, precisions: str, ways: str, clips: str, mirror: str | None
) -> None:
    """Print the table, as Markdown, row by row."""
    print(_line(HEADINGS), _line(["---"] * len(HEADINGS)), sep="\n")
    chosen = clips.split(",") if clips else []
    context = get_context("spawn")
    for entry in (entry for entry in ENTRIES if entry.model in models.split(",")):
        try:
            _bring(entry.model, mirror)
        except DownloadError as error:
            click.echo(f"{entry.model} cannot be had: {error}", err=True)
            continue
        network = load_network(entry.model)
        wanted = _different(precisions.split(","), network)
        for precision, way in product(wanted, ways.split(",")):
            with ProcessPoolExecutor(1, mp_context=context) as process:
                row = process.submit(_row, entry, root, out, precision, WAYS[way], chosen)
                print(_line(row.result()), flush=True)


def _bring(model: str, mirror: str | None) -> None:
    """Pull official weights, unless they are here or come with the package."""
    if MODELS[model].releases:
        pull_model(MODELS[model], mirror=mirror)


def _different(precisions: Sequence[str], network: Network[Any]) -> Iterator[str]:
    """Precisions, each once: the default of a machine may be one that is also named."""
    device = resolve_device("auto")
    seen = set()
    for precision in precisions:
        dtype = resolve_precision(precision, device, close_in_int8=network.is_close_in_int8)
        if dtype not in seen:
            yield precision
        seen.add(dtype)


def _row(
    entry: Entry, root: Path, out: Path, precision: str, way: InferenceMode, clips: Sequence[str]
) -> list[str]:
    network = load_network(entry.model)
    found = find_clips("vid4", root, scale=network.facts.scale, degradation=entry.degradation)
    chosen = tuple(clip for clip in found.clips if not clips or clip.name in clips)
    evaluation = evaluate(
        replace(found, clips=chosen),
        Setup(model=entry.model, precision=precision),
        [way],
        network=network,
        out=out / f"{entry.model}-{entry.degradation}-{precision}",
    )
    return list(_cells(entry, evaluation, way))


def _cells(entry: Entry, evaluation: Evaluation, way: InferenceMode) -> Iterator[str]:
    means, results = evaluation.means(way.name), evaluation.of_way(way.name)
    figure = published("Vid4", entry.degradation).get(entry.model)
    yield entry.model
    part = "" if len(results) == NUM_CLIPS else f", {len(results)} of {NUM_CLIPS} clips"
    yield f"{entry.degradation}{part}"
    yield str(evaluation.origin["precision"])
    yield way.name
    yield f"{means['psnr_y']:.3f}"
    yield f"{means['ssim_y']:.4f}"
    yield f"{figure.psnr_db:.2f} / {figure.ssim:.4f}" if figure else "-"
    frames = sum(result.restored_frames for result in results)
    yield f"{frames / sum(result.restore_seconds for result in results):.2f}"
    yield f"{max(result.peak_host_bytes for result in results) / 2**20:.0f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
