"""Published figures to compare with."""

from __future__ import annotations

from collections.abc import Mapping

from vsr.models.catalogue import MODELS
from vsr.models.checkpoints.model import Quality

PSNR_OF_CLIPS: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("REDS4", "basicvsr_reds4"): {"000": 28.39, "011": 32.46, "015": 34.22, "020": 30.60},
    ("REDS4", "iconvsr_reds4"): {"000": 28.55, "011": 32.89, "015": 34.54, "020": 30.80},
}
"""PSNR of single clips in the data set's channels, from the model zoos."""


def published(title: str, degradation: str) -> dict[str, Quality]:
    """Published figures of the networks in the catalogue on a data set, by model.

    Args:
        title: Title of the data set.
        degradation: Degradation of the input; dialects of BD have no figures of their own.
    """
    usual = title.startswith("REDS") and degradation == "BI"
    name = title if usual else f"{title} {degradation}"
    return {
        model: quality
        for model, entry in MODELS.items()
        for quality in entry.quality
        if quality.data == name
    }


def mismatch(model: str, degradation: str) -> str | None:
    """Note for a network that is used on another degradation than it was trained for."""
    trained = MODELS[model].degradation if model in MODELS else ""
    if not trained or degradation in (trained, "given"):
        return None
    if degradation.startswith(trained):
        return f"{model} was trained for {trained}; {degradation} is another dialect of it"
    return f"{model} was trained for {trained}; on {degradation} a network loses 2 to 6 dB"
