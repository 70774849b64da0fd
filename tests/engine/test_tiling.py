"""Frames in tiles look like frames in one piece."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.networks import ALL, moving_clip
from tests.streaming import Maker, frames_of, pieces, stream
from vsr.engine.settings import Settings
from vsr.engine.tiling import OVERLAP, finer, spans
from vsr.errors import ConfigurationError
from vsr.models.loading import load_network
from vsr.models.ops.imresize import imresize
from vsr.restorer import Restorer


@pytest.mark.parametrize("side", [40, 128, 200, 233, 1000])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("radius", [None, 0, 18, 94])
def test_tiles_cover_a_side_and_their_weights_add_up_to_one(
    side: int, count: int, radius: int | None
) -> None:
    total = torch.zeros(4 * side)
    for span in spans(side, count, radius):
        total[4 * span.start : 4 * span.end] += span.weights(4, torch.device("cpu"))
    torch.testing.assert_close(total, torch.ones(4 * side))


def test_neighbours_share_the_overlap() -> None:
    first, second = spans(200, 2)
    assert first.end - second.start == OVERLAP


def tiled_restorer(make: Maker, tiles: tuple[int, int]) -> Restorer:
    return Restorer(make(), chunk=2, look_ahead=1, tiles=tiles, device="cpu", precision="float32")


@pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
def test_every_network_runs_in_tiles(make: Maker) -> None:
    clip = moving_clip(3, 133, 9)
    restored = frames_of(stream(tiled_restorer(make, (2, 1)), pieces(clip, 2)))
    scale = make().facts.scale
    assert restored.shape == (3, 3, scale * 133, scale * 9)
    assert restored.isfinite().all()


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a.clamp(0, 1) - b).square().mean()))


def test_tiles_cost_less_than_a_twentieth_of_a_decibel() -> None:
    truth = moving_clip(6, 4 * 144, 4 * 160)
    low = imresize(truth, 0.25)
    whole, tiled = (
        frames_of(stream(tiled_restorer(load_network, tiles), pieces(low, 6)))
        for tiles in ((1, 1), (2, 2))
    )
    assert not torch.equal(whole, tiled)
    assert abs(psnr(whole, truth) - psnr(tiled, truth)) < 0.05


@pytest.mark.parametrize("make", [ALL["rrdbnet"], ALL["srvgg"], ALL["unet"]])
def test_tiles_of_a_network_with_a_known_radius_are_exact(make: Maker) -> None:
    clip = moving_clip(3, 261, 135)
    whole, tiled = (
        frames_of(stream(tiled_restorer(make, tiles), pieces(clip, 3)))
        for tiles in ((1, 1), (4, 2))
    )
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_tiles_of_a_large_radius_are_large() -> None:
    assert finer(Settings(chunk=1, look_ahead=0), 600, 700, radius=349) is None
    finest = finer(Settings(chunk=1, look_ahead=0), 600, 710, radius=349)
    assert finest is not None
    assert finest.tiles == (1, 2)
    assert [span.end - span.start for span in spans(1500, 8, radius=349)] == [720, 1088, 1072, 732]


def test_finer_tiles_halve_the_longer_side_until_tiles_are_small() -> None:
    settings: Settings | None = Settings(chunk=1, look_ahead=0)
    seen = []
    while settings is not None:
        seen.append(settings.tiles)
        settings = finer(settings, 300, 500)
    assert seen == [(1, 1), (1, 2), (2, 2), (2, 4), (4, 4)]


def test_tiles_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="1 or more rows and columns"):
        tiled_restorer(ALL["identity"], (0, 2))
