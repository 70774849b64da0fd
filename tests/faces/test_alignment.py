"""Faces brought to the template, and back into the frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.faces.drawing import blob, frame_with, placed
from vsr.faces.alignment import (
    OUTSIDE,
    SIZE,
    TEMPLATE,
    Similarity,
    aligned,
    fit,
    mask,
    paste,
    placement,
    sample,
)

PLACES = [
    placed(512, 255.5, 255.5),
    placed(90, 180.3, 140.7, 0.4),
    placed(200, 150.0, 160.0, -0.7),
    placed(40, 300.2, 60.9, 0.1),
]


@pytest.mark.parametrize("place", PLACES)
def test_points_of_an_aligned_face_lie_on_the_template(place: object) -> None:
    """Blobs at the points of a face, seen in the frame, come to lie where the template has them."""
    assert callable(place)
    points = place(TEMPLATE)
    radius = 14 * abs(placement(points).factor)
    spots = [blob(point, max(radius, 0.8), 512, 512) for point in points]
    frame = torch.stack([torch.stack(spots).sum(0)] * 3)
    face = aligned(frame, placement(points))[0]
    for point in TEMPLATE:
        left, top = int(point.real) - 30, int(point.imag) - 30
        part = face[top : top + 61, left : left + 61].clamp(min=0.1) - 0.1
        at = torch.arange(61.0)
        x = float((part.sum(0) * at).sum() / part.sum()) + left
        y = float((part.sum(1) * at).sum() / part.sum()) + top
        assert abs(complex(x, y) - point) < 1


def test_a_similarity_is_found_from_points_and_undone() -> None:
    place = placed(120, 77.0, 31.0, 0.3)
    again = fit(TEMPLATE, place(TEMPLATE))
    assert abs(again.factor - place.factor) < 1e-9
    assert np.abs(again.inverse()(again(TEMPLATE)) - TEMPLATE).max() < 1e-9
    assert np.abs(again.after(again.inverse())(TEMPLATE) - TEMPLATE).max() < 1e-9


def test_beyond_the_frame_is_the_published_grey() -> None:
    face = aligned(torch.ones(3, 64, 64), placed(64, 63.5, 63.5))
    corner = face[:, -100:, -100:].flatten(1).mean(1)
    torch.testing.assert_close(corner, torch.tensor(OUTSIDE))
    assert torch.equal(face[:, :100, :100], torch.ones(3, 100, 100))
    nowhere = aligned(torch.ones(3, 64, 64), placed(64, 900.0, 900.0))
    torch.testing.assert_close(nowhere[:, 0, 0], torch.tensor(OUTSIDE))


def test_unchanged_pixels_stay_equal_to_the_bit() -> None:
    frame = frame_with(PLACES[1:])
    pasted = frame.clone()
    for place in PLACES:
        paste(pasted, torch.zeros(3, SIZE, SIZE), place)
    assert torch.equal(pasted, frame)


def test_a_change_lands_on_the_face_and_nowhere_else() -> None:
    frame = torch.full((3, 288, 384), 0.5)
    place = placed(120, 180.0, 140.0, 0.5)
    change = 0.25 * mask(frame.device).expand(3, -1, -1)
    paste(frame, change, place)
    assert abs(float(frame[0, 140, 180]) - 0.75) < 1e-3
    back = aligned(frame, place) - 0.5
    assert float((back - change).abs().mean()) < 0.004
    reach = 120 * 2**0.5 / 2
    y, x = torch.meshgrid(torch.arange(288), torch.arange(384), indexing="ij")
    far = ((x - 180) ** 2 + (y - 140) ** 2).float().sqrt() > reach
    assert torch.equal(frame[:, far], torch.full_like(frame[:, far], 0.5))


def test_a_picture_is_reduced_without_aliasing() -> None:
    stripes = (torch.arange(512) % 2).float().expand(1, 512, 512)
    small = sample(stripes, Similarity(8, 60 + 60j), (48, 48))
    assert float((small[:, 8:-8, 8:-8] - 0.5).abs().max()) < 0.02
