"""Pictures that set versions of a frame side by side."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vsr.quality.montage import (
    CROP_HEIGHT,
    CROP_WIDTH,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    detail_sheet,
    find_differences,
    label,
    panel_size,
    save_png,
    side_by_side,
)


def _grey(height: int, width: int, level: float = 0.5) -> Tensor:
    return torch.full((3, height, width), level)


def test_panels_stand_beside_each_other_under_their_titles() -> None:
    picture = side_by_side([("input", _grey(100, 160, 0.2)), ("restored", _grey(100, 160, 0.8))])
    assert picture.shape == (3, 100, 320)
    assert torch.equal(picture[:, 60:, :160], _grey(40, 160, 0.2))
    assert torch.equal(picture[:, 60:, 160:], _grey(40, 160, 0.8))
    assert picture[:, :40, :160].max() > 0.6


@pytest.mark.parametrize("size", [(91, 161), (2160, 3840)])
def test_a_panel_is_even_and_no_larger_than_players_accept(size: tuple[int, int]) -> None:
    height, width = panel_size(*size)
    assert side_by_side([("", _grey(*size))]).shape == (3, height, width)
    assert height % 2 == width % 2 == 0
    assert height <= PANEL_HEIGHT
    assert width <= PANEL_WIDTH


def test_a_large_frame_shows_its_middle() -> None:
    frame = _grey(PANEL_HEIGHT + 400, PANEL_WIDTH + 400, 0.0)
    frame[:, 200:-200, 200:-200] = 1
    assert side_by_side([("", frame)])[:, 60:].min() == 1


def test_the_largest_difference_comes_first_and_windows_do_not_overlap() -> None:
    first, second = _grey(720, 1280), _grey(720, 1280)
    second[:, 400:420, 900:920] += 0.3
    second[:, 100:120, 200:220] += 0.1
    (top, left), other, *_ = places = find_differences(first, second, count=4)
    assert top <= 400 <= top + CROP_HEIGHT - 20
    assert left <= 900 <= left + CROP_WIDTH - 20
    assert other[0] <= 100 <= other[0] + CROP_HEIGHT
    for i, a in enumerate(places):
        for b in places[:i]:
            assert abs(a[0] - b[0]) >= CROP_HEIGHT or abs(a[1] - b[1]) >= CROP_WIDTH


def test_a_frame_smaller_than_a_detail_is_shown_whole() -> None:
    assert find_differences(_grey(64, 80), _grey(64, 80, 0.4), count=3) == [(0, 0)]
    assert detail_sheet([("a", _grey(64, 80)), ("b", _grey(64, 80))]).shape[-2] == 128


def test_a_sheet_has_a_column_for_each_panel() -> None:
    panels = [("input", _grey(720, 1280)), ("restored", _grey(720, 1280, 0.6))]
    two = detail_sheet(panels)
    three = detail_sheet([*panels, ("ground truth", _grey(720, 1280))])
    assert two.shape[-2] == three.shape[-2] >= 3 * 2 * CROP_HEIGHT
    assert three.shape[-1] - two.shape[-1] >= 2 * CROP_WIDTH


def test_labelling_leaves_the_frame_itself_alone() -> None:
    frame = _grey(100, 160)
    label(frame, "restored")
    assert torch.equal(frame, _grey(100, 160))


def test_a_png_holds_the_frame_rounded_to_eight_bits(tmp_path: Path) -> None:
    frame = torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(0))
    save_png(frame, tmp_path / "frame.png")
    with Image.open(tmp_path / "frame.png") as image:
        pixels = torch.from_numpy(np.array(image)).movedim(-1, 0)
    assert torch.equal(pixels, frame.mul(255).round().byte())
