"""Faces of a stream, each followed from its first frame to its last.

Between detections a face moves as the pictures show (``registration``), so that it is never behind,
however fast it moves; detections, whose points jitter from frame to frame, only correct what has
drifted, a fraction a frame. Tracks end with their scene.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from vsr.faces.alignment import Points, Similarity, placement
from vsr.faces.boxes import Array, overlaps
from vsr.faces.detector import Faces
from vsr.faces.registration import Motion, patch_of, register

Detect = Callable[[Tensor], Faces]
"""Finds the faces of a frame (3, H, W), in its own pixels."""

CORRECTED = 0.15
"""Part of what points have drifted that is corrected in each frame."""

STRAYED = 24.0
"""Pixels of the template that points may lie off before they are corrected at once."""

ALIKE = 0.6
"""Least correlation of a face with that of the frame before, if it is the same."""

SAME = 0.3
"""Least overlap of a track's and a detection's box."""

MISSES = 3
"""Detections in a row that may miss a face before its track ends."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """A face that is followed.

    Attributes:
        number: Number of the face, the same in all frames and unique in the stream.
        points: Five points in the frame, smoothed.
        box: Left, top, right and bottom.
        score: Probability of a face at the last detection.
        drift: Pending correction of the points, in pixels of the template.
        velocity: Shift since the frame before, in pixels.
        patch: Grey picture of the face in this frame.
        misses: Detections since the last that found it.
        age: Frames since it was found.
        likeness: Correlation with the face in the frame before.
        began_scene: Whether it was there when its scene began.
    """

    number: int
    points: Points
    box: Array
    score: float
    drift: Points
    velocity: complex
    patch: Tensor
    misses: int = 0
    age: int = 0
    likeness: float = 1.0
    began_scene: bool = False

    @property
    def place(self) -> Similarity:
        """Placement of the aligned face in the frame."""
        return placement(self.points)

    @property
    def side(self) -> float:
        """Side of the box, in pixels of the frame."""
        return float(np.sqrt((self.box[2] - self.box[0]) * (self.box[3] - self.box[1])))


class Tracker:
    """Follows the faces of one stream.

    Args:
        detect: The detector.
        every: Frames from one detection to the next; a face that is lost or a new scene is reason
            for another.
    """

    def __init__(self, detect: Detect, every: int = 5) -> None:
        self._detect, self._every = detect, every
        self.tracks: Sequence[Track] = ()
        self.detections = 0
        self._since, self._numbers, self._begins = every, 0, True

    def reset(self, *, begins_scene: bool = True) -> None:
        """Forget all faces: nothing of the frames before continues.

        Args:
            begins_scene: Whether a scene begins; otherwise faces that are found come within one.
        """
        self.tracks, self._since, self._begins = (), self._every, begins_scene

    def follow(self, frame_3HW: Tensor) -> Sequence[Track]:
        """Faces of the next frame.

        Args:
            frame_3HW: RGB in [0, 1].
        """
        moved = [_moved(track, frame_3HW) for track in self.tracks]
        lost = any(track.likeness < ALIKE for track in moved)
        self._since += 1
        if self._since >= self._every or lost:
            self._since, self.detections = 0, self.detections + 1
            moved = self._matched(moved, self._detect(frame_3HW), frame_3HW)
        self._begins = False
        self.tracks = [replace(t, patch=patch_of(frame_3HW, t.place)) for t in moved]
        return self.tracks

    def _matched(self, tracks: Sequence[Track], found: Faces, frame_3HW: Tensor) -> list[Track]:
        """Tracks after a detection: corrected, missed or new."""
        pairs = _pairs(tracks, found)
        kept = [
            _corrected(track, found, pairs[i]) if i in pairs else _missed(track)
            for i, track in enumerate(tracks)
        ]
        known = set(pairs.values())
        new = [self._begun(found, j, frame_3HW) for j in range(len(found)) if j not in known]
        return [track for track in kept if _goes_on(track)] + new

    def _begun(self, found: Faces, j: int, frame_3HW: Tensor) -> Track:
        points = _complex(found.points[j])
        self._numbers += 1
        return Track(
            number=self._numbers,
            points=points,
            box=found.boxes[j],
            score=float(found.scores[j]),
            drift=np.zeros_like(points),
            velocity=0j,
            patch=patch_of(frame_3HW, placement(points)),
            began_scene=self._begins,
        )


def _goes_on(track: Track) -> bool:
    """Whether a track still follows a face: found lately, and seen in this frame at least."""
    return not track.misses or (track.misses < MISSES and track.likeness >= ALIKE)


def _moved(track: Track, frame_3HW: Tensor) -> Track:
    """A track in the next frame."""
    before = track.place
    expected = Similarity(before.factor, before.shift + track.velocity)
    motion: Motion = register(track.patch, frame_3HW, expected)
    if motion.likeness < ALIKE:
        return replace(track, likeness=motion.likeness, age=track.age + 1)
    moving = motion.place.after(before.inverse())
    correction = CORRECTED * track.drift
    points = motion.place(before.inverse()(track.points) + correction)
    return replace(
        track,
        points=points,
        box=_moved_box(track.box, moving),
        drift=track.drift - correction,
        velocity=complex((moving(np.array([track.points.mean()])) - track.points.mean())[0]),
        likeness=motion.likeness,
        age=track.age + 1,
    )


def _moved_box(box_4: Array, moving: Similarity) -> Array:
    """A box about the moved centre, grown as the face has."""
    centre = np.array([complex(*(box_4[:2] + box_4[2:]) / 2)])
    half = (box_4[2:] - box_4[:2]) / 2 * abs(moving.factor)
    x, y = moving(centre)[0].real, moving(centre)[0].imag
    return np.array([x - half[0], y - half[1], x + half[0], y + half[1]], np.float32)


def _corrected(track: Track, found: Faces, j: int) -> Track:
    """A track that a detection has found: small differences go slowly, large ones at once."""
    points = _complex(found.points[j])
    drift = (points - track.points) / track.place.factor
    seen = replace(track, box=found.boxes[j], score=float(found.scores[j]), misses=0)
    if np.abs(drift).mean() > STRAYED or track.likeness < ALIKE:
        return replace(seen, points=points, drift=np.zeros_like(points), likeness=1.0)
    return replace(seen, drift=drift)


def _missed(track: Track) -> Track:
    """A track that a detection has not found."""
    return replace(track, misses=track.misses + 1)


def _pairs(tracks: Sequence[Track], found: Faces) -> dict[int, int]:
    """The detection of each track that has one, those that overlap most first."""
    if not tracks or not len(found):
        return {}
    shared = overlaps(np.stack([track.box for track in tracks]), found.boxes)
    pairs: dict[int, int] = {}
    for place in np.argsort(-shared, axis=None, kind="stable"):
        i, j = (int(at) for at in np.unravel_index(place, shared.shape))
        if shared[i, j] >= SAME and i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


def _complex(points_52: Array) -> Points:
    return points_52[:, 0].astype(np.float64) + 1j * points_52[:, 1]
