"""Weights moved by what another training changed: ``python -m scripts.add_difference``.

    out = weights + share (trained - before)

A training that went on from ``before`` to ``trained`` can so be carried over to weights that have
been trained on otherwise since (task arithmetic: Ilharco et al., ICLR 2023). The vivid ends of
``compact-x4-video`` and ``compact-x2-video`` are made so; calibrate the result by
``vsr models measure``.
"""

from __future__ import annotations

from pathlib import Path

import click
from safetensors.torch import load_file
from torch import Tensor

from vsr.models.checkpoints.checkpoint import write_tensors

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("weights", type=FILE)
@click.argument("trained", type=FILE)
@click.argument("before", type=FILE)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--share", default=1.0, show_default=True)
def main(weights: Path, trained: Path, before: Path, out: Path, share: float) -> None:
    """Write WEIGHTS + share (TRAINED - BEFORE) as OUT, in the types of WEIGHTS."""
    first, second, third = (load_file(path) for path in (weights, trained, before))
    moved = {
        name: values if _is_calibrated(name) else _moved(values, second[name], third[name], share)
        for name, values in first.items()
    }
    write_tensors(moved, out)


def _is_calibrated(name: str) -> bool:
    return name.startswith("ranges.")


def _moved(values: Tensor, trained: Tensor, before: Tensor, share: float) -> Tensor:
    return (values.float() + share * (trained.float() - before.float())).to(values.dtype)


if __name__ == "__main__":
    main()
