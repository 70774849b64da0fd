"""Drawn faces: an aligned texture with a blob at each of the five points, anywhere in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.faces.alignment import SIZE, TEMPLATE, Points, Similarity, mask, sample
from vsr.faces.detector import NONE, Faces


@cache
def drawn_face(seed: int = 0) -> Tensor:
    """An aligned face (3, 512, 512): a soft texture, and a dark blob at each point."""
    generator = torch.Generator().manual_seed(seed)
    octaves = [torch.rand(1, 3, side, side, generator=generator) for side in (4, 16, 48)]
    layers = [F.interpolate(o, (SIZE, SIZE), mode="bicubic") for o in octaves]
    face = (0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2])[0]
    for point in TEMPLATE:
        face = face * (1 - 0.9 * blob(point, 12.0))
    return face.clamp(0, 1)


def blob(at: complex, radius: float, height: int = SIZE, width: int = SIZE) -> Tensor:
    """A Gaussian (H, W) about a point."""
    x, y = torch.arange(width) - at.real, torch.arange(height)[:, None] - at.imag
    return torch.exp(-(x * x + y * y) / (2 * radius**2))


def placed(size: float, x: float, y: float, turn: float = 0.0) -> Similarity:
    """Where a face of so many pixels lies, about a point, turned by so many radians."""
    factor = size / SIZE * complex(np.exp(1j * turn))
    return Similarity(factor, complex(x, y) - factor * complex(SIZE, SIZE) / 2)


def frame_with(places: Sequence[Similarity], height: int = 288, width: int = 384) -> Tensor:
    """A frame (3, H, W) with a drawn face at each place."""
    generator = torch.Generator().manual_seed(9)
    coarse = torch.rand(1, 3, height // 8, width // 8, generator=generator)
    frame = 0.3 + 0.3 * F.interpolate(coarse, (height, width), mode="bicubic")[0]
    for number, place in enumerate(places):
        back, size = place.inverse(), (height, width)
        weight = sample(mask(frame.device), back, size)
        frame = frame.lerp(sample(drawn_face(number), back, size), weight)
    return frame


def found(points: Sequence[Points], score: float = 0.999) -> Faces:
    """Faces with these points, as a detector reports them."""
    if not points:
        return NONE
    at = np.stack([np.stack([p.real, p.imag], -1) for p in points]).astype(np.float32)
    middle, half = at.mean(1), 1.2 * np.ptp(at, axis=1).max(-1, keepdims=True)
    return Faces(
        boxes=np.concatenate([middle - half, middle + half], 1),
        points=at,
        scores=np.full(len(at), score, np.float32),
    )
