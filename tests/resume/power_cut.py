"""Runs whose power is cut between two steps, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.results import Progress, Summary

SIZES: dict[str, Any] = {"chunk": 3, "look_ahead": 2, "segment": 8, "device": "cpu"}


class PowerCutError(Exception):
    """Ends a run at once."""


def until_cut(source: Path, target: Path, frames: int, **options: Any) -> None:
    """Restore until so many frames of this run are written, then have the power cut."""

    def cut(progress: Progress) -> None:
        if progress.frames - progress.resumed >= frames:
            raise PowerCutError

    options = {**SIZES, **options}
    with pytest.raises(PowerCutError):
        restore(str(source), str(target), RestoreOptions(**options), on_progress=cut)


def in_parts(source: Path, target: Path, cuts: Sequence[int], **options: Any) -> Summary:
    """Restore with the power cut several times."""
    for frames in cuts:
        until_cut(source, target, frames, resume=True, **options)
    return restore(str(source), str(target), RestoreOptions(resume=True, **{**SIZES, **options}))
