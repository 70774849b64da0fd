"""``vsr eval``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli.parameters import MEDIA, PRECISIONS, LookAhead, Names, complete_model, fidelity_option
from vsr.cli.startup import loading
from vsr.cli.tables import print_table
from vsr.errors import ConfigurationError
from vsr.models.catalogue import TABLES_MODEL

if TYPE_CHECKING:
    from vsr.evaluation.clips import FoundPair
    from vsr.evaluation.ensembles import InferenceMode
    from vsr.evaluation.results import Evaluation


@click.command("eval")
@click.argument("dataset", required=False)
@click.option("--root", type=click.Path(path_type=Path), help="The folder that holds DATASET.")
@click.option(
    "--gt",
    type=click.Path(path_type=Path),
    help="Instead of DATASET: ground truth, a folder of images or of clips, or a video.",
)
@click.option(
    "--lq",
    type=click.Path(path_type=Path),
    help="The input that belongs to --gt.  [default: made from it]",
)
@click.option(
    "-m",
    "--model",
    default=TABLES_MODEL,
    show_default=True,
    shell_complete=complete_model,
    help="A name that `vsr models` lists, or a checkpoint file; two EDVR as FIRST+SECOND.",
)
@click.option("--weights", type=MEDIA, metavar="FILE", help="A checkpoint for that model.")
@fidelity_option
@click.option(
    "--degradation",
    metavar="NAME",
    help="BI, BD, or a dialect of it, BD-13 or BD-1.5.  [default: the data set's]",
)
@click.option("--whole-clip", is_flag=True, help="Each clip in one step, as papers do.")
@click.option(
    "--streamed",
    is_flag=True,
    help="Chunk by chunk, as restore does; with --whole-clip both, and what streaming loses.",
)
@click.option("--chunk", type=click.IntRange(min=1), help="See restore; implies --streamed.")
@click.option("--look-ahead", type=LookAhead(), help="See restore; implies --streamed.")
@click.option(
    "--ensemble",
    type=Names(),
    default=(),
    help="spatial: the mean over 8 orientations; flip: over both directions of time.",
)
@click.option(
    "--metrics",
    type=Names(),
    default=(),
    help="Besides PSNR and SSIM: tof, warp, vmaf, vmaf-neg, cambi, niqe, brisque; lpips, dists "
    "(extra lpips); musiq … of pyiqa (extra perceptual).",
)
@click.option(
    "--score",
    type=click.Choice(("raim2026", "ntire")),
    help="A challenge's score, and those it is made of: raim2026 needs lpips; ntire pyiqa, too.",
)
@click.option("--crop", type=click.IntRange(min=0), default=0, help="Border left out, in pixels.")
@click.option("--no-round", is_flag=True, help="Do not round restored frames to 8 bit first.")
@click.option("--partial", is_flag=True, help="Score what is there, and say what is missing.")
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(PRECISIONS),
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, help="Processes; each takes whole clips."
)
@click.option("--ray", metavar="ADDRESS", help="A Ray cluster instead; local starts one here.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep each clip's result; the same command resumes.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write DIR/index.html, a page to read offline; keeps results as --out does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no notes.")
def evaluate(
    dataset: str | None,
    root: Path | None,
    gt: Path | None,
    lq: Path | None,
    model: str,
    weights: str | None,
    fidelity: float | None,
    degradation: str | None,
    whole_clip: bool,
    streamed: bool,
    chunk: int | None,
    look_ahead: int | str | None,
    ensemble: tuple[str, ...],
    metrics: tuple[str, ...],
    score: str | None,
    crop: int,
    no_round: bool,
    partial: bool,
    precision: str,
    device: str,
    workers: int,
    ray: str | None,
    out: Path | None,
    report: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score a network on DATASET, or on any pair, as the published tables do.

    DATASET is reds4, reds-val, vid4, udm10, vimeo90k-t, spmcs or spmcs11, in the layout of mmagic,
    of BasicSR or of its archive. Missing input is made from the ground truth.

    \b
    vsr eval vid4 --root Vid4
    vsr eval reds4 --root REDS --model basicvsr_reds4 --whole-clip --streamed --report report
    vsr eval --gt truth/ --lq restored_elsewhere/ --model identity
    """
    with loading():
        from vsr.cli.progress import progress_bar
        from vsr.evaluation.evaluate import evaluate as run
        from vsr.evaluation.jobs import Setup
        from vsr.evaluation.report import write_report
        from vsr.evaluation.results import to_json
        from vsr.models.loading import load_network

    network = load_network(model, weights, fidelity=fidelity)
    scale = network.facts.scale
    found = _find(dataset, root, gt, lq, scale=scale, degradation=degradation, partial=partial)
    streamed = streamed or chunk is not None or look_ahead is not None
    setup = Setup(
        model=model,
        weights=weights,
        fidelity=fidelity,
        device=device,
        precision=precision,
        metrics=tuple(dict.fromkeys(n for n in metrics if n not in ("psnr", "ssim"))),
        score=score,
        crop=crop,
        rounded=not no_round,
    )
    with progress_bar(hidden=quiet or as_json) as on_progress:
        evaluation = run(
            found,
            setup,
            _ways(whole_clip, streamed, chunk, look_ahead, ensemble),
            network=network,
            out=out or (report and report / "clips"),
            workers=workers,
            ray=ray,
            pictures=report is not None,
            on_progress=on_progress,
        )
    if report is not None:
        write_report(evaluation, report)
    if as_json:
        click.echo(json.dumps(to_json(evaluation)))
    else:
        _show(evaluation, report, quiet=quiet)


def _find(
    dataset: str | None,
    root: Path | None,
    gt: Path | None,
    lq: Path | None,
    *,
    scale: int,
    degradation: str | None,
    partial: bool,
) -> FoundPair:
    """The clips of a data set or of a pair; exactly one of the two is required."""
    from vsr.evaluation.clips import find_pair
    from vsr.evaluation.data_set_clips import find_clips

    if dataset is not None and root is not None and gt is None and lq is None:
        return find_clips(dataset, root, scale=scale, degradation=degradation, partial=partial)
    if lq is not None and degradation is not None:
        raise ConfigurationError("--degradation makes input that --lq gives; leave one out")
    if dataset is None and root is None and gt is not None:
        return find_pair(gt, lq, degradation=degradation, partial=partial)
    raise ConfigurationError("give DATASET with --root, or --gt with or without --lq")


def _ways(
    whole_clip: bool,
    streamed: bool,
    chunk: int | None,
    look_ahead: int | str | None,
    ensemble: tuple[str, ...],
) -> list[InferenceMode]:
    from vsr.evaluation.ensembles import InferenceMode

    stream = InferenceMode(chunk=chunk, look_ahead=look_ahead, ensemble=ensemble)
    whole = InferenceMode(whole=True, ensemble=ensemble)
    if not whole_clip:
        return [stream]
    return [stream, whole] if streamed else [whole]


def _show(evaluation: Evaluation, report: Path | None, *, quiet: bool) -> None:
    """Print tables to stdout and notes to stderr."""
    from vsr.evaluation.table import FOLDED_FROM, clips_table, published_table, sentence

    headings, rows = clips_table(evaluation)
    if len(rows) > FOLDED_FROM:
        click.echo(f"{len(rows) - 1} clips; --json and --report have each of them\n")
        rows = rows[-1:]
    print_table(headings, rows)
    headings, rows = published_table(evaluation)
    if len(rows) > len(evaluation.ways):
        click.echo()
        print_table(headings, rows)
    click.echo(f"\n{sentence(evaluation)}")
    if report is not None:
        click.echo(report / "index.html")
    for note in () if quiet else evaluation.notes:
        click.echo(f"note: {note}", err=True)
    if evaluation.reused and not quiet:
        count, all_of_them = evaluation.reused, len(evaluation.results)
        click.echo(f"note: {count} of {all_of_them} results were kept from before", err=True)
