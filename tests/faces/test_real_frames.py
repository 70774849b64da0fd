"""The detector as ``--faces`` uses it, on real frames with and without people."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vsr.faces.loading import find
from vsr.faces.selection import Limits
from vsr.models.architectures.mtcnn import MTCNN

ROWS = 540
"""Photographs are reduced to what films have."""

WITH_PEOPLE = {
    "elementary_857a5bdd": "a painted man",
    "kodak_079f4fb5": "an airfield with visitors",
    "kodak_12b9cf7e": "crews of boats",
    "kodak_2484a7df": "painted saints",
    "kodak_586e508f": "the crew of a boat",
    "kodak_59b2900a": "a pier",
    "kodak_79d59b19": "riders",
    "kodak_7b6fbd4c": "a crew",
    "kodak_88399fdc": "a woman",
    "kodak_9675c1ff": "a woman",
    "kodak_9eb60bc8": "a couple",
    "kodak_c9baca3c": "a statue",
    "kodak_d642f8c3": "a girl",
}
"""Photographs with people or likenesses of some, and those in which they cannot be excluded."""

DESERTED = ("blocks", "buildings_handheld", "cups", "dashcam", "dog_pavement", "motorway")
"""Clips without a face: hands, roofs, a body without its head, roads, a cat."""

PEOPLE = {"plaza": 4, "kitchen": 8, "face_close": 4, "juggle": 4, "bedroom_jump": 4}
"""Clips with people, and the faces that are visible in four of their frames, counted by eye."""


def frames_of(path: Path, count: int) -> list[Tensor]:
    """Frames (3, H, W) spread over a clip."""
    with av.open(str(path)) as container:
        total = container.streams.video[0].frames
        step = total // count
        frames = islice(container.decode(video=0), step // 2, None, step)
        return [tensor_of(f.to_ndarray(format="rgb24")) for f in islice(frames, count)]


def photograph(path: Path) -> Tensor:
    with Image.open(path) as image:
        picture = image.convert("RGB")
        if picture.height > ROWS:
            size = (round(picture.width * ROWS / picture.height), ROWS)
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        return tensor_of(np.asarray(picture))


def tensor_of(pixels: object) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255


def restored(detector: MTCNN, frame: Tensor, smallest: float) -> int:
    """Faces that are found with the probability that is restored."""
    return int((find(detector, frame, smallest=smallest).scores >= Limits().score).sum())


@pytest.mark.slow
def test_no_face_is_found_in_frames_without_one(detector: MTCNN, shared: Path) -> None:
    stills = sorted((shared / "data/train/stills").glob("*.webp"))
    frames = [photograph(path) for path in stills if path.stem not in WITH_PEOPLE]
    for clip in DESERTED:
        frames += frames_of(shared / f"data/train/clips/{clip}.mp4", 3)
    assert len(frames) > 100
    assert sum(restored(detector, frame, Limits().smallest) for frame in frames) == 0


@pytest.mark.slow
def test_the_faces_of_real_frames_are_found(detector: MTCNN, shared: Path) -> None:
    found = 0
    for clip, visible in PEOPLE.items():
        frames = frames_of(shared / f"data/train/clips/{clip}.mp4", 4)
        found += min(visible, sum(restored(detector, frame, 20) for frame in frames))
    assert found >= 0.9 * sum(PEOPLE.values())
