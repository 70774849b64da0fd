"""The log of a training run: a line of CSV every few steps."""

from __future__ import annotations

import csv
from pathlib import Path

from vsr.training.loop import StepReport

LOG_FIELDS = ("iteration", "loss", "gradient_norm", "learning_rate", "seconds", "validation_psnr_y")


def write_log(path: Path, step: StepReport, seconds: float, score: float | None = None) -> None:
    """Append a line.

    Args:
        path: The log; created if it is not there.
        step: Report of the last step.
        seconds: Time spent in steps so far.
        score: PSNR of a validation after it; None without one.
    """
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        if fresh:
            log.writerow(LOG_FIELDS)
        shown = "" if score is None else repr(score)  # exact: a resumed run compares with it
        row = (f"{step.loss:.5f}", f"{step.gradient_norm:.3f}", f"{step.learning_rate:.2e}")
        log.writerow((step.iteration, *row, f"{seconds:.0f}", shown))


def best_score(path: Path) -> float:
    """The best validation in a log; minus infinity if there is none."""
    if not path.exists():
        return float("-inf")
    with path.open(newline="", encoding="utf-8") as file:
        scores = [row["validation_psnr_y"] for row in csv.DictReader(file)]
    return max((float(score) for score in scores if score), default=float("-inf"))
