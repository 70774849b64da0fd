"""The contract of all networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.networks import ALL, compact, moving_clip
from vsr.errors import ConfigurationError
from vsr.models.network import Network

Maker = Callable[[], Network[Any]]
networks = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())


@networks
@pytest.mark.parametrize(
    ("num_frames", "height", "width"),
    [(1, 1, 1), (3, 17, 33), (2, 70, 45)],
)
def test_any_size_and_length_is_restored(
    make: Maker, num_frames: int, height: int, width: int
) -> None:
    network = make()
    with torch.inference_mode():
        restored = network(torch.rand(1, num_frames, 3, height, width))
    scale = network.facts.scale
    assert restored.shape == (1, num_frames, 3, scale * height, scale * width)
    assert restored.dtype == torch.float32
    assert restored.isfinite().all()


@pytest.mark.slow
@networks
def test_every_side_up_to_36_pixels_is_restored(make: Maker) -> None:
    """Beyond 32, of which flow networks take multiples, it begins again."""
    network = make()
    scale = network.facts.scale
    for side in range(1, 37):
        for height, width in ((side, 37 - side), (side, 1), (1, side)):
            with torch.inference_mode():
                restored = network(torch.rand(1, 1 + side % 2, 3, height, width))
            assert restored.shape[-2:] == (scale * height, scale * width)
            assert restored.isfinite().all()


@pytest.mark.slow
@networks
def test_every_length_from_one_frame_is_restored(make: Maker) -> None:
    network = make()
    for num_frames in range(1, 13):
        with torch.inference_mode():
            restored = network(torch.rand(1, num_frames, 3, 6, 9))
        assert restored.shape[1] == num_frames
        assert restored.isfinite().all()


@networks
def test_a_step_leaves_the_state_it_was_given_unchanged(make: Maker) -> None:
    network = make()
    clip = moving_clip(6, 20, 24)[None]
    with torch.inference_mode():
        _, state = network.step(clip[:, :4], None, 2)
        first, _ = network.step(clip[:, 2:], state, 2)
        second, _ = network.step(clip[:, 2:], state, 2)
    assert torch.equal(first, second)


@networks
def test_streams_in_one_batch_do_not_meet(make: Maker) -> None:
    network = make()
    a, b = moving_clip(4, 20, 24, seed=1), moving_clip(4, 20, 24, seed=2)
    with torch.inference_mode():
        together = network(torch.stack([a, b]))
        alone = network(a[None])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=0)


@networks
def test_the_input_is_left_unchanged(make: Maker) -> None:
    clip = moving_clip(3, 20, 24)[None]
    before = clip.clone()
    with torch.inference_mode():
        make()(clip)
    assert torch.equal(clip, before)


@pytest.mark.parametrize(
    "clip",
    [
        torch.rand(2, 3, 8, 8),
        torch.rand(1, 2, 1, 8, 8),
        torch.rand(1, 0, 3, 8, 8),
        torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8),
        torch.rand(1, 2, 3, 8, 8).double(),
    ],
)
def test_tensors_that_are_no_clips_are_refused_in_one_line(clip: torch.Tensor) -> None:
    with pytest.raises(ConfigurationError, match=r"a clip is \(B, T, 3, H, W\)"):
        compact()(clip)
