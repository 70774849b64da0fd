"""Quality predictors in training: which ground truth is learnt, where, and how crisp the result.

Of several ground truths of a clip, which differ by how much they were sharpened, one is learnt:
drawn by softmax of their quality, or the best of them, as in 2504.18524 (super-resolution guided by
no-reference quality). Fine-tuning may also subtract the quality of what is restored from the loss,
by updates of low rank alone: more freedom finds pictures that only the predictor likes. Errors
where the input is worst may count more (AdaQual-Diff, 2504.12605).

B batch, T time, C colour, H, W size, h, w size of inputs, V ground truths of a clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.assessment.regression import Assessor, load_assessor
from vsr.errors import ConfigurationError
from vsr.models.coarseness import strength
from vsr.quality.brisque import brisque
from vsr.quality.filters import sharpen

CHOICES = ("softmax", "argmax-online")

Predictor = Callable[[Tensor], Tensor]
"""Quality of clips (B, T, 3, H, W) in [0, 1]: (B,), higher is better."""


@dataclass(frozen=True, kw_only=True)
class QualitySettings:
    """What a quality predictor decides; a predictor that trains is no judge of the result.

    Attributes:
        predictor: ``assessor``, one minus the mean severity that ``vsr assess`` estimates, which
            has gradients; ``brisque``, of the middle frame, which has none.
        truths: Shares of sharpening, each of which makes one of the ground truths of a clip; as
            ``sharpen`` in the schedule, with its ``sharpen_sigma``.
        choose: ``softmax`` draws a ground truth, likelier the better it is; ``argmax-online``
            takes the best.
        temperature: Difference of quality at which one is e times as likely as another.
        region_weight: Weight of a second error that counts each pixel by the quality of the input
            there, w(q) = (qmax - q) / (qmax - qmin): 0 where it is best, 1 where it is worst.
        quality_weight: Weight of the quality of what is restored, which is subtracted from the
            loss; with ``low_rank`` alone.
    """

    predictor: str = "assessor"
    truths: tuple[float, ...] = ()
    choose: str = "argmax-online"
    temperature: float = 0.1
    region_weight: float = 0.0
    quality_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.predictor not in PREDICTORS:
            raise ConfigurationError(
                f"predictor is {self.predictor!r}; give one of {', '.join(PREDICTORS)}"
            )
        if self.choose not in CHOICES:
            raise ConfigurationError(f"choose is {self.choose!r}; give {' or '.join(CHOICES)}")
        if self.quality_weight and self.predictor != "assessor":
            raise ConfigurationError(
                f"{self.predictor} has no gradients; set quality_weight to 0, or predictor to "
                "'assessor'"
            )
        if self.temperature <= 0:
            raise ConfigurationError(f"temperature is {self.temperature}; give more than 0")


def chosen_truth(
    truth_BTCHW: Tensor, settings: QualitySettings, sigma: float, rng: torch.Generator
) -> Tensor:
    """One of the ground truths of each clip.

    Args:
        truth_BTCHW: Ground truth as it is, in [0, 1].
        settings: How others are made of it, and one is chosen.
        sigma: Standard deviation of the Gaussian that sharpening measures detail against.
        rng: Source of what is drawn.

    Returns:
        (B, T, 3, H, W); the clips themselves where no ground truths are listed.
    """
    if not settings.truths:
        return truth_BTCHW
    images = truth_BTCHW.flatten(0, 1)
    made_VBTCHW = torch.stack(
        [sharpen(images, share, sigma).view_as(truth_BTCHW) for share in settings.truths]
    )
    with torch.no_grad():
        quality_VB = torch.stack([quality_of(settings.predictor, clips) for clips in made_VBTCHW])
    which_B = _choose(quality_VB, settings, rng)
    return made_VBTCHW[which_B, torch.arange(len(truth_BTCHW), device=made_VBTCHW.device)]


def quality_of(predictor: str, clips_BTCHW: Tensor) -> Tensor:
    """(B,): quality of clips in [0, 1], higher is better; in float32 whatever autocast says."""
    with torch.autocast(clips_BTCHW.device.type, enabled=False):
        return PREDICTORS[predictor](clips_BTCHW.float().clamp(0, 1))


def region_error(error_BTCHW: Tensor, inputs_BTChw: Tensor) -> Tensor:
    """Mean error, each pixel weighted by how bad the input is there.

    Args:
        error_BTCHW: Error of each pixel.
        inputs_BTChw: What was restored, in [0, 1].
    """
    weight_N1hw = strength(inputs_BTChw.flatten(0, 1))[:, None]
    weight_N1HW = F.interpolate(weight_N1hw, error_BTCHW.shape[-2:], mode="bilinear")
    return (weight_N1HW * error_BTCHW.flatten(0, 1)).mean()


def _choose(quality_VB: Tensor, settings: QualitySettings, rng: torch.Generator) -> Tensor:
    if settings.choose == "argmax-online":
        return quality_VB.argmax(0)
    # A flat frame has no BRISQUE.
    shares_BV = (quality_VB.nan_to_num() / settings.temperature).softmax(0).T.cpu()
    drawn_B = torch.multinomial(shares_BV, 1, generator=rng)[:, 0]
    return drawn_B.to(quality_VB.device)


def _assessed(clips_BTCHW: Tensor) -> Tensor:
    assessor = _assessor().to(clips_BTCHW.device)
    described_BD = torch.stack([assessor.describe(clip) for clip in clips_BTCHW])
    severity_BS, _ = assessor(described_BD)
    quality_B: Tensor = 1 - severity_BS.clamp(0, 1).mean(1)
    return quality_B


@cache
def _assessor() -> Assessor:
    return load_assessor()


@torch.no_grad()
def _brisque(clips_BTCHW: Tensor) -> Tensor:
    middle = clips_BTCHW.shape[1] // 2
    return -torch.stack([brisque(clip[middle]) for clip in clips_BTCHW]).float()


PREDICTORS: dict[str, Predictor] = {"assessor": _assessed, "brisque": _brisque}
