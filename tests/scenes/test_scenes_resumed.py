"""A scene marker continues from another's state, with the frames that one held back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.scenes.test_scenes import INFO, scene, starts_of
from tests.streaming import frames_of, pieces, pts_of
from vsr.errors import CheckpointError, OpenError
from vsr.scenes.markers import ResumedMarker, SceneMarker, scene_marker
from vsr.scenes.state import DecidedMark, MarkerState, load_marks, save_marks
from vsr.types import Chunk

CLIP = torch.cat([scene(10, 1), scene(9, 2), scene(2, 3), scene(9, 4)])
CLIP[14] = 1  # a flash


def begin(asked: str, folder: Path) -> SceneMarker:
    (folder / "cuts.txt").write_text("3\n0:00.24\n0.31\n27\n")
    return scene_marker(str(folder / "cuts.txt") if asked == "file" else asked, INFO)


def carry_over(marker: SceneMarker, unrestored: list[Chunk], folder: Path) -> MarkerState:
    """The state at a border, from and to a file: of some frames the marks are known."""
    starts = [i in chunk.scene_starts for chunk in unrestored for i in range(len(chunk))]
    known = tuple(
        DecidedMark(pts=pts, starts=start)
        for pts, start in zip(pts_of(unrestored), starts, strict=True)
    )
    state = marker.state
    save_marks(folder / "marks.safetensors", replace(state, known=known + state.known))
    return load_marks(folder / "marks.safetensors")


@pytest.mark.parametrize("asked", ["auto", "every 4", "file", "off"])
@pytest.mark.parametrize("waiting", [0, 1, 3])
def test_marks_do_not_change_where_a_marker_is_replaced(
    asked: str, waiting: int, tmp_path: Path
) -> None:
    """Replaced after every chunk; the last ``waiting`` emitted chunks are read a second time."""
    chunks = pieces(CLIP, 3)
    whole = begin(asked, tmp_path)
    expected = [out for chunk in chunks for out in whole.push(chunk)] + whole.drain()
    for border in range(1, len(chunks)):
        first = begin(asked, tmp_path)
        left = [out for chunk in chunks[:border] for out in first.push(chunk)]
        kept = left[: max(0, len(left) - waiting)]
        state = carry_over(first, left[len(kept) :], tmp_path)
        second = ResumedMarker(begin(asked, tmp_path), state)
        rest = pieces(CLIP, 4)
        again = [skip(chunk, pts_of(kept)) for chunk in rest]
        kept += [out for chunk in again if len(chunk) for out in second.push(chunk)]
        kept += second.drain()
        assert pts_of(kept) == pts_of(expected)
        assert starts_of(kept) == starts_of(expected)
        assert torch.equal(frames_of(kept), CLIP)


def skip(chunk: Chunk, passed: list[int]) -> Chunk:
    """What of a chunk has not passed."""
    rest = [i for i, pts in enumerate(chunk.pts) if pts not in passed]
    return Chunk(
        frames=chunk.frames[rest], pts=tuple(chunk.pts[i] for i in rest), time_base=Fraction(1, 250)
    )


def test_a_marker_can_be_replaced_while_it_still_reads_what_is_known() -> None:
    known = tuple(DecidedMark(pts=10 * i, starts=i == 5) for i in range(8))
    marker: SceneMarker = ResumedMarker(
        scene_marker("every 9", INFO), MarkerState(known=known, seen=8)
    )
    left = marker.push(pieces(CLIP, 4)[0])
    assert marker.state.known == known[4:]
    marker = ResumedMarker(scene_marker("every 9", INFO), marker.state)
    for chunk in pieces(CLIP, 4)[1:4]:
        left += marker.push(chunk)
    assert pts_of(left) == list(range(0, 160, 10))
    assert starts_of(left) == [5, 9]


def test_another_source_is_noticed() -> None:
    marker = ResumedMarker(
        scene_marker("off", INFO), MarkerState(known=(DecidedMark(pts=5, starts=False),))
    )
    with pytest.raises(OpenError, match="a frame at 0, which was at 5 before"):
        marker.push(pieces(CLIP, 4)[0])
    with pytest.raises(OpenError, match="ends earlier"):
        ResumedMarker(marker, MarkerState(known=(DecidedMark(pts=5, starts=False),))).drain()


def test_a_damaged_file_of_marks_is_reported(tmp_path: Path) -> None:
    (tmp_path / "marks.safetensors").write_bytes(b"no more")
    with pytest.raises(CheckpointError, match="does not hold the scenes' marks"):
        load_marks(tmp_path / "marks.safetensors")


def test_a_folder_that_has_vanished_is_reported_in_a_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "marks.safetensors"
    with pytest.raises(OpenError, match=r"marks.safetensors' cannot be written .*; give a name in"):
        save_marks(gone, begin("every 4", tmp_path).state)
