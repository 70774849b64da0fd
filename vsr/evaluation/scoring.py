"""Scoring one clip's restored frames, chunk by chunk."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.evaluation.challenges import CHALLENGES
from vsr.evaluation.frame_scores import FrameScore
from vsr.evaluation.motion import flow_difference, warping_error
from vsr.evaluation.pictures import PictureTaker
from vsr.evaluation.vmaf import LibvmafScorer
from vsr.models.ops.imresize import quantise
from vsr.models.ops.optical_flow import estimate_flow, visible_pixels
from vsr.quality.metrics import SSIM_WINDOW, crop_border, fidelity

TEMPORAL = ("tof", "warp")
"""Names people type for the scores of pairs of frames."""

WARP_UNIT = 1e-3
"""Unit of ``warp`` and ``warp_truth``, in squared [0, 1] values."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How restored frames are scored.

    Attributes:
        crop: Rows and columns left out at every border.
        rounded: Whether restored frames are rounded to 8 bit first, or only clamped.
        temporal: Those of ``TEMPORAL`` that are computed, besides PSNR and SSIM.
        frames: Scores of single frames, loaded.
        libvmaf: Scores of libvmaf that are computed, of ``vmaf.SCORES``.
        challenge: The one of ``CHALLENGES`` that is computed from the others; None for none.
    """

    crop: int = 0
    rounded: bool = True
    temporal: Sequence[str] = ()
    frames: Sequence[FrameScore] = ()
    libvmaf: Sequence[str] = ()
    challenge: str | None = None


class ClipScorer:
    """Scores the frames of one clip, in order. Used by one thread.

    Attributes:
        seconds: Time spent here so far.
    """

    def __init__(self, scoring: Scoring, *, pictures: PictureTaker | None = None) -> None:
        self._scoring, self._pictures = scoring, pictures
        self._scores: dict[str, list[Tensor]] = {}
        self._last: tuple[Tensor, Tensor] | None = None
        self._libvmaf: LibvmafScorer | None = None
        self.seconds = 0.0

    @torch.inference_mode()
    def add(self, low: Tensor, restored: Tensor, truth: Tensor) -> None:
        """Score the next frames.

        Args:
            low: (T, 3, h, w), for the pictures.
            restored: (T, 3, H, W), the network's unchanged output.
            truth: (T, 3, H, W) in [0, 1]; moved to the device of ``restored``.
        """
        started = time.perf_counter()
        restored = restored.float()
        restored = quantise(restored) if self._scoring.rounded else restored.clamp(0, 1)
        truth = truth.to(restored.device)
        if self._pictures is not None:
            self._pictures.add(low, restored, truth)
        a, b = (crop_border(frames, self._scoring.crop) for frames in (restored, truth))
        _require_size(a, self._scoring.crop)
        if self._scoring.libvmaf:
            if self._libvmaf is None:
                self._libvmaf = LibvmafScorer(self._scoring.libvmaf, *a.shape[-2:])
            self._libvmaf.add(a, b)
        for key, values in self._score(a, b).items():
            self._scores.setdefault(key, []).append(values.cpu())
        self.seconds += time.perf_counter() - started

    def finish(self) -> tuple[dict[str, list[float | None]], dict[str, str]]:
        """The scores of every frame, None where a frame has none; and pictures in base64."""
        started = time.perf_counter()
        joined = {key: torch.cat(values).tolist() for key, values in self._scores.items()}
        if self._libvmaf is not None:
            joined |= {key: values.tolist() for key, values in self._libvmaf.finish().items()}
        pictures = self._pictures.finish() if self._pictures is not None else {}
        self.seconds += time.perf_counter() - started
        return {
            k: [None if math.isnan(v) else v for v in values] for k, values in joined.items()
        }, pictures

    def close(self) -> None:
        """End the processes of a clip that is not finished."""
        if self._libvmaf is not None:
            self._libvmaf.close()

    def _score(self, restored: Tensor, truth: Tensor) -> dict[str, Tensor]:
        scores = fidelity(restored, truth)
        if self._scoring.temporal:
            scores |= self._score_motion(restored, truth)
        for score in self._scoring.frames:
            scores[score.name] = score(restored, truth)
        if self._scoring.challenge is not None:
            challenge = CHALLENGES[self._scoring.challenge]
            scores[self._scoring.challenge] = challenge.combine(scores)
        return scores

    def _score_motion(self, restored: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Scores of each frame and the one before it; NaN for a clip's first frame."""
        starts = self._last is None
        before = (restored[:1], truth[:1]) if self._last is None else self._last
        self._last = restored[-1:], truth[-1:]
        restored, truth = (torch.cat(pair) for pair in zip(before, (restored, truth), strict=True))
        pairs = [
            self._score_pair(restored[i : i + 2], truth[i : i + 2]) for i in range(len(truth) - 1)
        ]
        scores = {key: torch.stack([pair[key] for pair in pairs]) for key in pairs[0]}
        if starts:
            for values in scores.values():
                values[0] = torch.nan
        return scores

    def _score_pair(self, restored: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Scores of two frames in order of time, (2, 3, H, W) each."""
        flow = estimate_flow(truth[1:], truth[:1])
        scores = {}
        if "tof" in self._scoring.temporal:
            scores["tof"] = flow_difference(restored[1:], restored[:1], flow)[0]
        if "warp" in self._scoring.temporal:
            visible = visible_pixels(flow, estimate_flow(truth[:1], truth[1:]))
            for key, frames in {"warp": restored, "warp_truth": truth}.items():
                error = warping_error(frames[1:], frames[:1], flow, visible)[0]
                scores[key] = error / WARP_UNIT
        return scores


def _require_size(frames: Tensor, crop: int) -> None:
    height, width = frames.shape[-2:]
    if min(height, width) < SSIM_WINDOW:
        raise ConfigurationError(
            f"{width}x{height} pixels remain of each frame with --crop {crop}; "
            f"SSIM needs {SSIM_WINDOW} a side"
        )
