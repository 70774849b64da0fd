"""A folder of videos: each restored in turn, what is done skipped, a failure survived."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Run
from tests.media import Clip, write_animation, write_clip, write_images
from tests.resume.power_cut import until_cut
from tests.streams.encoding import frame_seconds
from vsr.errors import OpenError
from vsr.offline.folder import holds_videos, list_jobs, mixed_note

ASKED: dict[str, Any] = {"look_ahead": None, "segment": 2, "device": "auto"}
"""As the command asks, where it is not told otherwise."""


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two videos, one of them deeper, one in an old container, a folder of images, and rubbish."""
    folder = tmp_path / "clips"
    (folder / "deeper").mkdir(parents=True)
    write_clip(folder / "a.mp4", Clip(num_frames=6, audio="aac"))
    write_clip(folder / "deeper" / "b.flv", Clip(num_frames=5))
    write_images(folder / "frames", 4)
    (folder / "rubbish.mkv").write_bytes(b"nothing" * 100)
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def restored(vsr: Run) -> Run:
    """Restores with a network that changes nothing."""
    return lambda *words: vsr("restore", *words, "--model", "identity")


def test_restorable_videos_are_restored_and_others_reported(
    clips: Path, tmp_path: Path, restored: Run
) -> None:
    done = restored(str(clips), str(tmp_path / "out"))
    assert done.code == 1
    assert "rubbish.mkv" in done.err
    rows = {line.split()[0]: line.split()[1:3] for line in done.out.splitlines()[1:]}
    assert rows == {
        "a.mp4": ["restored", "6"],
        "deeper/b.flv": ["restored", "5"],
        "frames": ["restored", "4"],
        "rubbish.mkv": ["failed", "0"],
    }
    assert len(frame_seconds(tmp_path / "out" / "a.mp4")) == 6
    assert len(frame_seconds(tmp_path / "out" / "deeper" / "b.flv.mkv")) == 5
    assert len(list((tmp_path / "out" / "frames").iterdir())) == 4


def test_existing_targets_are_skipped(clips: Path, tmp_path: Path, restored: Run) -> None:
    (clips / "rubbish.mkv").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4").write_bytes(b"done before")
    done = restored(str(clips), str(tmp_path / "out"), "--json")
    assert done.code == 0
    states = {outcome["name"]: outcome["state"] for outcome in json.loads(done.out)}
    assert states == {"a.mp4": "skipped", "deeper/b.flv": "restored", "frames": "restored"}
    assert (tmp_path / "out" / "a.mp4").read_bytes() == b"done before"
    again = restored(str(clips), str(tmp_path / "out"), "--json")
    assert {outcome["state"] for outcome in json.loads(again.out)} == {"skipped"}


@pytest.mark.slow
def test_notes_name_their_video(clips: Path, tmp_path: Path) -> None:
    """In a process of its own, whose log has one handler."""
    (clips / "rubbish.mkv").unlink()
    chapters = ((0, 100, "Before"), (100, 200, "After"))
    write_clip(clips / "c.mkv", Clip(num_frames=5, chapters=chapters))
    words = [str(clips), str(tmp_path / "out"), "--model", "identity", "--in-process"]
    command = [sys.executable, "-m", "vsr", "restore", *words]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    said = [line for line in done.stderr.splitlines() if "chapters" in line]
    assert [line.startswith("WARNING: c.mkv: ") for line in said] == [True]


def test_a_folder_of_images_is_one_source(clips: Path) -> None:
    assert holds_videos(str(clips))
    assert not holds_videos(str(clips / "frames"))
    assert not holds_videos(str(clips / "a.mp4"))


def test_results_within_the_source_are_not_restored_again(clips: Path) -> None:
    write_clip((clips / "restored").with_suffix(".mp4"), Clip(num_frames=3))
    target = clips / "out"
    target.mkdir()
    write_clip(target / "a.mp4", Clip(num_frames=3))
    names = {job.name for job in list_jobs(str(clips), str(target))}
    assert "out/a.mp4" not in names
    assert "restored.mp4" in names


@pytest.mark.parametrize("name", ["notes.txt", "new.mkv", "new/%06d.png"])
def test_a_file_is_no_target(name: str, clips: Path) -> None:
    with pytest.raises(OpenError, match="is no folder; give one"):
        list_jobs(str(clips), str(clips / name))


@pytest.mark.parametrize("target", ["-", "null", "rtmp://host/app"])
def test_pipes_and_addresses_are_no_targets_of_a_folder(target: str, clips: Path) -> None:
    with pytest.raises(OpenError, match="is no folder; give one"):
        list_jobs(str(clips), target)


def test_the_source_is_no_target(clips: Path) -> None:
    with pytest.raises(OpenError, match="source itself"):
        list_jobs(str(clips), str(clips))


def test_the_one_that_was_ended_continues_and_the_rest_is_skipped(
    clips: Path,
    tmp_path: Path,
    restored: Run,
) -> None:
    (clips / "rubbish.mkv").unlink()
    out = tmp_path / "out"
    assert restored(str(clips), str(out)).code == 0
    whole = frame_seconds(out / "a.mp4")
    (out / "a.mp4").unlink()
    sizes = ("--chunk", "2", "--segment", "2")
    until_cut(clips / "a.mp4", out / "a.mp4", 4, model="identity", chunk=2, **ASKED)
    assert (out / "a.mp4.resume").is_dir()
    done = restored(str(clips), str(out), *sizes)
    assert done.code == 1
    assert "resume with --resume" in done.err
    done = restored(str(clips), str(out), *sizes, "--resume", "--json")
    assert done.code == 0
    states = {outcome["name"]: outcome["state"] for outcome in json.loads(done.out)}
    assert states == {"a.mp4": "restored", "deeper/b.flv": "skipped", "frames": "skipped"}
    assert frame_seconds(out / "a.mp4") == whole
    assert not (out / "a.mp4.resume").exists()


def test_pictures_beside_videos_are_posters_and_reported_to_be_left_out(
    clips: Path,
    tmp_path: Path,
    restored: Run,
) -> None:
    assert mixed_note(str(clips)) is None
    assert mixed_note(str(clips / "a.mp4")) is None
    assert mixed_note(str(clips / "frames")) is None
    (clips / "a.mp4").rename(clips / "frames" / "a.mp4")
    done = restored(str(clips / "frames"), str(tmp_path / "out"))
    assert done.code == 0
    assert "holds videos, which are restored one by one; '" in done.err
    assert "and 3 more is left out" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_pictures_that_move_are_videos_of_a_folder(tmp_path: Path, suffix: str) -> None:
    write_animation(tmp_path / "in" / f"a{suffix}", [100, 100, 100])
    assert holds_videos(str(tmp_path / "in"))
    jobs = list_jobs(str(tmp_path / "in"), str(tmp_path / "out"))
    assert [Path(job.target).name for job in jobs] == [f"a{suffix}.mkv"]


def test_remains_of_runs_are_no_sources(clips: Path) -> None:
    write_images(clips / "b.resume", 2)
    assert "b.resume" not in {job.name for job in list_jobs(str(clips), str(clips / "out"))}


def test_a_dry_run_speaks_of_each(clips: Path, tmp_path: Path, restored: Run) -> None:
    out = tmp_path / "out"
    (out / "deeper").mkdir(parents=True)
    (out / "deeper" / "b.flv.mkv").touch()
    done = restored(str(clips), str(out), "--dry-run", "--json")
    assert (done.code, "rubbish.mkv" in done.err) == (1, True)
    listed = json.loads(done.out)
    assert {video["name"]: video["state"] for video in listed} == {
        "a.mp4": "to do",
        "deeper/b.flv": "skipped",
        "frames": "to do",
        "rubbish.mkv": "failed",
    }
    assert listed[0]["forecast"]["frames"] == 6
    rows = restored(str(clips), str(out), "--dry-run").out.splitlines()
    assert "96x72, 6 frames" in next(row for row in rows if row.startswith("a.mp4"))
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["b.flv.mkv"]


def test_a_preview_shows_each(clips: Path, tmp_path: Path, restored: Run) -> None:
    (clips / "rubbish.mkv").unlink()
    pictures = [f"{tmp_path}/out/{n}.preview.png" for n in ("a", "deeper/b.flv", "frames")]
    done = restored(str(clips), str(tmp_path / "out"), "--preview", "0.1")
    assert (done.code, done.out.splitlines()) == (0, pictures)
    assert sorted(str(path) for path in (tmp_path / "out").rglob("*.png")) == pictures


def test_only_images_among_videos_are_given_a_rate(
    clips: Path, tmp_path: Path, restored: Run
) -> None:
    (clips / "rubbish.mkv").unlink()
    rate = ("--frame-rate", "10")
    assert restored(str(clips), str(tmp_path / "out"), *rate).code == 0
    done = restored(str(clips / "deeper"), str(tmp_path / "out"), *rate)
    assert (done.code, "holds videos only" in done.err) == (2, True)


def test_a_film_whose_result_would_have_too_long_a_name_fails_alone(
    tmp_path: Path, restored: Run
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    write_clip(folder / "a.mkv", Clip(num_frames=3))
    (folder / f"{'b' * 248}.wmv").write_bytes((folder / "a.mkv").read_bytes())
    done = restored(str(folder), str(tmp_path / "out"))
    assert (done.code, [line.split()[1] for line in done.out.splitlines()[1:]]) == (
        1,
        ["restored", "failed"],
    )
    assert restored(str(folder), str(tmp_path / "out"), "--dry-run", "-y").code == 1


def test_two_films_of_one_result_are_refused(tmp_path: Path) -> None:
    for name in ("a.mpg", "a.mpg.mkv"):
        (tmp_path / name).touch()
    with pytest.raises(OpenError, match=r"would be .*a\.mpg\.mkv.*: a\.mpg and a\.mpg\.mkv"):
        list_jobs(str(tmp_path), str(tmp_path.parent / "out"))
