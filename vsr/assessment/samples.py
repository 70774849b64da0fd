"""Training samples for the assessor: clips degraded by known amounts.

The severities of a sample are those of what is in its pixels: the quantiser that the decoder
reports, and the noise that coding has left.

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
from vsr.quality.blur_kernels import blur, disc, gaussian, line
from vsr.quality.coding import Coding, code_and_tell
from vsr.quality.filters import LUMA, film_grain, gaussian_noise

LEAST_QP, MOST_QP = 16.0, 44.0
"""H.264's quantisers that count as severity 0 and 1; other codecs by their step size."""

MOST_NOISE = 20.0
"""Standard deviation of noise, in levels of 8 bits, that counts as severity 1."""

MOST_BLUR = 3.0
"""Standard deviation of a blur that is alike in all directions, in pixels, that counts as 1."""

MOST_MOTION = 12.0
"""Length of a motion during the exposure, in pixels, that counts as severity 1."""

MOST_ENLARGED = 4.0
"""Enlargement that counts as severity 1."""

BLUR_SIDE = 21


WHOLE_QUANTISERS = frozenset({"mpeg4", "mpeg2video"})
"""Encoders whose quantiser is half their step size."""


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Amounts of the degradations that a clip was given.

    Attributes:
        blur: Standard deviation of the blur in pixels.
        disc: Whether it is a disc, as of a lens out of focus, and not a Gaussian.
        motion: Length of a motion blur in pixels; 0 for none.
        angle: Its direction in radians.
        enlarged: Factor by which it was reduced and enlarged again.
        smoothly: Whether bicubically; otherwise bilinearly.
        noise: Standard deviation in levels of 8 bits.
        grey: Whether the noise is the same in all colours.
        grain_px: Sigma of the Gaussian that makes grey noise coarse; 0 for independent pixels.
        codec: ffmpeg's encoder; empty for none.
        qp: Quantiser in H.264's scale; 0 for none.
        preset: Preset of x264 and x265.
    """

    blur: float = 0.0
    disc: bool = False
    motion: float = 0.0
    angle: float = 0.0
    enlarged: float = 1.0
    smoothly: bool = True
    noise: float = 0.0
    grey: bool = True
    grain_px: float = 0.0
    codec: str = ""
    qp: float = 0.0
    preset: str = "veryfast"

    def severities(self, *, qp: float | None = None, noise: float | None = None) -> Tensor:
        """The severities in the order of ``LEARNT``, each in [0, 1].

        Args:
            qp: The quantiser that was used, where it is known better.
            noise: The noise that is left, in levels of 8 bits, where coding has taken some.
        """
        values = (
            coding_severity(self.qp if qp is None else qp),
            (self.noise if noise is None else noise) / MOST_NOISE,
            max(self.blur / MOST_BLUR, self.motion / MOST_MOTION),
            math.log(self.enlarged) / math.log(MOST_ENLARGED),
        )
        return torch.tensor(values).clamp(0, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A degraded clip, (T, 3, H, W) in [0, 1], and its severities in the order of ``LEARNT``."""

    frames: Tensor
    severities: Tensor


def coding_severity(qp: float) -> float:
    """Severity of coding by H.264's quantiser; 0 for footage that was not coded."""
    return min(1.0, max(0.0, (qp - LEAST_QP) / (MOST_QP - LEAST_QP)))


def draw_amounts(rng: torch.Generator, encoders: Sequence[str]) -> Amounts:
    """Draw a degradation: each kind in a share of samples, often several, a tenth none at all.

    Blur that comes together with enlargement is drawn so that each of them can be seen: a blur much
    narrower than the lost detail, or much wider, leaves no trace of the one or the other.
    """
    if draw.chance(0.1, rng):
        return Amounts()
    enlarged = draw.between(1.2, MOST_ENLARGED, rng) if draw.chance(0.3, rng) else 1.0
    blurred, moved = draw.chance(0.3, rng), draw.chance(0.2, rng)
    noisy, coded = draw.chance(0.45, rng), draw.chance(0.7, rng)
    grey = draw.chance(0.5, rng)
    return Amounts(
        blur=_blur_beside(enlarged, rng) if blurred else 0.0,
        disc=draw.chance(0.5, rng),
        motion=draw.between(2.0, MOST_MOTION, rng) if moved and not blurred else 0.0,
        angle=draw.between(0.0, math.pi, rng),
        enlarged=enlarged,
        smoothly=draw.chance(0.7, rng),
        noise=draw.between(0.5, 1.2 * MOST_NOISE, rng) if noisy else 0.0,
        grey=grey,
        grain_px=draw.between(0.3, 0.8, rng) if grey and draw.chance(0.4, rng) else 0.0,
        codec=encoders[draw.index(len(encoders), rng)] if coded else "",
        qp=draw.between(14.0, 46.0, rng) if coded else 0.0,
        preset=("ultrafast", "veryfast", "medium")[draw.index(3, rng)],
    )


def _blur_beside(enlarged: float, rng: torch.Generator) -> float:
    if enlarged == 1:
        return draw.between(0.3, MOST_BLUR, rng)
    return min(MOST_BLUR, enlarged * draw.between(0.3, 0.7, rng))


def degrade(clip: Tensor, amounts: Amounts, rng: torch.Generator) -> Tensor:
    """Degrade a clip: blur, enlargement, noise, coding, in this order.

    Args:
        clip: (T, 3, H, W) in [0, 1]; even sides.
        amounts: Amounts of each degradation.
        rng: Source of the noise.

    Returns:
        (T, 3, H, W) in [0, 1].
    """
    return make_sample(clip, amounts, rng).frames


def make_sample(clip: Tensor, amounts: Amounts, rng: torch.Generator) -> Sample:
    """Degrade a clip, and find the severities that are left; arguments as for ``degrade``."""
    quiet = _enlarged(_blurred(clip, amounts), amounts).clamp(0, 1)
    noisy = _noisy(quiet, amounts, rng)
    frames, qp = noisy.clamp(0, 1).mul(255).round().byte(), None
    if amounts.codec:
        frames, qp = code_and_tell(frames, coding_of(amounts))
    shown = frames.float() / 255
    left = amounts.noise and _noise_left(shown, quiet, noisy)
    return Sample(frames=shown, severities=amounts.severities(qp=qp, noise=left))


def _blurred(clip: Tensor, amounts: Amounts) -> Tensor:
    if amounts.motion:
        return blur(clip, line(BLUR_SIDE, amounts.motion, amounts.angle)[None].float())
    if not amounts.blur:
        return clip
    if amounts.disc:
        return blur(clip, disc(BLUR_SIDE, 2 * amounts.blur)[None].float())
    return blur(clip, gaussian(BLUR_SIDE, (amounts.blur, amounts.blur))[None].float())


def _enlarged(clip: Tensor, amounts: Amounts) -> Tensor:
    if amounts.enlarged == 1:
        return clip
    size = list(clip.shape[-2:])
    small = [max(16, round(side / amounts.enlarged)) for side in size]
    clip = F.interpolate(clip, small, mode="bicubic", antialias=True)
    return F.interpolate(clip, size, mode="bicubic" if amounts.smoothly else "bilinear")


def _noisy(clip: Tensor, amounts: Amounts, rng: torch.Generator) -> Tensor:
    sigma = amounts.noise / 255
    if not sigma:
        return clip
    if amounts.grain_px:
        return film_grain(clip, sigma, amounts.grain_px, rng)
    return gaussian_noise(clip, torch.full((len(clip),), sigma), rng, grey=amounts.grey)


def _noise_left(shown: Tensor, quiet: Tensor, noisy: Tensor) -> float:
    """Standard deviation of the noise in luma that is still there, in levels of 8 bits.

    What is shown beyond the quiet clip is projected on the noise: the share of its energy that
    coding has kept.
    """
    weights = torch.tensor(LUMA).view(3, 1, 1)
    added = ((noisy - quiet) * weights).sum(1)
    found = ((shown - quiet) * weights).sum(1)
    energy = float(added.square().sum())
    share = float((added * found).sum()) / energy if energy else 0.0
    return 255 * math.sqrt(min(1.0, max(0.0, share)) * energy / added.numel())


def coding_of(amounts: Amounts) -> Coding:
    """The encoder at a constant quantiser."""
    if amounts.codec in WHOLE_QUANTISERS:
        step = 2 ** ((amounts.qp - 4) / 6)
        quantiser = str(min(31, max(1, round(step / 2))))
        return Coding(codec=amounts.codec, options={"qmin": quantiser, "qmax": quantiser})
    if amounts.codec == "libvpx-vp9":
        quality = str(min(63, max(0, round((amounts.qp - 10) * 63 / 41))))
        options = {"crf": quality, "b": "0", "cpu-used": "5", "deadline": "realtime"}
        return Coding(codec=amounts.codec, options=options)
    options = {"qp": str(round(amounts.qp)), "preset": amounts.preset}
    if amounts.codec == "libx265":
        options["x265-params"] = "log-level=error"
    return Coding(codec=amounts.codec, options=options)
