"""Weights that scripts make from other weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from scripts import add_difference, deepen
from tests.networks import compact, unet
from vsr.models.loading import load_network
from vsr.models.network import Network

INPUT = torch.rand(1, 4, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def saved(weights: dict[str, torch.Tensor], path: Path) -> Path:
    save_file(weights, path)
    return path


def restored(path: Path) -> torch.Tensor:
    with torch.inference_mode():
        return load_network(str(path)).step(INPUT, None, 4)[0]


def test_a_deepened_network_restores_the_same_and_can_learn(tmp_path: Path) -> None:
    shallow, deep = (
        saved(compact().state_dict(), tmp_path / "a.safetensors"),
        tmp_path / "b.safetensors",
    )
    done = CliRunner().invoke(deepen.main, [str(shallow), str(deep), "--blocks", "5"])
    assert done.exit_code == 0, done.output
    torch.testing.assert_close(restored(deep), restored(shallow))
    added = load_file(deep)["forward_branch.trunk.main.2.4.conv1.weight"]
    assert added.abs().sum() > 0


@pytest.mark.parametrize(("network", "blocks"), [(unet, 5), (compact, 1)])
def test_only_a_compact_network_is_deepened(
    network: Callable[[], Network[Any]], blocks: int, tmp_path: Path
) -> None:
    weights = saved(network().state_dict(), tmp_path / "a.safetensors")
    words = [str(weights), str(tmp_path / "b"), "--blocks", str(blocks)]
    done = CliRunner().invoke(deepen.main, words)
    assert done.exit_code == 2
    assert "compact network of at most" in done.output
    assert not (tmp_path / "b").exists()


def test_what_a_training_changed_is_added_to_other_weights(tmp_path: Path) -> None:
    ranges = {"ranges.features_K": torch.tensor([7.0])}
    base, trained, before = (
        saved({"weight": torch.tensor([value]), **ranges}, tmp_path / f"{value}.safetensors")
        for value in (1.0, 5.0, 3.0)
    )
    words = [str(path) for path in (base, trained, before, tmp_path / "out")]
    done = CliRunner().invoke(add_difference.main, [*words, "--share", "0.5"])
    assert done.exit_code == 0, done.output
    made = load_file(tmp_path / "out")
    assert made["weight"].tolist() == [2.0]
    assert made["ranges.features_K"].tolist() == [7.0]
