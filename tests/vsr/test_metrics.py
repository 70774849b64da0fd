"""PSNR and SSIM as the published tables have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vsr.metrics import luma, psnr, ssim


def read(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1) / 255


def test_scores_equal_those_of_the_published_metric_code(shared: Path) -> None:
    folder = shared / "oracle" / "duf52l"
    for name, expected in json.loads((folder / "metrics.json").read_text()).items():
        truth = read((shared / "data/eval/vid4/GT" / name).with_suffix(".webp"))
        restored = read((folder / name).with_suffix(".png"))
        for key, (want_psnr, want_ssim) in expected.items():
            crop = 8 if "8" in key else 0
            a, b = (
                x[:, crop : x.shape[1] - crop, crop : x.shape[2] - crop] for x in (restored, truth)
            )
            if "y" in key.lower():
                a, b = luma(a), luma(b)
            assert abs(float(psnr(a, b)) - want_psnr) < 1e-3, (name, key)
            assert abs(float(ssim(a, b)) - want_ssim) < 1e-5, (name, key)


def test_every_frame_of_a_batch_has_its_own_score() -> None:
    truth = torch.rand(2, 3, 3, 16, 20)
    restored = truth.clone()
    restored[1, 2] += 0.1
    scores = psnr(restored, truth)
    assert scores.shape == (2, 3)
    torch.testing.assert_close(float(scores[1, 2]), 20.0, atol=1e-4, rtol=0)
    assert scores[0, 0] == float("inf")
    assert ssim(truth, truth).shape == (2, 3)
