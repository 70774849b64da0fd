"""Faces of running streams: restored where there is time, left out first where there is none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from threading import Event
from urllib.request import urlopen

import pytest
import torch
from torch import Tensor

from tests.live.conftest import server
from tests.live.harness import PATIENCE_S, Server, free_port, publish, until
from vsr.faces.loading import FaceNetworks, load_faces
from vsr.live.monitor.figures import Figures
from vsr.live.monitor.status_line import sentence
from vsr.live.options import StreamOptions
from vsr.live.restoration import LiveRestoration
from vsr.live.timing.quality_controller import FULL, NO_FACES
from vsr.models.architectures.baselines import Identity
from vsr.restorer import Restorer
from vsr.streams import open_reader
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.types import Chunk

__all__ = ["server"]

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


def write_slowly(clip: Path, where: str, target: Path) -> Path:
    """A part of a clip, with two frames a second."""
    words = ["-vf", f"crop=160:160:{where},fps=2", "-g", "2", "-an", "-preset", "ultrafast"]
    command = [find_ffmpeg(), "-loglevel", "error", "-i", str(clip), *words, str(target)]
    subprocess.run(command, check=True)
    return target


@pytest.mark.slow
def test_the_command_restores_faces_of_several_published_streams_or_says_it_had_no_time(
    faces_home: Path, face_file: Path, shared: Path, server: Server, tmp_path: Path
) -> None:
    """From an RTMP server: a man who speaks, and blocks without anybody."""
    clips, port, streams = shared / "data/train/clips", free_port(), tmp_path / "streams.toml"
    man = write_slowly(clips / "plaza.mp4", "265:60", tmp_path / "plaza.mp4")
    blocks = write_slowly(clips / "blocks.mp4", "200:100", tmp_path / "blocks.mp4")
    streams.write_text(
        "".join(
            f"""
            [[stream]]
            name = "{name}"
            source = "{server.address(name)}"
            target = "{tmp_path}/{name}.mkv"
            latency = "30s"
            """
            for name in ("man", "blocks")
        )
    )
    words = ["-m", "identity", "--face-model", face_file, "--json", "--status", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", "vsr", "live", "--streams", *map(str, [streams, *words])]

    def have_left() -> bool:
        with urlopen(f"http://127.0.0.1:{port}/figures.json") as answer:
            first, second = json.load(answer)
        return bool(first["faces"] + first["without_faces"] > 4 and second["frames_out"] > 4)

    with (
        publish(man, server.address("man"), "-stream_loop", "-1"),
        publish(blocks, server.address("blocks"), "-stream_loop", "-1"),
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        ) as process,
    ):
        assert process.stderr is not None
        said: list[str] = []
        try:
            while sum("at 2 frames/s" in line for line in said) < 2 and process.poll() is None:
                said.append(process.stderr.readline())
            until(have_left, "faces are restored, or left out")
        finally:
            process.send_signal(signal.SIGTERM)
            out, rest = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, [*said, rest]
    first, second = json.loads(out)
    assert (first["name"], second["name"]) == ("man", "blocks")
    assert first["faces"] + first["without_faces"] > 4
    assert second["faces"] == 0
    assert sum("face" in line for line in said if "at 2 frames/s" in line) == 2
    assert (tmp_path / "man.mkv").stat().st_size > 0
