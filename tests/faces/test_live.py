"""Faces of running streams: restored where there is time, left out first where there is none."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from threading import Event

import pytest
import torch
from torch import Tensor

from vsr.faces.loading import FaceNetworks, load_faces
from vsr.live.monitor.figures import Figures
from vsr.live.monitor.status_line import sentence
from vsr.live.options import StreamOptions
from vsr.live.restoration import LiveRestoration
from vsr.live.timing.quality_controller import FULL, NO_FACES
from vsr.models.architectures.baselines import Identity
from vsr.restorer import Restorer
from vsr.streams import open_reader
from vsr.types import Chunk

SLOW, FAST = Fraction(1, 60), Fraction(100_000)
"""Frames a second that leave a minute for each, and none at all."""


@pytest.fixture
def networks(faces_home: Path, face_file: Path) -> FaceNetworks:
    return load_faces(face_file, 0.0, torch.device("cpu"))


@pytest.fixture(scope="module")
def frames(shared: Path) -> Tensor:
    """A man who speaks."""
    with open_reader(str(shared / "data/train/clips/plaza.mp4")) as reader:
        return next(reader.chunks(3)).frames


def restored(
    frames: Tensor, networks: FaceNetworks | None, rate: Fraction
) -> tuple[Tensor, Figures]:
    """What a stream makes of frames, which all come at once."""
    restorer, figures = Restorer(Identity(), device="cpu"), Figures(name="it")
    options = StreamOptions(source="", target="", latency_s=1e6)
    restoration = LiveRestoration(options, restorer, figures, networks)
    _, _, height, width = frames.shape
    restoration.plan(height, width, rate, 0, Event())
    left = []
    for number, frame in enumerate(frames):
        chunk = Chunk(frames=frame[None], pts=(number,), time_base=Fraction(1, 25))
        left += restoration.push(chunk, time.monotonic(), 0)
    left += restoration.drain()
    return torch.cat([chunk.frames for chunk in left]), figures


def test_faces_are_restored_where_there_is_time(networks: FaceNetworks, frames: Tensor) -> None:
    left, figures = restored(frames, networks, SLOW)
    assert figures.level == FULL
    assert figures.tally.faces == len(left) == len(frames)
    assert figures.tally.without_faces == 0
    difference = (left - frames).abs()
    assert float(difference[..., 115:150, 330:360].mean()) > 0.05
    assert float(difference[..., 230:, :].max()) == 0


def test_frames_leave_without_faces_and_are_counted_where_there_is_none(
    networks: FaceNetworks, frames: Tensor
) -> None:
    left, figures = restored(frames, networks, FAST)
    assert torch.equal(left, frames)
    assert figures.level == NO_FACES
    assert figures.tally.faces == 0
    assert figures.tally.without_faces == len(frames)
    assert f"{len(frames)} without faces" in sentence(figures)
    assert figures.plain()["without_faces"] == len(frames)


def test_a_stream_says_what_there_is_time_for(networks: FaceNetworks) -> None:
    restorer, figures = Restorer(Identity(), device="cpu"), Figures(name="it")
    restoration = LiveRestoration(
        StreamOptions(source="", target="", latency_s=1e6), restorer, figures, networks
    )
    assert restoration.faces_said() == ""
    restoration.plan(64, 64, SLOW, 0, Event())
    assert "faces in a frame (" in restoration.faces_said()
    restoration.plan(64, 64, FAST, 0, Event())
    assert restoration.faces_said().startswith("; no time for faces (")
