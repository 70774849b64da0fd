"""One number out of several scores, as restoration challenges rank by it; higher is better.

raim2026  30 PSNR / 50 + 22.5 (SSIM - 0.5) / 0.5 + 30 (1 - LPIPS / 0.4), at most 82.5 for a PSNR of
          50 dB: the automatic part of the third RAIM challenge, by its published program
          (github.com/qulishen/RAIM-HDR). PSNR is of RGB, SSIM of Y, as pyiqa computes them there.
ntire     (1 - LPIPS) + (1 - DISTS) + CLIPIQA + MANIQA + MUSIQ / 100 + max(0, (10 - NIQE) / 10): the
          perceptual track of NTIRE's super-resolution x4 (2024, 2025). CLIPIQA, MANIQA (that of
          PIPAL) and MUSIQ are pyiqa's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

HIGHEST_PSNR = 80.0
"""PSNR of equal frames: pyiqa adds 1e-8 to the error."""

Scores = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """How a challenge combines scores.

    Attributes:
        metrics: Scores that it needs besides PSNR and SSIM.
        combine: From the scores of frames, (T,) each, to the challenge's.
    """

    metrics: tuple[str, ...]
    combine: Callable[[Scores], Tensor]


def _raim(scores: Scores) -> Tensor:
    psnr, ssim = scores["psnr_rgb"].clamp(max=HIGHEST_PSNR), scores["ssim_y"]
    return 30 * psnr / 50 + 22.5 * (ssim - 0.5) / 0.5 + 30 * (1 - scores["lpips"] / 0.4)


def _ntire(scores: Scores) -> Tensor:
    distances = (1 - scores["lpips"]) + (1 - scores["dists"])
    learnt = scores["clipiqa"] + scores["maniqa-pipal"] + scores["musiq"] / 100
    return distances + learnt + ((10 - scores["niqe"]) / 10).clamp(min=0)


CHALLENGES = {
    "raim2026": Challenge(metrics=("lpips",), combine=_raim),
    "ntire": Challenge(
        metrics=("lpips", "dists", "niqe", "clipiqa", "maniqa-pipal", "musiq"), combine=_ntire
    ),
}
"""Challenges by the names of ``--score``."""
