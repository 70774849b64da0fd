"""Frames by their index, with decord."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.media import Clip, read_numbers, write_clip
from tests.streams.rich_media import run_ffmpeg
from vsr.errors import DecodeError, MissingDependency, OpenError
from vsr.streams import open_random_access, open_reader


def test_a_missing_decord_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(MissingDependency, match=r"pip install vsr-stream\[decord\]"):
        open_random_access(str(write_clip(tmp_path / "clip.mp4")))


class TestWithDecord:
    """What needs the extra."""

    @pytest.fixture(autouse=True)
    def decord(self) -> None:
        pytest.importorskip("decord")

    def test_frames_come_in_any_order(self, tmp_path: Path) -> None:
        options = {"bf": "3", "g": "30"}
        path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=60, options=options))
        with open_random_access(str(path)) as reader:
            assert len(reader) == 60
            assert read_numbers(reader.frames([42, 3, 59, 0, 3])) == [42, 3, 59, 0, 3]

    def test_indices_count_from_the_start_of_the_part(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=60))
        with open_random_access(str(path), start_s=0.4, end_s=0.8) as reader:
            assert read_numbers(reader.frames(range(len(reader)))) == list(range(10, 20))

    @pytest.mark.parametrize("indices", [[60], [-1]])
    def test_a_frame_that_is_not_there_is_refused(self, tmp_path: Path, indices: list[int]) -> None:
        path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=60))
        with open_random_access(str(path)) as reader, pytest.raises(DecodeError, match="60"):
            reader.frames(indices)

    def test_a_late_start_keeps_its_times(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "late.mp4", Clip(num_frames=8, first_pts=12800 * 7))
        with open_random_access(str(path)) as reader:
            chunk = next(reader.chunks(8))
        assert chunk.pts == tuple(12800 * 7 + 512 * i for i in range(8))
        assert chunk.time_base == Fraction(1, 12800)

    @pytest.mark.parametrize("size", ["320x180", "1280x720"])
    @pytest.mark.parametrize("tags", ["", "-colorspace bt709", "-colorspace smpte170m"])
    def test_colours_are_those_of_the_other_reader(
        self, tmp_path: Path, size: str, tags: str
    ) -> None:
        words = f"-f lavfi -i smptebars=size={size}:rate=5:duration=1 -c:v libx264 -qp 0"
        run_ffmpeg(tmp_path, f"{words} -pix_fmt yuv420p {tags} bars.mp4")
        name = str(tmp_path / "bars.mp4")
        with open_reader(name) as reader, open_random_access(name) as other:
            one, two = next(reader.chunks(1)).frames, other.frames([0])
        assert ((one - two).abs() * 255).mean() < 2
        assert ((one - two).mean((0, 2, 3)).abs() * 255).max() < 1.5

    def test_rubbish_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "rubbish.mp4").write_bytes(b"nothing" * 100)
        with pytest.raises(OpenError):
            open_random_access(str(tmp_path / "rubbish.mp4"))

    def test_frames_are_on_the_device_asked_for(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=4))
        with open_random_access(str(path), device=torch.device("cpu")) as reader:
            assert reader.frames([1]).device.type == "cpu"
