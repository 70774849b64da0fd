"""Options that are suggested for a film, from the findings of ``vsr assess``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vsr.models.catalogue import AUTO_MODEL, MODELS, VIDEO_MODELS, fitting_model
from vsr.web.options import HEIGHTS, Options

ENLARGED, COMBED = 0.3, 0.3
"""Severities from which on an earlier enlargement and interlaced rows count."""

LARGEST_FIT = max(HEIGHTS)


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """The findings, and the suggested options.

    Attributes:
        found: One sentence: the notable kinds of damage.
        options: The suggested options.
        reasons: One clause for each option that is not the default.
    """

    found: str
    options: Options
    reasons: tuple[str, ...]


def suggest(assessment: Mapping[str, Any]) -> Suggestion:
    """Suggest options for a film.

    Args:
        assessment: Output of ``vsr assess --json``.
    """
    means, reasons = assessment["means"], []
    deinterlace = "auto"
    if means["combing"] >= COMBED:
        deinterlace = "frame"
        reasons.append("deinterlacing, because rows of two times are in one frame")
    height, width = assessment["height"], assessment["width"]
    made_by = MODELS[fitting_model(height, width)]
    fit, reason = _fit(min(height, width), means["enlarged"], made_by.scale or 1)
    reasons += [reason] if reason else []
    options = Options(model=AUTO_MODEL, fit=fit, deinterlace=deinterlace)  # type: ignore[arg-type]
    return Suggestion(found=assessment["summary"], options=options, reasons=tuple(reasons))


def _fit(rows: int, enlarged: float, scale: int) -> tuple[int | None, str | None]:
    """The target size and the reason for it; None for the model's output size."""
    real = rows / 4**enlarged if enlarged >= ENLARGED else rows
    if enlarged < ENLARGED and rows * scale <= LARGEST_FIT:
        return None, None
    fit = max((one for one in HEIGHTS if rows <= one <= real * max(VIDEO_MODELS)), default=None)
    if fit is None:
        return None, None
    if enlarged >= ENLARGED:
        return fit, f"{fit} rows, because the film was enlarged from about {real:.0f}"
    return fit, f"{fit} rows, because few screens show more"
