"""The artefact guard: what is found, how it is cleaned, and what is shown instead."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.networks import moving_clip
from tests.streaming import frames_of, pieces, stream
from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Bicubic, Identity
from vsr.models.guard import regions
from vsr.models.guard.detection import CELL, HYSTERESIS, TEXTURED_LIMIT, found_share
from vsr.models.guard.local_variance import texture_similarity
from vsr.models.guard.network import RELEASE, Guarded
from vsr.models.guard.published import LIMIT, artifact_mask, tolerant
from vsr.models.network import Network, NetworkFacts
from vsr.restorer import Restorer

MARGIN = slice(5, -5)


@pytest.fixture
def published(shared: Path) -> dict[str, Tensor]:
    arrays = np.load(shared / "oracle" / "desra.npz")
    found = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return found | {name: found[name].permute(2, 0, 1) / 255.0 for name in ("gan", "mse")}


def test_masks_are_those_of_the_published_code_pixel_by_pixel(
    published: dict[str, Tensor], shared: Path
) -> None:
    area = json.loads((shared / "oracle" / "index.json").read_text())["desra"]["area"]
    similarity = texture_similarity(published["gan"], published["mse"])
    torch.testing.assert_close(similarity, published["map"].float(), atol=5e-5, rtol=0)
    classes = published["segmentation"]
    weighted = tolerant(similarity, classes[MARGIN, MARGIN])
    torch.testing.assert_close(weighted, published["map_semantic"].float(), atol=5e-5, rtol=0)
    for name, least in (("mask", 0), ("mask_area", area)):
        mask = artifact_mask(published["gan"], published["mse"], classes, least_area=least)
        assert torch.equal(mask[MARGIN, MARGIN], published[name].bool()), name
        assert mask.shape == classes.shape


def test_without_classes_one_limit_holds_everywhere(published: dict[str, Tensor]) -> None:
    alike = artifact_mask(published["gan"], published["mse"], torch.full((150, 190), 2))
    assert torch.equal(artifact_mask(published["gan"], published["mse"]), alike)
    assert 0 < float(alike.float().mean()) < 1
    assert LIMIT == 0.7


PATTERN = """
.........
.###..#..
.#.#.#.#.
.###..#.#
.......#.
##......#
"""


def pattern(text: str = PATTERN) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.array([[mark == "#" for mark in line] for line in text.split()])


def test_holes_are_filled_unless_the_background_leaks_out_at_a_corner() -> None:
    """The background is joined over corners, too, so that a diamond has no inside."""
    filled = regions.fill_holes(pattern())
    assert {tuple(place) for place in np.argwhere(filled != pattern())} == {(2, 2)}


def test_small_components_are_dropped() -> None:
    kept = regions.drop_small(pattern(), 7)
    assert kept.sum() == 8
    assert kept[1:4, 1:4].sum() == 8
    assert not regions.drop_small(pattern(), 8).any()
    assert np.array_equal(regions.drop_small(pattern(), 0), pattern())


@pytest.mark.parametrize("radius", [1, 2, 6, 9])
def test_squares_grow_and_shrink_a_mask(radius: int) -> None:
    mask = torch.rand(1, 20, 15, generator=torch.Generator().manual_seed(0)) > 0.97
    square = torch.nn.functional.max_pool2d(mask.float(), 2 * radius + 1, 1, radius) > 0
    assert torch.equal(regions.dilate(mask, radius), square)
    assert torch.equal(regions.erode(~mask, radius), ~square)


def checkerboard(clip: Tensor) -> Tensor:
    """Frames (T, 3, H, W) with a checkerboard of single pixels in the middle."""
    height, width = clip.shape[-2:]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    board = ((rows + columns) % 2 - 0.5) * 0.4
    inside = ((rows - height / 2).abs() < 24) & ((columns - width / 2).abs() < 24)
    return torch.where(inside, clip + board, clip)


class Inventing(Network[None]):
    """Adds a checkerboard to frames whose first pixel is red."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="inventing", scale=1, stateless=True)

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        kept = window_BTCHW[:, :num_keep]
        marked = (kept[:, :, 0, 0, 0] > 0.9)[..., None, None, None]
        return torch.where(marked, checkerboard(kept), kept), None


def clip_with(lies: set[int], num_frames: int = 8) -> Tensor:
    clip = 0.3 + 0.3 * moving_clip(num_frames, 96, 128)
    clip[sorted(lies), 0, 0, 0] = 1
    return clip


def restored(clip: Tensor, cuts: tuple[int, ...] = ()) -> tuple[Tensor, Tensor, int]:
    """Frames, where they are the faithful network's, and how many were counted."""
    network = Guarded(Inventing(), Identity())
    restorer = Restorer(network, chunk=2, device="cpu", precision="float32")
    left = stream(restorer, pieces(clip, 3, cuts))
    shown = [chunk.guarded for chunk in left if chunk.guarded is not None]
    return frames_of(left), torch.cat(shown), restorer.counts.guarded


def test_invented_detail_is_replaced_by_the_faithful_result() -> None:
    clip = clip_with({2, 3})
    frames, guarded, _ = restored(clip)
    differs = (frames - clip).abs().amax(1) > 2e-3
    made_up = (checkerboard(clip) - clip).abs().amax(1) > 2e-3
    assert not differs[[0, 1, 4, 5, 6, 7]].any()
    assert differs.sum() < 0.05 * made_up[2:4].sum()  # at its corners
    assert guarded.shape == (8, 96, 128)
    assert (guarded[2, 30:66, 46:82] == 255).all()
    assert not guarded[:2].any()
    assert not guarded[2, :8].any()


def test_regions_leave_gradually_and_not_into_another_scene() -> None:
    shares = [restored(clip_with({1}), cuts)[1][:, 48, 64] for cuts in ((), (3,))]
    expected = torch.tensor([0, *(255 * RELEASE**i for i in range(7))]).round().byte()
    assert torch.equal(shares[0], expected)
    assert torch.equal(shares[1], expected * torch.tensor([1, 1, 1, 0, 0, 0, 0, 0]).byte())


def test_frames_with_artefacts_are_counted() -> None:
    assert restored(clip_with({1, 5}, 9))[2] == 4  # 1 and 5, and while they leave
    assert restored(clip_with(set()))[2] == 0


def test_found_regions_do_not_depend_on_tiles() -> None:
    torch.manual_seed(0)
    vivid, faithful = torch.rand(1, 3, 160, 160), torch.rand(1, 3, 160, 160) / 3 + 0.3
    faithful[..., :80] = vivid[..., :80]
    whole = found_share(vivid, faithful, None)
    cut = found_share(vivid[..., 40:], faithful[..., 40:], None)
    assert whole.any()
    assert not whole.all()
    assert torch.equal(cut[..., 3:], whole[..., 40 // CELL + 3 :])


def test_a_region_does_not_spread_from_frame_to_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where all around is only just no artefact."""
    similarity = torch.full((1, 12, 32), TEXTURED_LIMIT + HYSTERESIS / 2)
    similarity[:, 4:8, 4:8] = 0
    name = "vsr.models.guard.detection"
    monkeypatch.setattr(f"{name}._similarity", lambda *_: similarity)
    monkeypatch.setattr(f"{name}._limit", lambda _: torch.full_like(similarity, TEXTURED_LIMIT))
    frames = torch.full((1, 3, 12 * CELL, 32 * CELL), 0.5)
    first = share = found_share(frames, frames, None)
    for _ in range(6):
        share = found_share(frames, frames, share)
    assert torch.equal(share, first)


def test_a_blob_of_colour_is_found_without_any_texture() -> None:
    clip = clip_with(set(), 1)
    rows, columns = torch.arange(96)[:, None] - 48, torch.arange(128) - 64
    bell = torch.exp(-(rows.square() + columns.square()) / 300)
    blotched = clip + 0.2 * bell * torch.tensor([1.0, -0.5, -0.5]).view(3, 1, 1)
    found = found_share(blotched, clip, None)
    assert found[0, 6, 8]
    assert not found[0, 0].any()


def test_ends_of_different_scales_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="need one scale"):
        Guarded(Identity(), Bicubic(scale=2))
