"""Adversarial training: the discriminator, its losses, and runs that resume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.models.test_published import reference
from tests.training.test_training import TINY, losses, train_and_interrupt
from vsr.errors import ConfigurationError
from vsr.training.adversarial import (
    AdversarialSettings,
    Adversary,
    adversarial_loss,
    discriminator_loss,
    gram,
    style_error,
    temporal_error,
)
from vsr.training.discriminator import UNetDiscriminator
from vsr.training.run import train

SMALL = AdversarialSettings(num_feat=4)


def test_the_discriminator_gives_the_published_output(shared: Path) -> None:
    weights, frames, expected = reference(shared, "unet_discriminator")
    discriminator = UNetDiscriminator(num_feat=12)
    discriminator.load_state_dict(weights)
    with torch.no_grad():
        found = discriminator.eval()(frames)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_it_has_as_many_parameters_as_the_published_one() -> None:
    assert sum(p.numel() for p in UNetDiscriminator(64).parameters()) == 4_376_897


@pytest.mark.parametrize("relativistic", [False, True])
def test_losses_fall_as_the_one_side_or_the_other_gains(relativistic: bool) -> None:
    def both(fake: float, real: float) -> tuple[Tensor, Tensor]:
        logits = torch.full((2, 1), fake), torch.full((2, 1), real)
        return (
            adversarial_loss(*logits, relativistic=relativistic),
            discriminator_loss(*logits, relativistic=relativistic),
        )

    told_apart, mistaken = both(-2.0, 2.0), both(2.0, -2.0)
    assert mistaken[0] < told_apart[0]
    assert told_apart[1] < mistaken[1]


def test_a_constant_error_is_steady_and_one_that_flickers_is_not() -> None:
    truth = torch.rand(1, 4, 3, 8, 8)
    assert temporal_error(truth + 0.1, truth) < 1e-6
    flicker = torch.tensor([0.1, -0.1, 0.1, -0.1]).view(1, 4, 1, 1, 1)
    torch.testing.assert_close(temporal_error(truth + flicker, truth), torch.tensor(0.2))


def test_style_is_which_features_occur_together_and_not_where() -> None:
    generator = torch.Generator().manual_seed(1)
    feat = torch.rand(2, 3, 4, 5, generator=generator)
    assert gram(feat).shape == (2, 3, 3)
    expected = sum(float(feat[0, 0, y, x] * feat[0, 2, y, x]) for y in range(4) for x in range(5))
    assert float(gram(feat)[0, 0, 2]) == pytest.approx(expected / 60, rel=1e-5)
    moved = feat.roll((1, 2), (2, 3))
    assert float(style_error([moved], [feat])) < 1e-6
    assert float(style_error([feat.flip(1)], [feat])) > 1e-3


def test_a_network_learns_from_style_and_the_truth_does_not_change() -> None:
    adversary = Adversary(replace(SMALL, style_weight=200.0), torch.device("cpu"))
    restored = torch.rand(1, 2, 3, 16, 16, requires_grad=True)
    which, truth = torch.arange(2), torch.rand(1, 2, 3, 16, 16)
    with_style = adversary.generator_loss(restored, truth, which)
    adversary.settings = SMALL
    without = adversary.generator_loss(restored, truth, which)
    (gradient,) = torch.autograd.grad(with_style - without, restored)
    assert with_style > without
    assert torch.isfinite(gradient).all()
    assert gradient.any()


@pytest.mark.slow
def test_an_interrupted_run_ends_as_one_that_was_not(footage: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    schedule = replace(TINY.schedule, flow_iterations=0, patch=16)
    config = replace(TINY, schedule=schedule, adversarial=replace(SMALL, alone=1))
    train(config, footage, whole, device="cpu")
    train_and_interrupt(config, footage, broken, at=5)  # one step beyond the checkpoint
    train(config, footage, broken, device="cpu")
    assert losses(whole)[4:] == losses(broken)[5:]
    ends = [torch.load(out / "last.pt", weights_only=True) for out in (whole, broken)]
    for part in ("network", "adversary"):
        torch.testing.assert_close(ends[0][part], ends[1][part], atol=0, rtol=0)


def test_a_patch_that_the_discriminator_cannot_halve_is_refused(
    footage: Path, tmp_path: Path
) -> None:
    schedule = replace(TINY.schedule, flow_iterations=0, patch=13)
    config = replace(TINY, schedule=schedule, adversarial=SMALL)
    with pytest.raises(ConfigurationError, match="52x52; give sides that are multiples of 8"):
        train(config, footage, tmp_path / "run", device="cpu")
