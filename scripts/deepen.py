"""A ``compact`` network with more residual blocks that does the same: ``python -m scripts.deepen``.

The blocks that are added end in a convolution of zeros, so that they change nothing until they are
trained (Goyal et al., 2017, start residual blocks so; that a network grows without forgetting:
Net2Net, Chen et al., ICLR 2016).
"""

from __future__ import annotations

from pathlib import Path

import click
import torch
from safetensors.torch import load_file
from torch import Tensor

from vsr.models.checkpoints.checkpoint import write_tensors
from vsr.models.compact.network import Compact, options_from_weights
from vsr.models.layers.blocks import ResidualBlock

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("weights", type=FILE)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--blocks", type=click.IntRange(min=1), required=True, help="Blocks a branch.")
@click.option("--seed", default=0, show_default=True)
def main(weights: Path, out: Path, blocks: int, seed: int) -> None:
    """Write OUT: WEIGHTS with more residual blocks, which change nothing yet."""
    torch.manual_seed(seed)
    before = load_file(weights)
    write_tensors(deepened(before, blocks), out)


def deepened(weights: dict[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """Weights of a network with ``blocks`` residual blocks a branch that does what this one does.

    Raises:
        click.UsageError: Weights of another architecture, or of more blocks.
    """
    options = options_from_weights(weights)
    if options is None or options["num_blocks"] > blocks:
        raise click.UsageError(
            f"WEIGHTS are not those of a compact network of at most {blocks} blocks a branch"
        )
    network = Compact(**{**options, "num_blocks": blocks, "has_ranges": False})
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            torch.nn.init.zeros_(block.conv2.weight)
    known = {name: values.float() for name, values in weights.items() if _is_trained(name)}
    return {**network.state_dict(), **known}


def _is_trained(name: str) -> bool:
    return not name.startswith("ranges.")


if __name__ == "__main__":
    main()
