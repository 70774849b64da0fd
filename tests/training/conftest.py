"""Footage that tests train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    stills = tmp_path / "footage" / "stills"
    stills.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in "ab":
        picture = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(picture).resize((160, 120), Image.Resampling.BICUBIC).save(
            stills / f"{name}.png"
        )
    return tmp_path / "footage"
