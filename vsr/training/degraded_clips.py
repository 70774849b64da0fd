"""Training pairs: ground truth, and the same clip blurred, reduced, made noisy and coded.

The parameters of each clip are drawn from the ranges of ``ClipDegradation``; a clip is drawn larger
and longer than what is trained on, so that encoders see pictures, not stamps, and training sees
frames of every kind (I, P, B) at every place of the block grid.

T time, C colour, H, W ground-truth size, h, w low-resolution size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import IterableDataset

from vsr.errors import ConfigurationError
from vsr.models.ops.imresize import imresize
from vsr.quality.blur_kernels import blur, gaussian
from vsr.quality.coding import Coding, code
from vsr.quality.degradation import degrade
from vsr.quality.draw import between, chance, index
from vsr.quality.filters import film_grain, gaussian_noise, resize
from vsr.quality.second_order import Order, degrade_once, draw_sinc
from vsr.training.clips import ClipShape, TrainingClips

X26X_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")
REDUCTIONS = ("area", "bicubic", "bilinear")


@dataclass(frozen=True, kw_only=True)
class ClipDegradation:
    """Ranges that the degradation of each clip is drawn from, uniformly.

    Attributes:
        encoders: ffmpeg's names: ``libx264``, ``libx265`` or ``mpeg4``, each as likely as it is
            often named.
        uncoded_share: Share of clips that are not coded, only rounded to 8 bits.
        least_crf: Least crf of x264 and x265.
        most_crf: Largest crf of x264 and x265.
        group: Shortest and longest distance of key frames of x264 and x265, in frames.
        most_b_frames: Consecutive B-frames of x264 and x265, at most.
        least_quantiser: Least quantiser of MPEG-4.
        most_quantiser: Largest quantiser of MPEG-4.
        blur_share: Share of clips that are blurred before they are reduced.
        blur_sigma: Largest sigma of the Gaussian, in low-resolution pixels.
        noise_share: Share of clips with Gaussian noise before coding.
        noise_sigma: Largest sigma, in levels of 8 bits.
        grey_share: Share of noisy clips whose noise is the same in all colours.
        grain_share: Share of clips with film grain before coding.
        grain_sigma: Largest deviation of it in the mid-tones, in levels of 8 bits.
        grain_px: Largest sigma of the Gaussian that makes it coarse, in low-resolution pixels.
        orders: Degradation before the reduction, in this order; two are Real-ESRGAN's second order.
        sinc_share: Share of clips that are filtered by an ideal low-pass filter after the
            reduction, which rings.
        margin: Low-resolution pixels, in all, by which what is coded is wider than a patch.
        lead: Frames by which it is longer than a training clip.
    """

    encoders: tuple[str, ...] = ("libx264", "libx264", "libx265", "mpeg4")
    uncoded_share: float = 0.08
    least_crf: float = 17.0
    most_crf: float = 38.0
    group: tuple[int, int] = (6, 60)
    most_b_frames: int = 3
    least_quantiser: float = 2.0
    most_quantiser: float = 14.0
    blur_share: float = 0.25
    blur_sigma: float = 0.8
    noise_share: float = 0.15
    noise_sigma: float = 6.0
    grey_share: float = 0.5
    grain_share: float = 0.0
    grain_sigma: float = 8.0
    grain_px: float = 1.0
    orders: tuple[Order, ...] = ()
    sinc_share: float = 0.0
    margin: int = 24
    lead: int = 5

    def __post_init__(self) -> None:
        for name in self.encoders:
            if name not in ("libx264", "libx265", "mpeg4"):
                raise ConfigurationError(
                    f"encoder {name!r} is unknown here; give libx264, libx265 or mpeg4"
                )


class ReducedClips(IterableDataset[tuple[Tensor, Tensor]]):
    """Pairs of a reduced clip, uint8 (T, 3, h, w), and the clip itself.

    Args:
        clips: Ground truth.
        scale: Ground-truth size over low-resolution size.
        reduction: See ``degrade``.
    """

    def __init__(self, clips: TrainingClips, scale: int, reduction: str = "BI") -> None:
        super().__init__()
        self.clips, self.scale, self.reduction = clips, scale, reduction

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for truth in self.clips:
            reduced = degrade(truth.float().div(255), self.scale, self.reduction)
            yield reduced.mul(255).round().byte(), truth


class DegradedClips(IterableDataset[tuple[Tensor, Tensor]]):
    """An endless, seeded sequence of pairs, both uint8: input (T, 3, h, w), truth (T, 3, H, W).

    Args:
        clips: Ground truth, of ``coded_shape`` for the patch and the degradation.
        shape: Shape of the ground truth that is returned.
        scale: Ground-truth size over low-resolution size.
        degradation: Ranges from which each clip's degradation is drawn.
    """

    def __init__(
        self, clips: TrainingClips, shape: ClipShape, scale: int, degradation: ClipDegradation
    ) -> None:
        super().__init__()
        self.clips, self.shape = clips, shape
        self.scale, self.degradation = scale, degradation

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rng = torch.Generator()
        for truth in self.clips:
            rng.manual_seed(int(truth[0, :, ::7, ::7].long().sum()) + self.clips.seed)
            yield self._crop(degrade_clip(truth, self.scale, self.degradation, rng), truth, rng)

    def _crop(self, low: Tensor, truth: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        patch = self.shape.size // self.scale
        start = index(len(truth) - self.shape.frames + 1, rng)
        top, left = (index(side - patch + 1, rng) for side in low.shape[-2:])
        time = slice(start, start + self.shape.frames)
        small = low[time, :, top : top + patch, left : left + patch]
        rows, columns = (slice(at * self.scale, (at + patch) * self.scale) for at in (top, left))
        return small.contiguous(), truth[time, :, rows, columns].contiguous()


def coded_shape(shape: ClipShape, scale: int, degradation: ClipDegradation) -> ClipShape:
    """The ground truth of what is coded, for a ground truth of what is trained on."""
    return ClipShape(
        frames=shape.frames + degradation.lead, size=shape.size + degradation.margin * scale
    )


def degrade_clip(
    truth_u8: Tensor, scale: int, degradation: ClipDegradation, rng: torch.Generator
) -> Tensor:
    """One clip as it might be found: blurred, reduced, noisy, coded.

    Args:
        truth_u8: (T, 3, H, W), uint8; sides divisible by twice the scale.
        scale: Ground-truth size over low-resolution size.
        degradation: Ranges to draw from.
        rng: Source of all randomness.

    Returns:
        (T, 3, H / scale, W / scale), uint8.
    """
    frames = truth_u8.float().div(255)
    if chance(degradation.blur_share, rng):
        sigma = scale * between(0, degradation.blur_sigma, rng)
        frames = blur(frames, gaussian(2 * math.ceil(3 * sigma) + 1, (sigma, sigma))[None])
    for order in degradation.orders:
        frames = degrade_once(frames, order, rng)
    size = (truth_u8.shape[-2] // scale, truth_u8.shape[-1] // scale)
    small = _reduced(frames, size, REDUCTIONS[index(len(REDUCTIONS), rng)])
    if degradation.sinc_share and chance(degradation.sinc_share, rng):
        small = blur(small, draw_sinc(len(small), 0.0, rng))
    if chance(degradation.noise_share, rng):
        sigmas = torch.full((len(small),), between(0, degradation.noise_sigma, rng) / 255)
        small = gaussian_noise(small, sigmas, rng, grey=chance(degradation.grey_share, rng))
    if degradation.grain_share and chance(degradation.grain_share, rng):
        strength = between(0, degradation.grain_sigma, rng) / 255
        small = film_grain(small, strength, between(0, degradation.grain_px, rng), rng)
    small_u8 = small.clamp(0, 1).mul(255).round().byte()
    if chance(degradation.uncoded_share, rng):
        return small_u8
    return code(small_u8, draw_coding(degradation, rng))


def _reduced(frames: Tensor, size: tuple[int, int], how: str) -> Tensor:
    """Resize to the final size, which earlier degradations may have passed already."""
    factor = frames.shape[-1] // size[1]
    if frames.shape[-2:] == (factor * size[0], factor * size[1]):
        return reduce(frames, factor, how)
    return resize(frames, size, how).clamp(0, 1)


def reduce(frames: Tensor, scale: int, how: str) -> Tensor:
    """Reduce (T, 3, H, W) by ``area``, antialiased ``bicubic`` or antialiased ``bilinear``."""
    if scale == 1:
        return frames
    if how == "area":
        return F.avg_pool2d(frames, scale)
    if how == "bicubic":
        return imresize(frames, 1 / scale)
    return F.interpolate(frames, scale_factor=1 / scale, mode="bilinear", antialias=True)


def draw_coding(degradation: ClipDegradation, rng: torch.Generator) -> Coding:
    """An encoder with options from the ranges."""
    encoder = degradation.encoders[index(len(degradation.encoders), rng)]
    if encoder == "mpeg4":
        level = str(round(between(degradation.least_quantiser, degradation.most_quantiser, rng)))
        return Coding(codec=encoder, options={"qmin": level, "qmax": level})
    options = {
        "crf": f"{between(degradation.least_crf, degradation.most_crf, rng):.1f}",
        "g": str(round(between(*degradation.group, rng))),
        "bf": str(index(degradation.most_b_frames + 1, rng)),
        "preset": X26X_PRESETS[index(len(X26X_PRESETS), rng)],
    }
    if encoder == "libx265":
        options["x265-params"] = "log-level=none:pools=none:frame-threads=1"
    return Coding(codec=encoder, options=options)
