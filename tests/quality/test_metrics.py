"""PSNR and SSIM as the published tables have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Identity
from vsr.models.placement import place
from vsr.quality.metrics import crop_border, fidelity, luma, psnr, ssim


def read(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1) / 255


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    """Frames of noise, and the same frames disturbed."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, 150, 203, generator=generator)
    noise = torch.randn(truth.shape, generator=generator)
    return (truth + 0.05 * noise).clamp(0, 1), truth


def test_scores_equal_those_of_the_published_metric_code(shared: Path) -> None:
    folder = shared / "oracle" / "duf52l"
    compared = 0
    for name, expected in json.loads((folder / "metrics.json").read_text()).items():
        truth = read((shared / "data/eval/vid4/GT" / name).with_suffix(".webp"))[None]
        restored = read((folder / name).with_suffix(".png"))[None]
        for key, (want_psnr, want_ssim) in expected.items():
            crop, channels = key.removeprefix("crop").split("_")
            a, b = (crop_border(x, int(crop)) for x in (restored, truth))
            measured = fidelity(a, b)
            assert abs(float(measured[f"psnr_{channels}"]) - want_psnr) < 1e-3, (name, key)
            assert abs(float(measured[f"ssim_{channels}"]) - want_ssim) < 1e-5, (name, key)
            compared += 1
    assert compared == 7 * 4


def test_every_frame_of_a_batch_has_its_own_score() -> None:
    truth = torch.rand(2, 3, 3, 16, 20)
    restored = truth.clone()
    restored[1, 2] += 0.1
    scores = psnr(restored, truth)
    assert scores.shape == (2, 3)
    torch.testing.assert_close(float(scores[1, 2]), 20.0, atol=1e-4, rtol=0)
    assert scores[0, 0] == float("inf")
    assert ssim(truth, truth).shape == (2, 3)


def test_one_pass_gives_what_the_single_scores_give(pair: tuple[Tensor, Tensor]) -> None:
    restored, truth = pair
    measured = fidelity(restored, truth)
    for key, change in (("rgb", lambda frames: frames), ("y", luma)):
        a, b = change(restored), change(truth)
        torch.testing.assert_close(measured[f"psnr_{key}"], psnr(a, b), atol=1e-5, rtol=0)
        torch.testing.assert_close(measured[f"ssim_{key}"], ssim(a, b), atol=1e-6, rtol=0)


def test_ssim_is_what_its_definition_says_in_double_precision(pair: tuple[Tensor, Tensor]) -> None:
    """Every window of the first frame's first channel, as in Wang et al., equation 13."""
    x, y = (frames[0, 0].double() * 255 for frames in pair)
    offset = torch.arange(11, dtype=torch.float64) - 5
    weight = torch.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    weight = weight / weight.sum()
    windows = [image.unfold(0, 11, 1).unfold(1, 11, 1) for image in (x, y)]
    a, b = ((window * weight).sum((-2, -1)) for window in windows)
    centred = [w - m[..., None, None] for w, m in zip(windows, (a, b), strict=True)]
    aa, bb, ab = (
        (centred[i] * centred[j] * weight).sum((-2, -1)) for i, j in ((0, 0), (1, 1), (0, 1))
    )
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * a * b + c1) * (2 * ab + c2) / ((a**2 + b**2 + c1) * (aa + bb + c2))
    measured = ssim(*(frames[0, :1] for frames in pair))
    torch.testing.assert_close(measured, expected.mean(), atol=1e-7, rtol=0)


def test_a_frame_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="30x10 is too small"):
        ssim(torch.rand(3, 10, 30), torch.rand(3, 10, 30))


@pytest.mark.gpu
def test_a_device_gives_the_scores_a_cpu_gives(pair: tuple[Tensor, Tensor]) -> None:
    restored, truth = pair
    _, there = place(Identity(), device="cuda")  # without TF32, as in a run
    for name, expected in fidelity(restored, truth).items():
        measured = fidelity(restored.to(there), truth.to(there))[name].cpu()
        torch.testing.assert_close(measured, expected, atol=1e-3, rtol=0)
