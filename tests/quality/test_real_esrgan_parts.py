"""The parts of Real-ESRGAN's degradation against outputs of the published code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vsr.quality import blur_kernels
from vsr.quality.blur_kernels import blur
from vsr.quality.filters import RESIZES, gaussian_noise, poisson_noise, resize, sharpen
from vsr.quality.jpeg import jpeg

FAMILIES: dict[str, Callable[..., Tensor]] = {
    "bivariate_Gaussian": blur_kernels.gaussian,
    "bivariate_generalized_Gaussian": blur_kernels.generalised_gaussian,
    "bivariate_plateau": blur_kernels.plateau,
}


def kernel_of(told: dict[str, Any]) -> Tensor:
    side = told["kernel_size"]
    if told["function"] == "circular_lowpass_kernel":
        kernel = blur_kernels.sinc(side, told["cutoff"])
        return blur_kernels.padded(kernel, told["pad_to"]) if told["pad_to"] else kernel
    sigma = (told["sig_x"], told["sig_x"] if told["isotropic"] else told["sig_y"])
    shape = {"shape": told["beta"]} if "beta" in told else {}
    return FAMILIES[told["function"]](side, sigma, told["theta"], **shape)


def ops(shared: Path) -> dict[str, Tensor]:
    arrays = np.load(shared / "oracle" / "degradation_ops.npz")
    return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def test_kernels_are_the_published_ones(shared: Path) -> None:
    index = json.loads((shared / "oracle" / "index.json").read_text())["degradation_kernels"]
    published = np.load(shared / "oracle" / "degradation_kernels.npz")
    for name, told in index["arguments"].items():
        assert np.abs(kernel_of(told).numpy() - published[name]).max() < 1e-7, name


def test_each_image_is_filtered_by_its_kernel(shared: Path) -> None:
    known = ops(shared)
    assert (blur(known["input"], known["kernel"]) - known["filter2d"]).abs().max() < 1e-5
    one = blur(known["input"], known["kernel"][:1])
    assert (one[0] - known["filter2d"][0]).abs().max() < 1e-5


def test_jpeg_is_the_published_one(shared: Path) -> None:
    known = ops(shared)
    assert (jpeg(known["input"], known["quality"]) - known["diffjpeg"]).abs().max() < 1e-5


def test_sharpening_is_the_published_one(shared: Path) -> None:
    known = ops(shared)
    assert (sharpen(known["usm_input"]) - known["usm"]).abs().max() < 1e-5


@pytest.mark.parametrize("mode", RESIZES)
def test_resizing_is_the_published_one(shared: Path, mode: str) -> None:
    known = ops(shared)
    resized = resize(known["input"], (23, 31), mode)
    assert (resized - known[f"resize_{mode}"]).abs().max() < 1e-5


def test_gradients_pass_through_jpeg() -> None:
    images = torch.rand(1, 3, 20, 24).requires_grad_()
    jpeg(images, torch.tensor([60.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("grey", [False, True])
def test_gaussian_noise_has_the_deviation_asked_for(grey: bool) -> None:
    flat = torch.full((2, 3, 64, 64), 0.5)
    noise = gaussian_noise(flat, torch.tensor([0.1, 0.02]), seeded(), grey=grey) - flat
    assert noise.flatten(1).std(1).tolist() == pytest.approx([0.1, 0.02], rel=0.05)
    assert torch.equal(noise[:, 0], noise[:, 1]) is grey


@pytest.mark.parametrize("grey", [False, True])
def test_poisson_noise_grows_with_brightness(grey: bool) -> None:
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 64, 256)
    noise = poisson_noise(ramp, torch.tensor([1.0]), seeded(), grey=grey) - ramp
    dark, bright = noise[..., 32:96].std(), noise[..., 160:224].std()
    assert float(bright / dark) == pytest.approx(3**0.5, rel=0.1)
    assert float(bright) == pytest.approx((0.75 / 256) ** 0.5, rel=0.1)
    assert torch.allclose(noise[:, 0], noise[:, 1], atol=1e-6) is grey


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)
