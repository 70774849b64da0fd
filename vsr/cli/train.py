"""``vsr train``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vsr.cli.startup import loading
from vsr.errors import ConfigurationError


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
    "--init", type=click.Path(path_type=Path), metavar="FILE", help="Start from these weights."
)
@click.option(
    "--teacher",
    metavar="MODEL|FILE",
    help="A larger network of the same scale whose results are learnt from beside the truth.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def train(
    config: Path, data: Path, out: Path, init: Path | None, teacher: str | None, device: str
) -> None:
    """Train a network as CONFIG (TOML) says.

    \b
    vsr train configs/compact_x4.toml --data footage --out runs/compact_x4
    torchrun --nproc-per-node 4 -m vsr train CONFIG --data footage --out runs/compact_x4
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with loading():
        from vsr.training import run as training_run
        from vsr.training.config import read_training_config

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console, is_first = Console(stderr=True), os.environ.get("RANK", "0") == "0"
    with Bar(*columns, console=console, disable=not (console.is_terminal and is_first)) as bar:
        task = bar.add_task("training", total=None)

        def show(progress: training_run.Progress) -> None:
            bar.update(
                task,
                completed=progress.step.iteration,
                total=progress.total,
                description=f"loss {progress.step.loss:.4f}",
            )
            if progress.validation_psnr_y is not None:
                console.print(
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
    if not best.exists():
        raise ConfigurationError(
            f"no weights were validated in '{out}'; hold out a video in the configuration"
        )
    click.echo(best)
