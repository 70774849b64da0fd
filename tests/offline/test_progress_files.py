from __future__ import annotations

import json
from pathlib import Path

import torch
from PIL import Image

from tests.command_line import Run
from tests.media import Clip, write_clip
from vsr.offline.progress_files import PICTURE, PROGRESS, ProgressFiles


def test_a_run_leaves_its_progress_and_its_newest_frame(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=7))
    words = ["-m", "bicubic-x2", "--json", "--progress", tmp_path / "progress"]
    assert vsr("restore", source, tmp_path / "out.mp4", *words).code == 0
    progress = json.loads((tmp_path / "progress" / PROGRESS).read_text())
    assert (progress["frames"], progress["total"], progress["resumed"]) == (7, 7, 0)
    with Image.open(tmp_path / "progress" / PICTURE) as picture:
        assert picture.size == (192, 144)
    names = {path.name for path in (tmp_path / "progress").iterdir()}
    assert names == {PROGRESS, PICTURE}


def test_a_large_frame_is_shown_small(tmp_path: Path) -> None:
    ProgressFiles(tmp_path).show_frame(torch.full((3, 1080, 1920), 0.5))
    with Image.open(tmp_path / PICTURE) as picture:
        assert picture.size == (640, 360)


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=2))
    words = ["-m", "identity", "--progress", source / "below"]
    done = vsr("restore", source, tmp_path / "out.mp4", *words)
    assert done.code == 1
    assert "cannot be made" in done.err
    assert not (tmp_path / "out.mp4").exists()


def test_a_run_survives_a_progress_folder_that_is_gone(tmp_path: Path) -> None:
    files = ProgressFiles(tmp_path / "progress")
    (tmp_path / "progress").rmdir()
    files.show_frame(torch.zeros(3, 4, 4))
    assert not (tmp_path / "progress").exists()


def test_progress_of_a_folder_is_refused(vsr: Run, tmp_path: Path) -> None:
    write_clip(tmp_path / "in.mp4", Clip(num_frames=2))
    done = vsr("restore", tmp_path, tmp_path / "out", "--progress", tmp_path / "progress")
    assert done.code == 2
    assert "--progress is for one film" in done.err
