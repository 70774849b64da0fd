"""Faces followed from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from torch import Tensor

from tests.faces.drawing import found, frame_with, placed
from vsr.faces.alignment import TEMPLATE, Points, Similarity
from vsr.faces.detector import Faces
from vsr.faces.registration import patch_of, register
from vsr.faces.tracker import Tracker

JITTER = 2.0
"""Pixels by which a detector errs, at random: of faces of 120 pixels, MTCNN does about as much."""


class Detector:
    """Knows where the faces of each frame are, with errors that differ from call to call."""

    def __init__(self, places: Sequence[Sequence[Similarity]], jitter: float = JITTER) -> None:
        self.places, self.jitter, self.number = places, jitter, 0
        self.random = np.random.default_rng(3)

    def __call__(self, frame: Tensor) -> Faces:
        points = [place(TEMPLATE) for place in self.places[self.number]]
        return found([p + self._error() for p in points])

    def _error(self) -> Points:
        errors = self.jitter * self.random.standard_normal((2, 5))
        shifts: Points = errors[0] + 1j * errors[1]
        return shifts


def followed(
    places: Sequence[Sequence[Similarity]], *, every: int = 5, jitter: float = JITTER
) -> tuple[list[list[Points]], int]:
    """Points of the tracks of each frame, and the number of detections."""
    detector = Detector(places, jitter)
    tracker, tracks = Tracker(detector, every), []
    for detector.number, here in enumerate(places):
        tracks.append([track.points for track in tracker.follow(frame_with(here))])
    return tracks, tracker.detections


def test_the_motion_of_a_face_is_found_to_a_fraction_of_a_pixel() -> None:
    before, after = placed(120, 150, 140), placed(128, 171.3, 133.8, 0.09)
    patch = patch_of(frame_with([before]), before)
    motion = register(patch, frame_with([after]), before)
    assert motion.likeness > 0.9
    assert np.abs(motion.place(TEMPLATE) - after(TEMPLATE)).max() < 0.5


def test_a_face_that_is_gone_is_not_taken_for_another_thing() -> None:
    place = placed(120, 150, 140)
    patch = patch_of(frame_with([place]), place)
    assert register(patch, frame_with([]), place).likeness < 0.6


@pytest.mark.parametrize("speed", [0.0, 4.0, 18.0])
def test_points_are_steadier_than_detections_and_never_behind(speed: float) -> None:
    places = [[placed(120, 70 + speed * t, 140 + 0.5 * t)] for t in range(12)]
    tracks, detections = followed(places)
    assert detections == 3
    errors = np.array(
        [here[0] - place(TEMPLATE) for here, (place,) in zip(tracks, places, strict=True)]
    )
    # What a detection errs by at first goes away; what the face moves by never shows.
    assert np.abs(errors[7:].mean(1)).max() < 1.5
    steps = np.abs(np.diff(errors, axis=0)).mean()
    assert steps < 0.25 * JITTER


def test_tracks_end_with_their_scene_and_begin_with_the_next() -> None:
    places = [[placed(100, 120, 140)]] * 2 + [[placed(100, 260, 150)]] * 2
    detector = Detector(places, 0.0)
    tracker, numbers = Tracker(detector, 5), []
    for detector.number, here in enumerate(places):
        if detector.number == 2:
            tracker.reset()
        numbers.append([track.number for track in tracker.follow(frame_with(here))])
    assert numbers == [[1], [1], [2], [2]]
    assert tracker.detections == 2


def test_several_faces_keep_their_numbers_where_they_cross_a_detection() -> None:
    places = [[placed(90, 100 + 3 * t, 100), placed(90, 280 - 3 * t, 200)] for t in range(12)]
    tracks, _ = followed(places, jitter=0.5)
    for here, there in zip(tracks, places, strict=True):
        for points, place in zip(here, there, strict=True):
            assert abs(points.mean() - place(TEMPLATE).mean()) < 2


def test_frames_without_faces_are_searched_every_nth_time_only() -> None:
    tracks, detections = followed([[]] * 21, every=7)
    assert tracks == [[]] * 21
    assert detections == 3


def test_a_face_that_vanishes_is_searched_for_and_given_up() -> None:
    places = [[placed(100, 150, 140)]] * 3 + [[]] * 3
    tracks, detections = followed(places, every=50)
    assert [len(here) for here in tracks] == [1, 1, 1, 0, 0, 0]
    assert detections == 2
