"""``vsr train``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli.startup import loading
from vsr.toml_tables import has_table

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vsr.training.loop import StepReport


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the configuration's folders of photographs and videos are.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Checkpoints, weights and log; an interrupted run resumes from there.",
)
@click.option(
    "--init",
    metavar="MODEL|FILE",
    help="Start from these weights; those of another shape are left out.",
)
@click.option(
    "--desra",
    metavar="MODEL|FILE",
    help="Delete the artefacts of a vivid network, the model or file of --init: show it what this "
    "faithful one restores in their place.",
)
@click.option(
    "--teacher",
    metavar="MODEL|FILE",
    help="A larger network of the same scale whose results are learnt from beside the truth.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def train(
    config: Path,
    data: Path,
    out: Path,
    init: str | None,
    desra: str | None,
    teacher: str | None,
    device: str,
) -> None:
    """Train a network with the settings in CONFIG (TOML).

    A CONFIG with a table [assessor] trains the assessor of `vsr assess`.

    \b
    vsr train configs/compact_x4.toml --data footage --out runs/compact_x4
    vsr train configs/finetune.toml --data footage --out runs/mine --init compact-x4-video
    torchrun --nproc-per-node 4 -m vsr train CONFIG --data footage --out runs/compact_x4
    vsr train configs/desra.toml --data footage --out runs/clean --init VIVID --desra FAITHFUL
    vsr train configs/assess.toml --data footage --out runs/assess
    """
    one_process = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if not one_process and (desra is not None or has_table(config, "assessor")):
        raise click.UsageError("an assessor and --desra are trained by one process, not torchrun's")
    if has_table(config, "assessor"):
        if (init, desra, teacher) != (None, None, None) or device not in ("auto", "cpu"):
            raise click.UsageError(
                "an assessor is trained on the CPU, without --init, --desra and --teacher"
            )
        _train_assessor(config, data, out)
        return
    if desra is not None:
        if init is None or teacher is not None:
            raise click.UsageError("--desra needs --init VIVID, and no --teacher")
        _delete_artefacts(config, data, out, init, desra, device)
        return
    _train_network(config, data, out, init, teacher, device)


def _train_network(
    config: Path, data: Path, out: Path, init: str | None, teacher: str | None, device: str
) -> None:
    """``vsr train`` with the configuration of a network, in one process or in one of several."""
    with loading():
        from vsr.training import run as training_run
        from vsr.training.config import read_training_config

    is_first = os.environ.get("RANK", "0") == "0"
    with _shown(enabled=is_first) as (bar, show_step):

        def show(progress: training_run.Progress) -> None:
            show_step(progress.step, progress.total)
            if progress.validation_psnr_y is not None:
                bar.console.print(
                    f"iteration {progress.step.iteration}: {progress.validation_psnr_y:.2f} dB"
                )

        best = training_run.train(
            read_training_config(config),
            data,
            out,
            device=device,
            init=init,
            teacher=teacher,
            on_progress=show,
        )
    if not is_first:
        return
    if best.stem == "last":
        click.echo(
            "vsr: these are the last weights; to keep the best, hold out a video in the "
            "configuration",
            err=True,
        )
    click.echo(best)


def _train_assessor(config: Path, data: Path, out: Path) -> None:
    """``vsr train`` with the configuration of an assessor."""
    with loading():
        from vsr.toml_tables import read_toml
        from vsr.training.assessor import AssessorConfig, train_assessor

    with _bar("measuring samples") as (bar, task):
        report = train_assessor(
            read_toml(AssessorConfig, config),
            data,
            out,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    click.echo("Spearman's rank correlation on held-out videos:")
    for kind, correlation in report.correlations.items():
        click.echo(f"{kind:10} {correlation:.3f}")
    click.echo(f"strongest degradation told: {report.kind_right:.0%}")
    click.echo(report.weights)


def _delete_artefacts(
    config: Path, data: Path, out: Path, vivid: str, faithful: str, device: str
) -> None:
    """``vsr train --desra``."""
    with loading():
        from vsr.toml_tables import read_toml
        from vsr.training.desra import DesraConfig, delete_artefacts

    with _shown() as (bar, show_step):
        report = delete_artefacts(
            read_toml(DesraConfig, config),
            data,
            out,
            vivid=vivid,
            faithful=faithful,
            device=device,
            on_progress=lambda step, training: show_step(step, training.total),
        )
        bar.console.print(
            f"trained on {report.num_cases} pieces with artefacts; of the held-out frames' area "
            f"{report.before:.2%} was replaced before and {report.after:.2%} is now; elsewhere the "
            f"result differs by {report.kept_db:.1f} dB"
        )
    click.echo(report.weights)


@contextmanager
def _shown(*, enabled: bool = True) -> Iterator[tuple[Progress, Callable[[StepReport, int], None]]]:
    """A bar on a terminal, and a function that shows a step of so many in it."""
    with _bar("training", enabled=enabled) as (bar, task):

        def show(step: StepReport, total: int) -> None:
            text = f"loss {step.loss:.4f}"
            bar.update(task, completed=step.iteration, total=total, description=text)

        yield bar, show


@contextmanager
def _bar(description: str, *, enabled: bool = True) -> Iterator[tuple[Progress, TaskID]]:
    """A bar on a terminal, and its one task."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console, disable=not (console.is_terminal and enabled)) as bar:
        yield bar, bar.add_task(description, total=None)
