"""Adversarial training: the second stage of ESRGAN and Real-ESRGAN, on frames of clips.

The generator, which is the network, is judged by a discriminator that learns along. Both losses are
logistic: of a picture by itself (Real-ESRGAN), or compared with the mean of the other kind (the
relativistic average of ESRGAN, Wang et al., ECCVW 2018).

A generator that invents texture invents another one in every frame. So besides each frame the
change from one frame to the next is compared with the truth's (``temporal_weight``), and the
discriminator's own features take the place of a perceptual network's, whose weights are not
available everywhere (feature matching; Wang et al., "pix2pixHD", CVPR 2018).

B batch, T time, N frames, H, W size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.errors import ConfigurationError
from vsr.training.discriminator import UNetDiscriminator
from vsr.training.processes import ALONE, Rank, average_gradients


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings:
    """The discriminator and the weights of its losses.

    Attributes:
        weight: Weight of the adversarial loss, next to that of the reconstruction.
        feature_weight: Weight of the error of the discriminator's features.
        style_weight: Weight of the error of which of those features occur together, wherever that
            is (GFPGAN weighs it with 200 where it judges parts of faces).
        temporal_weight: Weight of the error of the change from frame to frame.
        reconstruction_weight: Weight of the reconstruction loss.
        relativistic: Compare with the mean of the other kind, as ESRGAN does.
        num_feat: Features of the discriminator.
        frames: Frames of each clip that are judged, drawn at random.
        learning_rate: Learning rate of the discriminator while the network's is at its peak; it
            falls with the network's.
        alone: Iterations at the beginning in which the discriminator alone learns.
    """

    weight: float = 0.1
    feature_weight: float = 1.0
    style_weight: float = 0.0
    temporal_weight: float = 1.0
    reconstruction_weight: float = 1.0
    relativistic: bool = False
    num_feat: int = 64
    frames: int = 2
    learning_rate: float = 1e-4
    alone: int = 0

    def __post_init__(self) -> None:
        for name in ("num_feat", "frames"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; give 1 or more")


class Adversary:
    """A discriminator that learns beside a network.

    Args:
        settings: Size of the discriminator, and the weights of its losses.
        device: Device of the discriminator.
    """

    def __init__(self, settings: AdversarialSettings, device: torch.device) -> None:
        self.settings = settings
        self.discriminator = UNetDiscriminator(settings.num_feat).to(device)
        self.optimiser = torch.optim.Adam(
            self.discriminator.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99)
        )

    def state(self) -> dict[str, Any]:
        """Its part of a checkpoint."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.discriminator.load_state_dict(saved["discriminator"])
        self.optimiser.load_state_dict(saved["optimiser"])

    def generator_loss(self, restored_BTCHW: Tensor, truth_BTCHW: Tensor, which: Tensor) -> Tensor:
        """Weighted loss of the network, beside its reconstruction loss.

        Args:
            restored_BTCHW: Restored frames.
            truth_BTCHW: Ground truth.
            which: (N,): indices of the judged frames.
        """
        self.discriminator.requires_grad_(False)
        fake, fake_levels = self.discriminator.judge(restored_BTCHW[:, which].flatten(0, 1))
        with torch.no_grad():
            real, real_levels = self.discriminator.judge(truth_BTCHW[:, which].flatten(0, 1))
        self.discriminator.requires_grad_(True)
        settings = self.settings
        loss = settings.weight * self._judgement(fake, real)
        loss = loss + settings.feature_weight * _feature_error(fake_levels, real_levels)
        if settings.style_weight:
            loss = loss + settings.style_weight * style_error(fake_levels, real_levels)
        return loss + settings.temporal_weight * temporal_error(restored_BTCHW, truth_BTCHW)

    def learn(
        self,
        restored_BTCHW: Tensor,
        truth_BTCHW: Tensor,
        which: Tensor,
        share: float,
        rank: Rank = ALONE,
    ) -> float:
        """One step of the discriminator; its loss.

        Args:
            restored_BTCHW: Restored frames, as the network made them in this step.
            truth_BTCHW: Ground truth.
            which: (N,): indices of the judged frames.
            share: Learning rate over its peak.
            rank: Rank of this process among several.
        """
        (group,) = self.optimiser.param_groups
        group["lr"] = share * self.settings.learning_rate
        real = self.discriminator(truth_BTCHW[:, which].flatten(0, 1))
        fake = self.discriminator(restored_BTCHW[:, which].detach().flatten(0, 1))
        loss = discriminator_loss(fake, real, relativistic=self.settings.relativistic)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self.discriminator.parameters(), rank)
        nn.utils.clip_grad_norm_(self.discriminator.parameters(), 1.0)
        self.optimiser.step()
        return float(loss.detach())

    def _judgement(self, fake: Tensor, real: Tensor) -> Tensor:
        return adversarial_loss(fake, real, relativistic=self.settings.relativistic)


def adversarial_loss(fake: Tensor, real: Tensor, *, relativistic: bool) -> Tensor:
    """Loss of the network: how far restored frames are from being taken for real.

    Args:
        fake: Logits of restored frames.
        real: Logits of ground truth, without gradient.
        relativistic: Whether each is compared with the mean of the other kind.
    """
    if not relativistic:
        return _logistic(fake, is_real=True)
    return (
        _logistic(real - fake.mean(), is_real=False) + _logistic(fake - real.mean(), is_real=True)
    ) / 2


def discriminator_loss(fake: Tensor, real: Tensor, *, relativistic: bool) -> Tensor:
    """Loss of the discriminator: how often it is mistaken.

    Args:
        fake: Logits of restored frames.
        real: Logits of ground truth.
        relativistic: See ``adversarial_loss``; the mean of the other kind has no gradient.
    """
    if not relativistic:
        return _logistic(real, is_real=True) + _logistic(fake, is_real=False)
    return (
        _logistic(real - fake.mean().detach(), is_real=True)
        + _logistic(fake - real.mean().detach(), is_real=False)
    ) / 2


def temporal_error(restored_BTCHW: Tensor, truth_BTCHW: Tensor) -> Tensor:
    """Mean absolute error of the change from each frame to the next; 0 of a single frame."""
    error = restored_BTCHW - truth_BTCHW
    if error.shape[1] == 1:
        return error.new_zeros(())
    return (error[:, 1:] - error[:, :-1]).abs().mean()


def style_error(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean absolute error of the Gram matrices of features (Wang et al., "GFPGAN", CVPR 2021).

    Texture of the right kind at another place costs nothing.

    Args:
        fake: Features of restored frames, (N, K, H, W), of some levels.
        real: Features of the ground truth, of the same levels.
    """
    errors = [F.l1_loss(gram(one), gram(other)) for one, other in zip(fake, real, strict=True)]
    return torch.stack(errors).mean()


def gram(feat_NKHW: Tensor) -> Tensor:
    """(N, K, K): how much each two features occur together, over the number of values."""
    flat_NKP = feat_NKHW.float().flatten(2)
    return flat_NKP @ flat_NKP.mT / feat_NKHW[0].numel()


def _feature_error(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    errors = [F.l1_loss(one, other) for one, other in zip(fake, real, strict=True)]
    return torch.stack(errors).mean()


def _logistic(logits: Tensor, *, is_real: bool) -> Tensor:
    target = torch.full_like(logits, float(is_real))
    return F.binary_cross_entropy_with_logits(logits, target)
