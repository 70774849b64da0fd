"""Frames by their index."""

from __future__ import annotations

import copy
import pickle
import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.media import Clip, read_numbers, write_clip
from tests.streams.rich_media import run_ffmpeg
from vsr.errors import DecodeError, MissingDependency, OpenError
from vsr.streams import open_random_access, open_reader
from vsr.streams.decode.decord_reader import DecordReader
from vsr.streams.decode.random_access import SeekingReader


def test_a_missing_decord_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(MissingDependency, match=r"pip install vsr-stream\[decord\]"):
        DecordReader(str(write_clip(tmp_path / "clip.mp4")))


RGB = "-c:v ffv1 -g 5 -pix_fmt gbrp"
KINDS = {
    "rgb.mkv": RGB,
    "rgb.mp4": "-c:v libx264rgb -qp 0 -g 7",
    "long groups.mp4": "-c:v libx264 -g 250 -bf 3 -pix_fmt yuv420p",
    "short groups.mkv": "-c:v libx264 -g 10 -bf 2 -pix_fmt yuv420p10le",
    "raw.h264": "-c:v libx264 -g 12 -pix_fmt yuv420p",
    "interlaced.mkv": "-vf interlace -c:v libx264 -flags +ilme+ildct -pix_fmt yuv420p",
}
NUM_FRAMES = 90


def write_kind(folder: Path, kind: str) -> str:
    """A noisy test picture: any other frame, or another conversion, shows."""
    picture = "testsrc2=size=96x72:rate=25:duration=7.2,noise=alls=40:allf=t"
    suffix = kind.rpartition(".")[2]
    words = f"-f lavfi -i {picture} -frames:v {NUM_FRAMES} {KINDS[kind]} out.{suffix}"
    run_ffmpeg(folder, words)
    return str(folder / f"out.{suffix}")


@pytest.mark.parametrize(
    ("kind", "has_decord"),
    [*((kind, False) for kind in KINDS), ("rgb.mkv", True), ("rgb.mp4", True)],
)
def test_any_order_gives_the_frames_of_reading_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, has_decord: bool
) -> None:
    if has_decord:
        pytest.importorskip("decord", reason="decord has no wheel for this machine")
    else:
        monkeypatch.setitem(sys.modules, "decord", None)
    name = write_kind(tmp_path, kind)
    with open_reader(name) as reader:
        whole = torch.cat([chunk.frames for chunk in reader.chunks(16)])
    with open_random_access(name) as reader:
        assert len(reader) == len(whole) == NUM_FRAMES
        for indices in ([70, 3, 4, 5, 89, 3], [0], [88, 89], list(range(40, 60)), [7, 80]):
            torch.testing.assert_close(reader.frames(indices), whole[indices], rtol=0, atol=1e-6)
        again = pickle.loads(pickle.dumps(reader))
        torch.testing.assert_close(again.frames([50]), whole[[50]], rtol=0, atol=1e-6)
        copied = copy.copy(reader)
        for index in (10, 11, 12):
            torch.testing.assert_close(reader.frames([index]), whole[[index]], rtol=0, atol=1e-6)
            torch.testing.assert_close(copied.frames([-index + 80]), whole[[80 - index]])


def test_decord_reads_what_it_reads_exactly(tmp_path: Path) -> None:
    pytest.importorskip("decord", reason="decord has no wheel for this machine")
    chosen = {}
    for kind in KINDS:
        with open_random_access(write_kind(tmp_path, kind)) as reader:
            chosen[kind] = isinstance(reader, DecordReader)
    assert {kind for kind, is_decord in chosen.items() if is_decord} == {"rgb.mkv", "rgb.mp4"}


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_frame_that_is_not_there_is_refused(tmp_path: Path, suffix: str) -> None:
    name = write_kind(tmp_path, {"mkv": "rgb.mkv", "mp4": "long groups.mp4"}[suffix])
    with open_random_access(name) as reader:
        for indices in ([NUM_FRAMES], [-1]):
            with pytest.raises(DecodeError, match=str(NUM_FRAMES)):
                reader.frames(indices)


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=30))
    with SeekingReader(str(path)) as reader:
        write_clip(path, Clip(num_frames=10))
        with pytest.raises(DecodeError, match="changed"):
            reader.frames([20])


class TestWithDecord:
    """What needs the extra."""

    @pytest.fixture(autouse=True)
    def decord(self) -> None:
        pytest.importorskip("decord")

    def test_frames_come_in_any_order(self, tmp_path: Path) -> None:
        options = {"bf": "3", "g": "30"}
        path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=60, options=options))
        with DecordReader(str(path)) as reader:
            assert len(reader) == 60
            assert read_numbers(reader.frames([42, 3, 59, 0, 3])) == [42, 3, 59, 0, 3]

    def test_indices_count_from_the_start_of_the_part(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=60))
        with DecordReader(str(path), start_s=0.4, end_s=0.8) as reader:
            assert read_numbers(reader.frames(range(len(reader)))) == list(range(10, 20))

    @pytest.mark.parametrize("indices", [[60], [-1]])
    def test_a_frame_that_is_not_there_is_refused(self, tmp_path: Path, indices: list[int]) -> None:
        path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=60))
        with DecordReader(str(path)) as reader, pytest.raises(DecodeError, match="60"):
            reader.frames(indices)

    def test_a_late_start_keeps_its_times(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "late.mp4", Clip(num_frames=8, first_pts=12800 * 7))
        with DecordReader(str(path)) as reader:
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
        with open_reader(name) as reader, DecordReader(name) as other:
            one, two = next(reader.chunks(1)).frames, other.frames([0])
        assert ((one - two).abs() * 255).mean() < 2
        assert ((one - two).mean((0, 2, 3)).abs() * 255).max() < 1.5

    def test_rubbish_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "rubbish.mp4").write_bytes(b"nothing" * 100)
        with pytest.raises(OpenError):
            DecordReader(str(tmp_path / "rubbish.mp4"))

    def test_frames_are_on_the_device_asked_for(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=4))
        with DecordReader(str(path), device=torch.device("cpu")) as reader:
            assert reader.frames([1]).device.type == "cpu"
