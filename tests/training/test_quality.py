"""Quality predictors in training: what is learnt, where, and at which price."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.networks import moving_clip
from tests.training.test_training import TINY, losses
from vsr.errors import ConfigurationError
from vsr.training.config import Schedule, TrainingConfig
from vsr.training.quality import QualitySettings, chosen_truth, quality_of, region_error
from vsr.training.run import train

TRUTHS = (0.0, 2.0)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chosen(clips: Tensor, choose: str, temperature: float = 1.0, seed: int = 0) -> Tensor:
    settings = QualitySettings(truths=TRUTHS, choose=choose, temperature=temperature)
    return chosen_truth(clips, settings, 1.5, rng(seed))


def test_the_best_of_some_ground_truths_is_learnt_or_one_is_drawn() -> None:
    clips = torch.stack([moving_clip(2, 64, 64, seed) for seed in range(2)])
    made = [chosen_truth(clips, QualitySettings(truths=(share,)), 1.5, rng()) for share in TRUTHS]
    quality = torch.stack([quality_of("assessor", one) for one in made])
    best = torch.stack([made[int(which)][i] for i, which in enumerate(quality.argmax(0))])
    assert quality[0].ne(quality[1]).all()
    assert chosen(clips, "argmax-online").equal(best)
    assert chosen(clips, "softmax", temperature=1e-4).equal(best)
    drawn = [chosen(clips, "softmax", temperature=10.0, seed=seed) for seed in range(8)]
    assert {one.equal(best) for one in drawn} == {True, False}
    assert chosen_truth(clips, QualitySettings(), 1.5, rng()).equal(clips)


def test_errors_count_where_the_input_is_worst() -> None:
    flat, fine = torch.full((1, 1, 3, 64, 64), 0.5), torch.rand((1, 1, 3, 64, 64), generator=rng())
    error = torch.ones(1, 1, 3, 128, 128)
    noisy = region_error(error, fine)
    assert noisy == 1
    assert region_error(error, flat) < noisy


def test_quality_rises_along_its_gradient() -> None:
    clip = moving_clip(2, 64, 64)[None].requires_grad_()
    before = quality_of("assessor", clip)
    (slope,) = torch.autograd.grad(before.sum(), clip)
    after = quality_of("assessor", clip.detach() + 0.004 * slope / slope.abs().max())
    assert after > before


def test_a_weight_of_quality_lowers_the_loss_by_the_results_quality(
    footage: Path, tmp_path: Path
) -> None:
    schedule = Schedule(iterations=1, batch=1, frames=2, patch=16, low_rank=2, precision="float32")
    none = replace(TINY, schedule=replace(TINY.schedule, iterations=0, flow_iterations=0))
    init = train(none, footage, tmp_path / "begun", device="cpu")
    first = []
    for weight in (0.0, 1.0):
        config = replace(TINY, schedule=schedule, quality=QualitySettings(quality_weight=weight))
        out = tmp_path / f"{weight}"
        train(config, footage, out, device="cpu", init=init)
        first += losses(out)
    assert 0 < first[0] - first[1] <= 1


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        ({"predictor": "musiq"}, "give one of assessor, brisque"),
        ({"choose": "best"}, "give softmax or argmax-online"),
        ({"predictor": "brisque", "quality_weight": 1.0}, "brisque has no gradients"),
        ({"quality_weight": 1.0}, "set low_rank"),
        ({"temperature": 0.0}, "give more than 0"),
    ],
)
def test_what_does_not_go_together_is_said(quality: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        TrainingConfig(
            network=TINY.network,
            data=TINY.data,
            quality=QualitySettings(**quality),  # type: ignore[arg-type]
        )


def test_an_assessor_needs_two_frames() -> None:
    quality = QualitySettings(truths=(0.0, 1.0))
    schedule = replace(TINY.schedule, frames=1)
    with pytest.raises(ConfigurationError, match="give 2 frames a clip or more"):
        replace(TINY, quality=quality, schedule=schedule)


def test_a_flat_clip_has_a_ground_truth_too() -> None:
    settings = QualitySettings(predictor="brisque", truths=(0.0, 1.0), choose="softmax")
    black = torch.zeros(1, 2, 3, 64, 64)
    assert torch.equal(chosen_truth(black, settings, 1.0, torch.Generator().manual_seed(0)), black)
