"""Training samples for the assessor: clips degraded by known amounts.

T time, H, W size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.quality import draw
from vsr.quality.blur_kernels import blur, gaussian
from vsr.quality.coding import Coding, code
from vsr.quality.filters import gaussian_noise

LEAST_QP, MOST_QP = 16.0, 44.0
"""H.264's quantisers that count as severity 0 and 1; other codecs by their step size."""

MOST_NOISE = 20.0
"""Standard deviation of noise, in levels of 8 bits, that counts as severity 1."""

MOST_BLUR = 3.0
"""Standard deviation of a Gaussian blur, in pixels, that counts as severity 1."""

MOST_ENLARGED = 4.0
"""Enlargement that counts as severity 1."""


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Amounts of the degradations that a clip was given.

    Attributes:
        blur: Standard deviation of the Gaussian in pixels.
        enlarged: Factor by which it was reduced and enlarged again.
        noise: Standard deviation in levels of 8 bits.
        codec: ffmpeg's encoder; empty for none.
        qp: Quantiser in H.264's scale; 0 for none.
    """

    blur: float = 0.0
    enlarged: float = 1.0
    noise: float = 0.0
    codec: str = ""
    qp: float = 0.0

    def severities(self) -> Tensor:
        """The severities in the order of ``LEARNT``, each in [0, 1]."""
        values = (
            coding_severity(self.qp),
            self.noise / MOST_NOISE,
            self.blur / MOST_BLUR,
            math.log(self.enlarged) / math.log(MOST_ENLARGED),
        )
        return torch.tensor(values).clamp(0, 1)


def coding_severity(qp: float) -> float:
    """Severity of coding by H.264's quantiser; 0 for footage that was not coded."""
    return min(1.0, max(0.0, (qp - LEAST_QP) / (MOST_QP - LEAST_QP)))


def draw_amounts(rng: torch.Generator, encoders: Sequence[str]) -> Amounts:
    """Draw a degradation: each kind in a share of samples, often several."""
    coded = draw.chance(0.75, rng)
    return Amounts(
        blur=draw.between(0.4, MOST_BLUR, rng) if draw.chance(0.35, rng) else 0.0,
        enlarged=draw.between(1.3, MOST_ENLARGED, rng) if draw.chance(0.3, rng) else 1.0,
        noise=draw.between(1.0, 1.2 * MOST_NOISE, rng) if draw.chance(0.45, rng) else 0.0,
        codec=encoders[draw.index(len(encoders), rng)] if coded else "",
        qp=draw.between(14.0, 46.0, rng) if coded else 0.0,
    )


def degrade(clip: Tensor, amounts: Amounts, rng: torch.Generator) -> Tensor:
    """Degrade a clip: blur, enlargement, noise, coding, in this order.

    Args:
        clip: (T, 3, H, W) in [0, 1]; even sides.
        amounts: Amounts of each degradation.
        rng: Source of the noise.

    Returns:
        (T, 3, H, W) in [0, 1].
    """
    size = clip.shape[-2:]
    if amounts.blur:
        kernel = gaussian(21, (amounts.blur, amounts.blur), 0.0)
        clip = blur(clip, kernel[None].float())
    if amounts.enlarged > 1:
        small = [max(16, round(side / amounts.enlarged)) for side in size]
        clip = F.interpolate(clip, small, mode="bicubic", antialias=True)
        clip = F.interpolate(clip, list(size), mode="bicubic")
    if amounts.noise:
        sigma = torch.full((len(clip),), amounts.noise / 255)
        clip = gaussian_noise(clip, sigma, rng, grey=draw.chance(0.5, rng))
    clip = clip.clamp(0, 1)
    if not amounts.codec:
        return clip.mul(255).round().div(255)
    return code(clip.mul(255).round().byte(), coding_of(amounts)).float() / 255


def coding_of(amounts: Amounts) -> Coding:
    """The encoder at a constant quantiser."""
    if amounts.codec in {"mpeg4", "mpeg2video"}:
        step = 2 ** ((amounts.qp - 4) / 6)
        quantiser = str(min(31, max(1, round(step / 2))))
        return Coding(codec=amounts.codec, options={"qmin": quantiser, "qmax": quantiser})
    if amounts.codec == "libvpx-vp9":
        quality = str(min(63, max(0, round((amounts.qp - 10) * 63 / 41))))
        options = {"crf": quality, "b": "0", "cpu-used": "5", "deadline": "realtime"}
        return Coding(codec=amounts.codec, options=options)
    options = {"qp": str(round(amounts.qp)), "preset": "veryfast"}
    if amounts.codec == "libx265":
        options["x265-params"] = "log-level=error"
    return Coding(codec=amounts.codec, options=options)
