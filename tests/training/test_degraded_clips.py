"""Clips degraded for training: drawn from ranges, repeatable, of the size asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.quality.coding import Coding, code
from vsr.quality.second_order import Order, curve, degrade_once, draw_kernels
from vsr.training.config import read_training_config
from vsr.training.degraded_clips import ClipDegradation, degrade_clip

UNCODED = ClipDegradation(uncoded_share=1.0, blur_share=0.0, noise_share=0.0)

REAL_ESRGAN = """
[network]
architecture = "compact"
[data.degradation]
encoders = ["libx264"]
sinc_share = 0.8
[[data.degradation.orders]]
drift = 0.3
[[data.degradation.orders]]
blur_share = 0.8
blur_sigma = [0.2, 1.5]
enlarge_share = 0.3
reduce_share = 0.4
scale = [0.3, 1.2]
noise_sigma = [1, 25]
poisson_strength = [0.05, 2.5]
"""


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip(num_frames: int = 3) -> Tensor:
    coarse = torch.rand((num_frames, 3, 12, 16), generator=seeded())
    return torch.nn.functional.interpolate(coarse, size=(192, 256)).mul(255).round().byte()


def test_real_esrgans_two_orders_are_read_from_toml_and_make_clips_of_the_size(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.toml").write_text(REAL_ESRGAN)
    degradation = read_training_config(tmp_path / "config.toml").data.degradation
    assert degradation is not None
    assert degradation.orders[1].blur_sigma == (0.2, 1.5)
    for seed in range(12):
        low = degrade_clip(clip(), 4, degradation, seeded(seed))
        assert (low.shape, low.dtype) == ((3, 3, 48, 64), torch.uint8)


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "mpeg4"])
def test_a_clip_can_be_made_again(encoder: str) -> None:
    degradation = ClipDegradation(encoders=(encoder,), orders=(Order(),))
    low = [degrade_clip(clip(), 4, degradation, seeded(seed)) for seed in (1, 1, 2)]
    assert torch.equal(low[0], low[1])
    assert not torch.equal(low[0], low[2])


def test_pictures_smaller_than_x265_can_take_are_coded_all_the_same() -> None:
    for side in (16, 34, 48):
        frames = torch.randint(256, (3, 3, side, 70), dtype=torch.uint8)
        coded = code(frames, Coding(codec="libx265", options={"x265-params": "log-level=none"}))
        assert coded.shape == frames.shape


def test_without_orders_and_encoders_a_clip_is_only_reduced() -> None:
    low = degrade_clip(clip(), 4, UNCODED, seeded())
    difference = low.float() - torch.nn.functional.avg_pool2d(clip().float(), 4)
    assert difference.abs().mean() < 4


def test_drifting_values_change_smoothly_within_their_range() -> None:
    values = curve((2.0, 4.0), 30, 1.0, seeded())
    assert values.min() >= 2
    assert values.max() <= 4
    assert values.diff().abs().max() < 0.06 * 2
    assert values[0] != values[-1]
    assert curve((2.0, 4.0), 30, 0.0, seeded()).diff().abs().max() == 0


def test_blurs_keep_brightness_and_drift_frame_by_frame() -> None:
    still, moving = (draw_kernels(Order(drift=d), 4, seeded(9)) for d in (0.0, 0.8))
    assert (len(still), len(moving)) == (1, 4)
    assert torch.allclose(moving.sum((1, 2)), torch.ones(4, dtype=torch.float64))
    assert not torch.equal(moving[0], moving[3])


def test_an_order_of_nothing_leaves_a_clip_as_it_is() -> None:
    nothing = Order(blur_share=0, enlarge_share=0, reduce_share=0, noise_share=0, jpeg_share=0)
    frames = clip().float() / 255
    assert torch.equal(degrade_once(frames, nothing, seeded()), frames)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"blur_sigma": (3.0, 0.2)}, "blur_sigma is .* the lower one first"),
        ({"kernel_sides": (7, 20)}, "give two odd numbers from 3 to 51"),
        ({"kernel_weights": (1.0,)}, "kernel_weights has 1 values; give 6"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Order(**values)  # type: ignore[arg-type]


def test_a_range_of_one_number_is_refused(tmp_path: Path) -> None:
    text = REAL_ESRGAN.replace("blur_sigma = [0.2, 1.5]", "blur_sigma = [0.2]")
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"blur_sigma is \[0.2\]; give 2 values"):
        read_training_config(tmp_path / "config.toml")


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_coding_leaves_brightness_and_colours_where_they_are(codec: str) -> None:
    """Networks learn to put back whatever moves them."""
    blocks = torch.randint(0, 256, (3, 3, 8, 8), generator=seeded(), dtype=torch.uint8)
    frames = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)
    finest = {"crf": "1"} if codec == "libx264" else {"qmin": "2", "qmax": "2"}
    error = code(frames, Coding(codec=codec, options=finest)).float() - frames.float()
    assert error.mean((0, 2, 3)).abs().max() < 0.4
