"""Scenes are found, listed, or counted; what only looks like a cut is none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.networks import moving_clip
from tests.streaming import frames_of, pieces, pts_of
from vsr.errors import ConfigurationError
from vsr.scenes.markers import SceneMarker, scene_marker
from vsr.types import Chunk, StreamInfo

INFO = StreamInfo(height=48, width=64, time_base=Fraction(1, 250), start_pts=0)


def marked(marker: SceneMarker, chunks: list[Chunk]) -> list[Chunk]:
    return [out for chunk in chunks for out in marker.push(chunk)] + marker.drain()


def starts_of(chunks: list[Chunk]) -> list[int]:
    """Numbers of the frames that are marked."""
    return [chunk.pts[i] // 10 for chunk in chunks for i in sorted(chunk.scene_starts)]


def find(frames: Tensor, size: int = 4) -> list[int]:
    return starts_of(marked(scene_marker("auto", INFO), pieces(frames, size)))


def scene(num_frames: int, seed: int) -> Tensor:
    """A texture that drifts by a pixel a frame."""
    wide = moving_clip(1, 48, 64 + num_frames, seed=seed)[0]
    return torch.stack([wide[:, :, i : i + 64] for i in range(num_frames)])


@pytest.mark.parametrize("size", [1, 4, 50])
def test_cuts_are_found_however_frames_arrive(size: int) -> None:
    clip = torch.cat([scene(10, 1), scene(9, 2), scene(12, 3)])
    assert find(clip, size) == [10, 19]


def test_a_cut_at_the_last_frame_is_found() -> None:
    assert find(torch.cat([scene(10, 1), scene(1, 2)])) == [10]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_cut(length: int) -> None:
    clip = scene(24, 1)
    clip[10 : 10 + length] = 0.2 * clip[10 : 10 + length] + 0.8
    assert find(clip) == []


def test_a_cut_right_behind_a_flash_is_found() -> None:
    clip = torch.cat([scene(12, 1), scene(12, 2)])
    clip[8] = 1
    assert find(clip) == [12]


def test_a_fast_pan_is_no_cut() -> None:
    wide = moving_clip(1, 48, 64 * 12)[0]
    places = [0] * 8 + list(range(0, 400, 40)) + [400] * 8
    assert find(torch.stack([wide[:, :, x : x + 64] for x in places])) == []


def test_fades_are_no_cuts() -> None:
    clip = torch.cat([scene(12, 1), scene(12, 2)])
    clip[6:12] *= torch.linspace(0.85, 0, 6).view(-1, 1, 1, 1)
    clip[12:18] *= torch.linspace(0, 0.85, 6).view(-1, 1, 1, 1)
    assert find(clip) == []


def test_no_frame_is_lost_changed_or_held_back_without_need() -> None:
    clip = torch.cat([scene(10, 1), scene(9, 2)])
    marker = scene_marker("auto", INFO)
    left, waiting = [], []
    for i, chunk in enumerate(pieces(clip, 1)):
        left += marker.push(chunk)
        waiting.append(i + 1 - len(pts_of(left)))
    left += marker.drain()
    assert pts_of(left) == list(range(0, 190, 10))
    assert torch.equal(frames_of(left), clip)
    assert waiting == [0] * 10 + [1, 2, 3] + [0] * 6


def test_marks_of_the_source_stay() -> None:
    assert starts_of(marked(scene_marker("auto", INFO), pieces(scene(9, 1), 4, cuts=[5]))) == [5]


def test_every_so_many_frames() -> None:
    left = marked(scene_marker("every 4", INFO), pieces(scene(10, 1), 3))
    assert starts_of(left) == [0, 4, 8]


def test_off_marks_nothing() -> None:
    clip = torch.cat([scene(5, 1), scene(5, 2)])
    assert starts_of(marked(scene_marker("off", INFO), pieces(clip, 4))) == []


def test_a_file_lists_frames_and_times(tmp_path: Path) -> None:
    (tmp_path / "cuts.txt").write_text("# by hand\n3\n0:00.24  # the sixth\n\n0.31\n99\n")
    marker = scene_marker(str(tmp_path / "cuts.txt"), INFO)
    assert starts_of(marked(marker, pieces(scene(10, 1), 4))) == [3, 6, 8]


@pytest.mark.parametrize("content", [None, "3\nsoon\n", "-1\n", "1:2:3:4\n"])
def test_invalid_lists_are_reported(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "cuts.txt").write_text(content)
    with pytest.raises(ConfigurationError, match="; give"):
        scene_marker(str(tmp_path / "cuts.txt"), INFO)


@pytest.mark.parametrize("asked", ["every", "every 0", "sometimes"])
def test_words_that_mean_nothing_are_taken_for_files_that_are_missing(asked: str) -> None:
    with pytest.raises(ConfigurationError, match="give auto, off, 'every N' or a text file"):
        scene_marker(asked, INFO)
