"""Names as long as file systems take them, and longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command_line import Run
from tests.live.harness import serving
from tests.media import Clip, write_clip


@pytest.mark.parametrize("length", [240, 249, 250, 255])
@pytest.mark.parametrize("letter", ["n", "\u00fc"])
def test_a_target_may_be_as_long_as_the_system_takes(
    tmp_path: Path, length: int, letter: str, vsr: Run
) -> None:
    source = write_clip(tmp_path / "a.mp4", Clip(num_frames=3))
    size = len(os.fsencode(letter))
    name = "n" * ((length - 4) % size) + letter * ((length - 4) // size) + ".mkv"
    done = vsr("restore", source, tmp_path / name, "--model", "identity")
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.mp4", name])


def test_a_longer_one_is_refused_in_a_line(tmp_path: Path, vsr: Run) -> None:
    source = write_clip(tmp_path / "a.mp4", Clip(num_frames=3))
    done = vsr("restore", source, tmp_path / ("n" * 252 + ".mkv"), "--model", "identity")
    assert done.code == 1
    assert "too long" in done.err
    assert len(done.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_long_address_is_no_path(tmp_path: Path, vsr: Run) -> None:
    write_clip(tmp_path / "a.mkv", Clip(num_frames=3))
    with serving(tmp_path) as address:
        source = f"{address}/a.mkv?signature={'s' * 5000}"
        done = vsr("restore", source, tmp_path / "out.mkv", "--model", "identity")
        assert (done.code, done.err) == (0, "")
        assert vsr("assess", source).code == 0
        (tmp_path / "a.mkv").write_text("no video")
        refused = vsr("restore", source, tmp_path / "other.mkv", "--model", "identity")
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)
    assert "is not a video that ffmpeg can read" in refused.err
