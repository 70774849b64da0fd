"""Strength by region: a picture says where which of two results is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.networks import compact, moving_clip, srvgg
from tests.streaming import frames_of, pieces, stream
from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Identity
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.regions import ByRegion, tied
from vsr.restorer import Restorer
from vsr.streams.decode.image_reader import read_image


def test_the_low_band_of_a_vivid_result_is_the_faithful_ones() -> None:
    generator = torch.Generator().manual_seed(2)
    vivid, faithful = (torch.rand(1, 3, 32, 48, generator=generator) for _ in range(2))
    result = tied(vivid, faithful, 4)
    torch.testing.assert_close(F.avg_pool2d(result, 4), F.avg_pool2d(faithful, 4))
    detail, wanted = (
        x - F.interpolate(F.avg_pool2d(x, 4), scale_factor=4) for x in (result, vivid)
    )
    torch.testing.assert_close(detail, wanted, atol=1e-6, rtol=0)


def fainter() -> Network[Any]:
    network = srvgg()
    for parameter in network.parameters():
        parameter.data.mul_(0.7)
    return network


def by_map(map_1hw: Tensor, tiles: tuple[int, int] = (1, 1)) -> Tensor:
    network = ByRegion(srvgg(), fainter(), map_1hw)
    return frames_of(stream(Restorer(network, tiles=tiles), pieces(moving_clip(3, 128, 192), 2)))


def test_a_picture_says_where_which_result_is_shown_whatever_the_tiles() -> None:
    clip = moving_clip(3, 128, 192)
    strong, mild = srvgg()(clip[None])[0], fainter()(clip[None])[0]
    left = torch.zeros(1, 32, 48)
    left[..., :24] = 1
    shown = by_map(left)
    torch.testing.assert_close(shown[..., : 4 * 80], strong[..., : 4 * 80])
    torch.testing.assert_close(shown[..., 4 * 112 :], mild[..., 4 * 112 :])
    torch.testing.assert_close(by_map(left, tiles=(1, 2)), shown, atol=1e-4, rtol=0)


def test_ends_of_different_scales_and_a_guard_beside_a_map_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="need one scale"):
        ByRegion(compact(), Identity(), torch.ones(1, 1, 1))
    with pytest.raises(ConfigurationError, match="exclude each other"):
        load_network("compact-x4", strength=torch.ones(1, 1, 1), guard_artifacts=True)


def test_the_command_writes_the_map_and_counts_no_artefacts(tmp_path: Path, vsr: Run) -> None:
    clip = Clip(num_frames=3, height=64, width=96, options={"crf": "40"})
    source, target, shown = write_clip(tmp_path / "a.mp4", clip), tmp_path / "b.mkv", tmp_path / "m"
    picture = tmp_path / "map.png"
    Image.new("L", (6, 4), 51).save(picture)
    words = ("--strength-map", picture, "--show-map", f"{shown}/", "--overwrite", "--json")
    done = vsr("restore", source, target, "-m", "compact-x2-video", *words)
    assert done.code == 0
    assert json.loads(done.out)["guarded"] == 0
    maps = sorted(shown.iterdir())
    assert len(maps) == 3
    assert read_image(maps[1]).shape == (3, 128, 192)
    assert float(read_image(maps[1]).mean()) == pytest.approx(0.8, abs=0.01)
    missing = vsr("restore", source, target, "--strength-map", tmp_path / "no.png", "--overwrite")
    assert (missing.code, missing.err.count("\n")) == (1, 1)
