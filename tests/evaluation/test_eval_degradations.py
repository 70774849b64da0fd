"""The low resolution that tables are made on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.quality.degradation import BLURS, DEGRADATIONS, degrade


def read(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)


@pytest.mark.slow
def test_bi_of_all_of_vid4_is_matlabs_on_every_pixel(shared: Path) -> None:
    folder = shared / "data" / "eval" / "vid4"
    paths = sorted((folder / "GT").glob("*/*"))
    assert len(paths) == 171
    for path in paths:
        small = degrade(read(path).float().div(255), 4, "BI").mul(255).round().byte()
        assert torch.equal(small, read(folder / "BIx4" / path.parent.name / f"{path.stem}.png"))


def test_bd_is_imfilter_with_replicated_borders_and_every_fourth_pixel() -> None:
    """As MATLAB does: imfilter(I, fspecial('gaussian', 12, 1.6), 'replicate'), (2:4:end-2)."""
    image = torch.rand(24, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    taps = np.arange(12) - 5.5
    kernel = np.exp(-(taps[:, None] ** 2 + taps**2) / (2 * 1.6**2))
    kernel /= kernel.sum()
    # An even kernel's centre is its sixth sample: output i is made of i - 5 to i + 6.
    padded = np.pad(image.numpy(), ((5, 6), (5, 6)), mode="edge")
    filtered = np.array(
        [[(padded[i : i + 12, j : j + 12] * kernel).sum() for j in range(32)] for i in range(24)]
    )
    expected = np.floor(filtered[1:-2:4, 1:-2:4] * 255 + 0.5)
    small = degrade(image[None], 4, "BD")[0] * 255
    assert small.shape == (6, 8)
    assert np.array_equal(small.round().numpy(), expected)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_every_degradation_keeps_a_constant_and_any_leading_axes(name: str) -> None:
    frames = torch.full((2, 5, 3, 32, 48), 51 / 255)
    small = degrade(frames, 4, name)
    torch.testing.assert_close(small, torch.full((2, 5, 3, 8, 12), 51 / 255))


def test_the_dialects_differ_in_where_a_sample_lies() -> None:
    """A ramp tells the place of each sample: the middle of its block, or its first pixel."""
    ramp = torch.arange(48, dtype=torch.float64).repeat(3, 48, 1) / 255
    for name, place in (("BI", 1.5), ("BD", 1.5), ("BD-13", 0.0), ("BD-1.5", 0.0)):
        inner = degrade(ramp, 4, name)[0, 6, 3:9] * 255
        where = inner - torch.arange(12, 36, 4)
        assert where.min() >= np.floor(place), name
        assert where.max() <= np.ceil(place), name


def test_undefined_blurs_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="known are BI, BD"):
        degrade(torch.rand(3, 32, 32), 4, "BX")
    with pytest.raises(ConfigurationError, match="x3"):
        degrade(torch.rand(3, 33, 33), 3, "BD")
    assert not BLURS["BD-13"].centred
