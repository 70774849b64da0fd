"""Face detection: the cascade of MTCNN's three networks on one frame.

Every size of a pyramid is searched for faces of 12 pixels; what is found is judged again at 24 and
at 48 pixels, each time by a larger network, and its box corrected. Coordinates, their roundings
included, are those of ``facenet-pytorch``: what its program finds is found here.

N candidates; H, W size of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.faces.boxes import Array, overlaps, suppress
from vsr.models.architectures.mtcnn import MTCNN, POINTED, REFINED, STEP, WINDOW

FACTOR = 0.709
"""Size of a level of the pyramid over that of the one before: half of its pixels."""

THRESHOLDS = (0.6, 0.7, 0.7)
"""Least probability of a face after each network, as published."""

SMALLEST = 20
"""Side of the smallest faces that are looked for, in pixels."""

SAME = 0.3
"""Least overlap of a face's boxes in a frame and in the mirrored one."""

BATCH = 512
"""Candidates classified at once: on a CPU more would take memory without gain."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """Faces found in a frame.

    Attributes:
        boxes: (N, 4): left, top, right, bottom in pixels; they may reach beyond the frame.
        points: (N, 5, 2), x first: left eye, right eye, nose, left and right corner of the mouth,
            left as the picture shows it.
        scores: (N,), probability of a face, best first.
    """

    boxes: Array
    points: Array
    scores: Array

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, places: Any) -> Faces:
        """Some of the faces, by their indices."""
        return Faces(
            boxes=self.boxes[places], points=self.points[places], scores=self.scores[places]
        )

    def scaled(self, across: float, down: float) -> Faces:
        """The same faces in a frame of another size; pixel centres lie half a pixel inside."""
        factors = np.array([across, down], np.float32)
        boxes = (self.boxes + 0.5) * np.tile(factors, 2) - 0.5
        points = (self.points + 0.5) * factors - 0.5
        return Faces(boxes=boxes, points=points, scores=self.scores)


NONE = Faces(
    boxes=np.zeros((0, 4), np.float32),
    points=np.zeros((0, 5, 2), np.float32),
    scores=np.zeros(0, np.float32),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidates:
    boxes: Array
    scores: Array

    def at(self, places: Any) -> _Candidates:
        return _Candidates(boxes=self.boxes[places], scores=self.scores[places])


def detect(networks: MTCNN, frame_3HW: Tensor, smallest: float = SMALLEST) -> Faces:
    """Find the faces of a frame.

    Args:
        networks: Networks of MTCNN, on the frame's device.
        frame_3HW: RGB in [0, 1], float32.
        smallest: Side of the smallest faces in pixels, 12 or more: larger ones cost less to find.
    """
    with torch.inference_mode():
        frame = frame_3HW.clamp(0, 1)[None]
        found = _propose(networks, frame, smallest)
        found = _refine(networks, frame, found) if len(found.scores) else found
        return _point(networks, frame, found) if len(found.scores) else NONE


def confirmed(networks: MTCNN, frame_3HW: Tensor, faces: Faces) -> Faces:
    """The faces of a frame that are found in the mirrored frame as well.

    A face is nearly symmetric, the networks are not: texture that looks like a face to them seldom
    does so both ways. Only the places of the faces are looked at, by the second and third network.

    Args:
        networks: Networks of MTCNN, on the frame's device.
        frame_3HW: RGB in [0, 1], float32.
        faces: Faces that ``detect`` found in it.
    """
    if not len(faces):
        return faces
    mirrored = faces.boxes.copy()
    mirrored[:, [0, 2]] = frame_3HW.shape[2] - 1 - faces.boxes[:, [2, 0]]
    with torch.inference_mode():
        frame = frame_3HW.clamp(0, 1).flip(2)[None]
        places = _Candidates(boxes=_squared(mirrored), scores=faces.scores)
        found = _refine(networks, frame, places)
        again = _point(networks, frame, found) if len(found.scores) else NONE
    shared = overlaps(mirrored, again.boxes)
    return faces.at(shared.max(1, initial=0) >= SAME)


def _propose(networks: MTCNN, frame_13HW: Tensor, smallest: float) -> _Candidates:
    """Candidates of all levels of the pyramid, corrected and made square."""
    height, width = frame_13HW.shape[-2:]
    scale = WINDOW / smallest
    boxes, scores, corrections = [], [], []
    while min(height, width) * scale >= WINDOW:
        size = (int(height * scale + 1), int(width * scale + 1))
        level, correction = _search(networks, F.interpolate(frame_13HW, size, mode="area"), scale)
        kept = suppress(level.boxes, level.scores, 0.5)
        boxes.append(level.boxes[kept])
        scores.append(level.scores[kept])
        corrections.append(correction[kept])
        scale *= FACTOR
    if not boxes:
        return _Candidates(boxes=NONE.boxes, scores=NONE.scores)
    found = _Candidates(boxes=np.concatenate(boxes), scores=np.concatenate(scores))
    kept = suppress(found.boxes, found.scores, 0.7)
    found, correction = found.at(kept), np.concatenate(corrections)[kept]
    corrected = found.boxes + correction * _sides(found.boxes)
    return _Candidates(boxes=_squared(corrected), scores=found.scores)


def _search(networks: MTCNN, level_13hw: Tensor, scale: float) -> tuple[_Candidates, Array]:
    """Places of one level that look like faces, in pixels of the frame, and corrections."""
    logits, correction_14hw = networks.pnet(level_13hw)
    probable = torch.sigmoid(logits[0])
    rows, columns = torch.nonzero(probable >= THRESHOLDS[0], as_tuple=True)
    corner = STEP * torch.stack([columns, rows], 1).float()
    places = torch.cat([(corner + 1) / scale, (corner + WINDOW) / scale], 1).floor()
    found = _Candidates(boxes=places.cpu().numpy(), scores=probable[rows, columns].cpu().numpy())
    return found, correction_14hw[0, :, rows, columns].T.cpu().numpy()


def _refine(networks: MTCNN, frame_13HW: Tensor, found: _Candidates) -> _Candidates:
    found, pictures = _pictures(frame_13HW, found, REFINED)
    judged = [networks.rnet(batch) for batch in torch.split(pictures, BATCH)]
    found, (correction,) = _sorted_out(found, judged, THRESHOLDS[1])
    kept = suppress(found.boxes, found.scores, 0.7)
    found, correction = found.at(kept), correction[kept]
    corrected = found.boxes + correction * (_sides(found.boxes) + 1)
    return _Candidates(boxes=_squared(corrected), scores=found.scores)


def _point(networks: MTCNN, frame_13HW: Tensor, found: _Candidates) -> Faces:
    found, pictures = _pictures(frame_13HW, found, POINTED)
    judged = [networks.onet(batch) for batch in torch.split(pictures, BATCH)]
    found, (correction, points) = _sorted_out(found, judged, THRESHOLDS[2])
    sides = _sides(found.boxes) + 1
    points = points * sides[:, None, :2] + found.boxes[:, None, :2] - 1
    boxes = found.boxes + correction * sides
    kept = suppress(boxes, found.scores, 0.7, "smaller")
    return Faces(boxes=boxes[kept], points=points[kept], scores=found.scores[kept])


def _sorted_out(
    found: _Candidates, judged: list[tuple[Tensor, ...]], threshold: float
) -> tuple[_Candidates, list[Array]]:
    """The candidates that a network takes for faces, and what else it says of them."""
    logits, *others = (torch.cat(parts).cpu() for parts in zip(*judged, strict=True))
    scores = torch.sigmoid(logits).numpy()
    passed = scores > threshold
    kept = _Candidates(boxes=found.boxes[passed], scores=scores[passed])
    return kept, [other.numpy()[passed] for other in others]


def _pictures(frame_13HW: Tensor, found: _Candidates, side: int) -> tuple[_Candidates, Tensor]:
    """Candidates that touch the frame, and their pictures, (N, 3, side, side)."""
    height, width = frame_13HW.shape[-2:]
    low = np.trunc(found.boxes[:, :2]).astype(int).clip(min=1) - 1
    high = np.trunc(found.boxes[:, 2:]).astype(int).clip(max=(width, height))
    inside = (high > low).all(1)
    pictures = [
        F.interpolate(frame_13HW[..., top:bottom, left:right], (side, side), mode="area")
        for (left, top), (right, bottom) in zip(low[inside], high[inside], strict=True)
    ]
    return found.at(inside), torch.cat(pictures) if pictures else frame_13HW.new_zeros(
        0, 3, side, side
    )


def _sides(boxes_N4: Array) -> Array:
    """Width, height, width and height of boxes."""
    return np.tile(boxes_N4[:, 2:] - boxes_N4[:, :2], 2)


def _squared(boxes_N4: Array) -> Array:
    """Boxes with sides of the longer one's length, about the same centres."""
    sides = _sides(boxes_N4)[:, :2]
    longer = sides.max(1, keepdims=True, initial=0)
    corner = boxes_N4[:, :2] + sides / 2 - longer / 2
    squared: Array = np.concatenate([corner, corner + longer], 1)
    return squared
