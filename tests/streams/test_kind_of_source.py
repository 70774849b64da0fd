"""The kind of a source by its name: existing files win, and animated pictures are videos."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from tests.command_line import Run
from tests.media import Clip, read_numbers, write_animation, write_clip, write_images
from vsr.streams import open_reader
from vsr.streams.names.image_sequence import names_images

DURATIONS_MS = [100, 250, 40, 100]


def test_a_file_that_exists_is_no_pattern(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "100%done.mp4", Clip(num_frames=3))
    assert not names_images(str(path))
    with open_reader(str(path)) as reader:
        assert reader.info.num_frames == 3


@pytest.mark.parametrize("name", ["out %d.mkv", "a%03d.mp4", "a%d.gif"])
def test_a_video_is_no_pattern(name: str, tmp_path: Path) -> None:
    assert not names_images(str(tmp_path / name))


@pytest.mark.parametrize("name", ["a%d.png", "a%06d.webp", "a%d.tga"])
def test_numbered_pictures_are(name: str, tmp_path: Path) -> None:
    assert names_images(str(tmp_path / name))


def test_a_target_may_hold_a_percent_sign(tmp_path: Path, vsr: Run) -> None:
    source = write_clip(tmp_path / "a.mp4", Clip(num_frames=3))
    target = tmp_path / "out %d.mkv"
    assert vsr("restore", source, target, "--model", "identity").code == 0
    assert target.is_file()


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_pictures_that_move_are_read_whole_and_in_time(suffix: str, tmp_path: Path) -> None:
    path = write_animation(tmp_path / f"a{suffix}", DURATIONS_MS)
    with open_reader(str(path)) as reader:
        (chunk,) = reader.chunks(9)
    assert read_numbers(chunk.frames) == [0, 1, 2, 3]
    seconds = [pts * chunk.time_base for pts in chunk.pts]
    assert seconds == [Fraction(sum(DURATIONS_MS[:i]), 1000) for i in range(4)]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_frames_of_pictures_that_move_are_counted(suffix: str, tmp_path: Path, vsr: Run) -> None:
    source = write_animation(tmp_path / "in" / "a.gif", [100] * 5)
    done = vsr("restore", source, tmp_path / f"out{suffix}", "--model", "identity", "--json")
    summary = json.loads(done.out)
    assert (summary["frames_out"], summary["added"]) == (5, 0)


def test_gaps_in_numbered_images_are_reported(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", 6)
    names = sorted(path.name for path in folder.iterdir())
    with open_reader(str(folder)) as reader:
        assert not [note for note in reader.notes if "missing" in note]
    (folder / names[2]).unlink()
    (folder / names[3]).unlink()
    said = (
        f"2 of the numbered images are missing, first between '{names[1]}' and '{names[4]}': "
        "those that are there follow each other"
    )
    with open_reader(str(folder)) as reader:
        assert said in reader.notes
        assert reader.info.num_frames == 4


def test_every_tenth_image_is_no_gap(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", 4)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"shot{10 * number}.png")
    with open_reader(str(folder)) as reader:
        assert not [note for note in reader.notes if "missing" in note]
