"""Strength by region: a picture says where which of two results is shown."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
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
from vsr.models.architectures.baselines import Bicubic, Identity
from vsr.models.coarseness import strength
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.regions import RATE, ByQuality, ByRegion, tied
from vsr.offline.job import restore
from vsr.offline.model_choice import networks_for
from vsr.offline.options import RestoreOptions, SceneModel
from vsr.quality.coding import Coding, code
from vsr.restorer import Restorer
from vsr.streams import open_reader
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
    restorer = Restorer(network, tiles=tiles, precision="float32")
    return frames_of(stream(restorer, pieces(moving_clip(3, 128, 192), 2)))


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


def coded(clip: Tensor, qp: int) -> Tensor:
    """A clip (T, 3, H, W) as x264 leaves it."""
    coding = Coding(codec="libx264", options={"qp": str(qp), "preset": "veryfast"})
    return code(clip.mul(255).round().byte(), coding).float() / 255


def fine_clip(num_frames: int, height: int, width: int) -> Tensor:
    """(T, 3, H, W): a still picture with detail of all sizes, and flat places, as films have."""
    generator = torch.Generator().manual_seed(4)
    picture = torch.zeros(height, width)
    for side in (1, 2, 4, 8):
        noise = torch.randn(1, 1, height // side, width // side, generator=generator)
        picture += side**0.25 * F.interpolate(noise, (height, width), mode="bicubic")[0, 0]
    rows, columns = (torch.arange(side) % 48 < 24 for side in (height, width))
    picture[rows[:, None] & columns] = 0
    return (0.4 + 0.02 * picture).clamp(0, 1).expand(num_frames, 3, -1, -1)


def by_quality(size: int, tiles: tuple[int, int] = (1, 1)) -> Tensor:
    network = ByQuality(srvgg(), fainter())
    clip = coded(moving_clip(5, 64, 320), 36)
    return frames_of(stream(Restorer(network, tiles=tiles), pieces(clip, size)))


def test_quality_is_told_by_region_and_noise_is_none() -> None:
    clip = fine_clip(1, 128, 320)
    half = clip.clone()
    half[..., :160] = coded(clip, 46)[..., :160]
    whole, planted = strength(clip)[0], strength(half)[0]
    assert whole.mean() < 0.25
    assert planted[:, :112].mean() > whole[:, :112].mean() + 0.5
    torch.testing.assert_close(planted[:, 272:], whole[:, 272:])
    noise = 12 / 255 * torch.randn(clip.shape, generator=torch.Generator().manual_seed(1))
    assert strength((clip + noise).clamp(0, 1)).mean() > 0.9


def test_strength_by_quality_is_the_same_for_every_chunk_size_and_for_tiles() -> None:
    whole = by_quality(5)
    assert all(by_quality(size).equal(whole) for size in (1, 2))
    torch.testing.assert_close(by_quality(5, tiles=(1, 2)), whole, atol=1e-4, rtol=0)


def test_strength_by_quality_follows_the_frames_slowly_and_begins_anew_with_a_scene() -> None:
    fine = fine_clip(2, 64, 64)
    coarse = coded(fine, 48)
    clip = torch.cat([fine, coarse])[None]
    network = ByQuality(Bicubic(scale=4), Bicubic(scale=4))
    _, state = network.step(clip, None, 4)
    assert state.share_BThw is not None
    share_Thw = state.share_BThw[0]
    own = [1 - strength(frame[None])[0] for frame in (fine[0], coarse[0], coarse[1])]
    torch.testing.assert_close(share_Thw[1], own[0])
    torch.testing.assert_close(share_Thw[2], own[0].lerp(own[1], RATE))
    _, again = network.step(clip[:, 2:], None, 1)
    assert again.share_BThw is not None
    torch.testing.assert_close(again.share_BThw[0, 0], own[1])


def test_a_run_by_quality_resumes_to_the_same_frames(tmp_path: Path) -> None:
    torch.save(srvgg().state_dict(), tmp_path / "vivid.pth")
    torch.save(fainter().state_dict(), tmp_path / "faithful.pth")
    source = str(write_clip(tmp_path / "a.mkv", Clip(num_frames=12, options={"crf": "40"})))
    options = RestoreOptions(
        model=f"{tmp_path}/vivid.pth+{tmp_path}/faithful.pth",
        fidelity=0,
        strength_map="auto",
        encoder="ffv1",
        device="cpu",
        chunk=2,
        scenes="off",
        segment=4,
    )
    whole, target = (str(tmp_path / name) for name in ("whole.mkv", "b.mkv"))
    restore(source, whole, options)
    stop = threading.Event()
    restore(
        source,
        target,
        options,
        on_progress=lambda p: stop.set() if p.frames > 4 else None,
        stop=stop,
    )
    done = restore(source, target, replace(options, resume=True))
    assert 0 < done.resumed < 12
    assert read_frames(target).equal(read_frames(whole))


def read_frames(path: str) -> Tensor:
    with open_reader(path) as reader:
        return torch.cat([chunk.frames for chunk in reader.chunks(8)])


def test_clean_scenes_of_the_automatic_model_have_no_map_and_a_model_for_them_is_refused(
    tmp_path: Path,
) -> None:
    options = RestoreOptions(strength_map="auto", device="cpu")
    models = (
        SceneModel(start_s=0.0, model="compact-x4-video"),
        SceneModel(start_s=1.0, model="compact-x4"),
    )
    first, (change,) = networks_for(models, options)
    assert isinstance(first, ByQuality)
    assert not isinstance(change.network, ByQuality)
    with pytest.raises(ConfigurationError, match="give another model with a strength map"):
        load_network("compact-x4", strength="auto")


@pytest.mark.parametrize("which", ["a.mkv", "b.mkv", "linked.mkv"])
def test_the_map_replaces_neither_source_nor_result(
    which: str, tmp_path: Path, vsr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_clip(tmp_path / "a.mkv", Clip(num_frames=3))
    before = source.read_bytes()
    Path("linked.mkv").symlink_to(source)
    words = ("-m", "bicubic-x2", "--strength-map", "auto", "--show-map", which, "--overwrite")
    for more in ((), ("--dry-run",)):
        done = vsr("restore", source, tmp_path / "b.mkv", *words, *more)
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "give the map another name" in done.err
    assert source.read_bytes() == before
    assert not (tmp_path / "b.mkv").exists()


def test_a_run_that_shows_a_map_promises_no_journal(tmp_path: Path, vsr: Run) -> None:
    source = write_clip(tmp_path / "a.mkv", Clip(num_frames=8))
    words = ("-m", "bicubic-x2", "--strength-map", "auto", "--dry-run")
    sized = ("--segment", "2")
    for more, kept in (((), "b.mkv.resume"), (("--show-map", tmp_path / "m.mkv"), "none")):
        done = vsr("restore", source, tmp_path / "b.mkv", *words, *sized, *more)
        assert kept in next(line for line in done.out.splitlines() if line.startswith("journal"))
