"""Scenes of a file from end to end: two in one file equal two files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.networks import compact, moving_clip
from tests.streaming import pieces
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.models.network import Network
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.offline.pipeline import run
from vsr.restorer import Restorer
from vsr.scenes.markers import scene_marker
from vsr.streams import open_reader, open_writer
from vsr.types import Chunk, StreamInfo

HEIGHT, WIDTH = 48, 64


def scene(num_frames: int, seed: int) -> Tensor:
    """A texture that drifts by a pixel a frame, at 8 bit."""
    wide = moving_clip(1, HEIGHT, WIDTH + num_frames, seed=seed)[0]
    frames = torch.stack([wide[:, :, i : i + WIDTH] for i in range(num_frames)])
    return frames.mul(255).round().div(255)


def write(path: Path, frames: Tensor) -> Path:
    info = StreamInfo(height=HEIGHT, width=WIDTH, time_base=Fraction(1, 250))
    writer = open_writer(str(path), info, height=HEIGHT, width=WIDTH, encoder="ffv1")
    for chunk in pieces(frames, 8):
        writer.write(chunk)
    writer.finish()
    return path


class KeptSegments:
    """A sink that keeps the frames."""

    def __init__(self) -> None:
        self.notes, self.added_frames, self.chunks = (), 0, list[Chunk]()

    def write(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)

    def write_packets(self, packets: Any) -> None: ...

    def finish(self, *, partial: bool = False) -> str:
        return "kept"

    def abort(self) -> None: ...

    @property
    def frames(self) -> Tensor:
        return torch.cat([chunk.frames for chunk in self.chunks])


def restored(path: Path, network: Network[Any], scenes: int = 1) -> tuple[Tensor, int]:
    options: dict[str, Any] = {"chunk": 4, "look_ahead": 2, "device": "cpu", "precision": "float32"}
    alone = Restorer(network, **options)
    restorer = alone if scenes == 1 else ParallelScenes(network, scenes=scenes, **options)
    sink = KeptSegments()
    with open_reader(str(path)) as reader:
        summary = run(reader, restorer, sink, scenes=scene_marker("auto", reader.info))
    return sink.frames, summary.scenes


def test_two_scenes_in_one_file_equal_two_files_bit_for_bit(tmp_path: Path) -> None:
    network, first, second = compact(), scene(9, 1), scene(7, 2)
    together, found = restored(write(tmp_path / "both.mkv", torch.cat([first, second])), network)
    apart = [
        restored(write(tmp_path / f"{i}.mkv", part), network)[0]
        for i, part in enumerate((first, second))
    ]
    assert found == 2
    assert torch.equal(together, torch.cat(apart))


def test_scenes_of_a_file_in_parallel_equal_scenes_in_a_row(tmp_path: Path) -> None:
    network = compact()
    path = write(tmp_path / "in.mkv", torch.cat([scene(9, 1), scene(7, 2), scene(8, 3)]))
    together, found = restored(path, network, scenes=3)
    expected, _ = restored(path, network)
    assert found == 3
    torch.testing.assert_close(
        together, expected, atol=1e-5 * max(1, float(expected.abs().max())), rtol=0
    )


def test_the_detection_of_scenes_can_be_chosen(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mkv", torch.cat([scene(9, 1), scene(7, 2)]))
    (tmp_path / "cuts.txt").write_text("2\n")
    for scenes, model, expected in (
        ("auto", "compact-x4", 2),
        ("auto", "bicubic-x2", 1),  # restores each frame by itself: cuts are not looked for
        ("off", "bicubic-x2", 1),
        ("every 4", "bicubic-x2", 4),
        (str(tmp_path / "cuts.txt"), "bicubic-x2", 2),
    ):
        summary = restore(str(source), "null", RestoreOptions(model=model, scenes=scenes))
        assert summary.scenes == expected
        assert summary.frames_out == 16


def test_the_summary_says_what_happened_to_the_stream(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mkv", scene(9, 1))
    summary = restore(str(source), "null", RestoreOptions(model="bicubic-x2", chunk=3))
    assert (summary.resets, summary.retries, summary.settings) == (0, 0, "chunk 3, look-ahead 0")
