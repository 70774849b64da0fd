"""Faces restored within frames: which, how strongly, how steadily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.faces.drawing import found, frame_with, placed
from vsr.faces.alignment import TEMPLATE, Similarity, aligned
from vsr.faces.detector import Faces
from vsr.faces.selection import Limits
from vsr.faces.stage import FaceStage
from vsr.faces.steadiness import steady
from vsr.types import Chunk

Places = Sequence[Sequence[Similarity]]

ALL = Limits(smallest=1, sharpest=9)


def chunk_of(frames: Tensor, start: int = 0, scene_starts: frozenset[int] = frozenset()) -> Chunk:
    pts = tuple(range(start, start + len(frames)))
    return Chunk(frames=frames, pts=pts, time_base=Fraction(1, 25), scene_starts=scene_starts)


def knowing(places: Places, score: float = 0.999) -> Callable[[Tensor], Faces]:
    """A detector that knows the faces of the frames with the numbers that their corner carries."""
    return lambda frame: found(
        [place(TEMPLATE) for place in places[round(float(frame[0, 0, 0]) * 255)]], score
    )


@cache
def _drawn(places: tuple[tuple[Similarity, ...], ...]) -> Tensor:
    return torch.stack([frame_with(here) for here in places])


def film(places: Places) -> Tensor:
    """Frames with faces, each with its number in a corner."""
    frames = _drawn(tuple(map(tuple, places))).clone()
    frames[:, :, 0, 0] = torch.arange(len(places))[:, None] / 255
    return frames


def darker(faces: Tensor) -> Tensor:
    return faces - 0.2


def stage(
    places: Places, network: Callable[[Tensor], Tensor] = darker, **options: Any
) -> FaceStage:
    score = options.pop("score", 0.999)
    return FaceStage(network, knowing(places, score), **{"limits": ALL, **options})


def change(before: Tensor, after: Tensor, place: Similarity) -> float:
    """Mean change in the middle of a face."""
    faces = [aligned(frame, place)[:, 200:300, 200:300] for frame in (before, after)]
    return float((faces[1] - faces[0]).mean())


STILL = [[placed(120, 160 + t, 140)] for t in range(7)]


def test_a_network_that_changes_nothing_leaves_frames_to_the_bit() -> None:
    frames = film(STILL)
    left = stage(STILL, lambda faces: faces).push(chunk_of(frames)).frames
    assert torch.equal(left, frames)


def test_frames_without_faces_leave_as_they_came() -> None:
    places: Places = [[]] * 6
    one = stage(places)
    given = chunk_of(film(places))
    assert one.push(given) is given
    assert one.counts.detections == 2
    assert one.counts.restored == 0


@pytest.mark.parametrize("strength", [1.0, 0.25, 0.0])
def test_strength_is_the_part_of_the_change_that_is_applied(strength: float) -> None:
    frames = film(STILL)
    one = stage(STILL, strength=strength)
    left = one.push(chunk_of(frames)).frames
    for before, after, (place,) in zip(frames, left, STILL, strict=True):
        assert abs(change(before, after, place) + 0.2 * strength) < 0.02
    assert one.counts.restored == len(STILL)
    assert one.counts.tracks == 1


def test_chunks_may_be_cut_anywhere() -> None:
    frames = film(STILL)
    whole = stage(STILL).push(chunk_of(frames)).frames
    parts = stage(STILL)
    pieces = [parts.push(chunk_of(frames[a:b], a)).frames for a, b in ((0, 1), (1, 6), (6, 7))]
    assert torch.equal(whole, torch.cat(pieces))


def test_frames_after_a_reset_or_a_cut_do_not_depend_on_earlier_ones() -> None:
    frames = film(STILL)
    one, other, third = stage(STILL), stage(STILL), stage(STILL)
    one.push(chunk_of(frames[:3]))
    one.reset()
    tail = one.push(chunk_of(frames[3:], 3)).frames
    assert torch.equal(tail, other.push(chunk_of(frames[3:], 3)).frames)
    cut = third.push(chunk_of(frames, scene_starts=frozenset({3}))).frames[3:]
    assert torch.equal(tail, cut)


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("small", {"limits": Limits(smallest=64), "scale": 4.0}),
        ("sharp", {"limits": Limits(smallest=1, sharpest=0.001)}),
        ("unsure", {"limits": ALL, "score": 0.8}),
    ],
)
def test_faces_that_need_nothing_or_show_too_little_are_left_alone(
    reason: str, options: dict[str, Any]
) -> None:
    frames = film(STILL)
    one = stage(STILL, **options)
    assert torch.equal(one.push(chunk_of(frames)).frames, frames)
    assert one.counts.left_alone == {reason: len(STILL)}
    assert one.counts.restored == 0


def test_a_face_in_profile_is_left_alone() -> None:
    """The nose of a head that turns away moves out of the middle, and both eyes come close."""
    turned = TEMPLATE.copy()
    turned[[1, 4]] -= 50
    turned[2] += 75
    frames = film(STILL)
    detect = lambda frame: found([STILL[round(float(frame[0, 0, 0]) * 255)][0](turned)])  # noqa: E731
    one = FaceStage(darker, detect, limits=ALL)
    assert torch.equal(one.push(chunk_of(frames)).frames, frames)
    assert one.counts.left_alone == {"turned": len(STILL)}


def test_a_face_that_comes_within_a_scene_is_restored_by_and_by() -> None:
    places: Places = [[], [], *STILL]
    frames = film(places)
    left = stage(places, every=2).push(chunk_of(frames)).frames
    shown = [i for i, here in enumerate(places) if here]
    changes = [-change(frames[i], left[i], places[i][0]) for i in shown]
    steps = [after - before for before, after in pairwise(changes)]
    assert changes[0] < 0.05
    assert abs(changes[-1] - 0.2) < 0.04
    assert max(steps) < 0.05


def test_detail_invented_for_each_frame_is_made_steady() -> None:
    generator = torch.Generator().manual_seed(1)

    def inventing(faces: Tensor) -> Tensor:
        coarse = torch.rand(len(faces), 3, 64, 64, generator=generator) - 0.5
        return faces + 0.2 * torch.nn.functional.interpolate(coarse, faces.shape[-2:])

    frames = film(STILL).clamp(0.2, 0.8)
    frames[:, :, 0, 0] = torch.arange(len(STILL))[:, None] / 255
    flicker = {}
    for blends in (True, False):
        left = stage(STILL, inventing, blends=blends).push(chunk_of(frames)).frames
        pairs = zip(left, STILL, strict=True)
        faces = [aligned(frame, place)[:, 150:350, 150:350] for frame, (place,) in pairs]
        flicker[blends] = float(torch.stack(faces).diff(dim=0)[2:].square().mean())
    assert flicker[True] < 0.2 * flicker[False]


def test_values_beyond_black_and_white_are_kept() -> None:
    frames = film(STILL)
    frames[:, :, 100:140, 150:200] = 1.3
    left = stage(STILL, lambda faces: faces).push(chunk_of(frames)).frames
    assert torch.equal(left, frames)


def test_a_frame_of_no_numbers_is_survived() -> None:
    frames = film(STILL)
    frames[3, :, 1:] = float("nan")  # the first row tells what the detector finds
    left = stage(STILL).push(chunk_of(frames)).frames
    assert left[4:].isfinite().all()
    steadied = steady(frames[4], torch.zeros_like(frames[4]), None)
    for frame in (frames[3], *frames[4:]):
        steadied = steady(frame, torch.zeros_like(frame), steadied)
    assert steadied.change_3HW.isfinite().all()
