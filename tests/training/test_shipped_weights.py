"""Statements about the shipped weights are the same everywhere, and true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.command_line import Run
from tests.conftest import REPOSITORY
from vsr.models.catalogue import MODELS, SHIPPED, TABLES_MODEL
from vsr.models.loading import load_network
from vsr.models.ops.int8_conv import runs_int8

QUALITY = MODELS[TABLES_MODEL].quality[0]
CARD = SHIPPED / "compact_x4.md"


def test_the_catalogue_the_card_and_the_readme_agree() -> None:
    assert f"| {QUALITY.psnr_db:.3f} / {QUALITY.ssim:.4f} " in CARD.read_text(encoding="utf-8")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith(f"| `{TABLES_MODEL}`"))
    assert row.endswith(f"| {QUALITY.psnr_db:.2f} / {QUALITY.ssim:.3f} |")


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.weights])
def test_a_card_names_the_network_that_is_built(name: str) -> None:
    model = MODELS[name]
    assert model.weights is not None
    card = (SHIPPED / model.weights).with_suffix(".md").read_text(encoding="utf-8")
    network = load_network(name)
    assert sum(p.numel() for p in network.parameters()) == model.parameters
    assert f"{model.parameters:,} parameters" in card


@pytest.mark.slow
@pytest.mark.skipif(
    not runs_int8(torch.device("cpu")), reason="the score is int8's, and this CPU has no VNNI"
)
def test_the_weights_score_on_vid4_what_is_reported(vsr: Run, shared: Path) -> None:
    words = ("--device", "cpu", "--precision", "int8", "--json")
    done = vsr("eval", "vid4", "--root", shared / "data/eval/vid4", *words)
    means = json.loads(done.out)["means"]["streamed"]
    # Processors round in different ways.
    assert means["psnr_y"] == pytest.approx(QUALITY.psnr_db, abs=0.01)
    assert means["ssim_y"] == pytest.approx(QUALITY.ssim, abs=0.001)
