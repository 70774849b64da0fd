"""The journal of a run: when another run resumes it, when it is refused, and the messages."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.media import Clip, audio_packets, read_numbers, write_clip, write_images
from tests.resume.killing import encoders, finish, kill, kill_at
from tests.resume.power_cut import SIZES, in_parts, until_cut
from tests.streams.encoding import frame_seconds
from vsr.errors import ConfigurationError, EncodeError, OpenError, ReadError
from vsr.offline.estimate import estimate
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.results import Progress
from vsr.resume.journal import NAME, Journal, ResumePoint, header_line, journal_folder
from vsr.streams import open_reader
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.streams.names.target_lock import lock_target


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "in.mp4", Clip(num_frames=40, audio="aac"))


def test_ctrl_c_leaves_a_playable_part_and_the_rest_can_follow(clip: Path, tmp_path: Path) -> None:
    stop, target = threading.Event(), tmp_path / "out.mp4"

    def ask(progress: Progress) -> None:
        if progress.frames >= 20:
            stop.set()

    options: dict[str, Any] = {**SIZES, "model": "identity"}
    summary = restore(str(clip), str(target), RestoreOptions(**options), on_progress=ask, stop=stop)
    part = tmp_path / "out.partial.mp4"
    assert (summary.interrupted, summary.output) == (True, str(part))
    with open_reader(str(part)) as reader:
        numbers = [n for chunk in reader.chunks(8) for n in read_numbers(chunk.frames)]
    assert numbers == list(range(summary.frames_out))
    assert audio_packets(part)[-1][0] <= frame_seconds(part)[-1] + 0.1
    part.unlink()
    whole = restore(str(clip), str(target), RestoreOptions(resume=True, **options))
    assert (whole.frames_out, whole.output) == (40, str(target))
    assert 0 < whole.resumed < 40
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_run_that_is_short_or_may_not_leaves_no_journal(clip: Path, tmp_path: Path) -> None:
    for name, segment in (("short", 40), ("never", 0)):
        target = tmp_path / f"{name}.mp4"
        until_cut(clip, target, 20, model="identity", segment=segment)
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "x").mkdir()
    until_cut(clip, tmp_path / "x" / "out.mp4", 3, model="identity", segment=30)
    assert list((tmp_path / "x").iterdir()) == []  # nothing was whole


def test_a_run_that_is_done_is_told_from_one_that_is_not(clip: Path, tmp_path: Path) -> None:
    target, options = tmp_path / "out.mp4", {**SIZES, "model": "identity"}
    until_cut(clip, target, 20, model="identity")
    with pytest.raises(OpenError, match=r"was begun before and \d+ frames of it are done; resume"):
        restore(str(clip), str(target), RestoreOptions(**options))
    assert restore(str(clip), str(target), RestoreOptions(overwrite=True, **options)).resumed == 0
    whole = target.read_bytes()
    again = restore(str(clip), str(target), RestoreOptions(resume=True, **options))
    assert (again.skipped, again.output, again.frames_out) == (True, str(target), 0)
    with pytest.raises(OpenError, match="already exists"):
        restore(str(clip), str(target), RestoreOptions(**options))
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert target.read_bytes() == whole
    assert (
        restore(
            str(clip), str(target), RestoreOptions(resume=True, overwrite=True, **options)
        ).frames_out
        == 40
    )


def test_images_that_are_there_are_told_from_a_folder_that_is(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    pattern = str(folder / "f%02d.png")
    for skipped in (False, True):
        summary = restore(
            str(clip), pattern, RestoreOptions(resume=True, model="identity", **SIZES)
        )
        assert summary.skipped == skipped
    assert len(list(folder.glob("f*.png"))) == 40


@pytest.mark.parametrize(
    ("suffix", "kept"),
    [(".mp4", "segment-*.nut"), (".mp4", "marks-*"), (".mp4", "state-*"), ("", "images/*0*.png")],
)
@pytest.mark.parametrize("sealed", [False, True])
def test_lost_segments_are_noticed_at_once(
    suffix: str, kept: str, sealed: bool, clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / f"out{suffix}"
    until_cut(clip, target, 20, model="identity")
    folder = tmp_path / f"{target.name}.resume"
    if sealed and suffix:
        journal = Journal.open(folder)
        journal.seal(40)
        journal.close()
    for path in folder.glob(kept):
        path.unlink()
    for _ in range(2):
        with pytest.raises(OpenError, match="is missing or incomplete; start"):
            in_parts(clip, target, [], model="identity")
    assert (
        restore(
            str(clip), str(target), RestoreOptions(model="identity", overwrite=True, **SIZES)
        ).resumed
        == 0
    )
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_one_image_that_is_lost_is_missed(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    until_cut(clip, tmp_path / "out", 20, model="identity")
    (tmp_path / "out.resume" / "images" / "00000003.png").unlink()
    caplog.clear()
    with pytest.raises(EncodeError, match=r"00000003\.png' is missing; start again"):
        in_parts(clip, tmp_path / "out", [], model="identity")
    assert "--resume continues there" not in caplog.text


def test_a_damaged_journal_is_not_offered_for_resuming(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    until_cut(clip, tmp_path / "out.mp4", 20, model="identity")
    segment = next(tmp_path.glob("out.mp4.resume/segment-*"))
    segment.write_bytes(bytes(segment.stat().st_size))
    caplog.clear()
    with caplog.at_level(logging.WARNING), pytest.raises(EncodeError, match="start again"):
        in_parts(clip, tmp_path / "out.mp4", [], model="identity")
    assert "--resume continues there" not in caplog.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "bicubic-x2"}, "begun with --model identity, not with --model bicubic-x2"),
        ({"encoder": "ffv1"}, "begun with no --encoder, not with --encoder ffv1"),
        ({"start_s": 0.5}, "begun with no --start, not with --start 0.5"),
        ({"encode_args": ("-crf", "3")}, "not with --encode-args -crf 3"),
    ],
)
def test_another_wish_is_refused_in_one_line(
    changes: dict[str, Any], said: str, clip: Path, tmp_path: Path
) -> None:
    until_cut(clip, tmp_path / "out.mp4", 20, model="identity")
    with pytest.raises(OpenError, match=said):
        in_parts(clip, tmp_path / "out.mp4", [], **{"model": "identity", **changes})
    assert in_parts(clip, tmp_path / "out.mp4", [], model="identity").frames_out == 40


def test_another_source_network_or_version_is_refused(clip: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(clip.read_bytes())
    target = tmp_path / "out.mp4"
    until_cut(source, target, 20, model="identity")
    journal = tmp_path / "out.mp4.resume" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    for name, value, said in (
        ("version", "0.0.1", "was begun by vsr 0.0.1, this is"),
        ("network", {"name": "identity", "weights": "others"}, "begun with identity others, this"),
    ):
        header = json.loads(lines[0]) | {name: value}
        journal.write_text("".join([json.dumps(header) + "\n", *lines[1:]]))
        with pytest.raises(OpenError, match=said):
            in_parts(source, target, [], model="identity")
    journal.write_text("".join(lines))
    os.utime(source, ns=(0, 0))
    with pytest.raises(OpenError, match="has changed since"):
        in_parts(source, target, [], model="identity")


def test_resuming_and_encoding_in_process_exclude_each_other(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        restore(str(clip), str(tmp_path / "out.mp4"), RestoreOptions(resume=True, in_process=True))


def test_outputs_that_cannot_be_segmented_are_written_whole(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target, options = tmp_path / "out.mp4", {**SIZES, "encode_args": ("-vf", "hflip")}
    with caplog.at_level(logging.WARNING):
        assert (
            restore(str(clip), str(target), RestoreOptions(model="identity", **options)).frames_out
            == 40
        )
    assert "cannot be resumed if it is interrupted: -vf" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_resumed_run_whose_trial_fails_keeps_what_is_done(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, program = tmp_path / "out.mp4", tmp_path / "ffmpeg"
    until_cut(clip, target, 20, model="identity")
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *{os.devnull}*) exit 1;; esac\nexec {find_ffmpeg()} "$@"\n'
    )
    program.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("VSR_FFMPEG", str(program))
        with pytest.raises(ConfigurationError, match="cannot be kept in segments"):
            in_parts(clip, target, [], model="identity")
    assert in_parts(clip, target, [], model="identity").resumed >= 8
    assert frame_seconds(target) == frame_seconds(clip)


def test_a_source_that_could_not_be_read_may_be_read_on_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = write_images(tmp_path / "frames", 40), tmp_path / "out.mkv"
    last, aside = source / "39.png", tmp_path / "aside.png"

    def lose(progress: Progress) -> None:
        if progress.frames >= 12 and last.exists():
            last.rename(aside)

    options = RestoreOptions(model="identity", **SIZES)
    with caplog.at_level(logging.WARNING), pytest.raises(ReadError, match=r"39\.png"):
        restore(str(source), str(target), options, on_progress=lose)
    assert "--resume continues there" in caplog.text
    aside.rename(last)
    summary = in_parts(source, target, [], model="identity")
    assert (summary.frames_out, summary.resumed >= 8) == (40, True)
    with open_reader(str(target)) as reader:
        assert [n for c in reader.chunks(8) for n in read_numbers(c.frames)] == list(range(40))


def test_an_encoder_that_fails_does_not_take_what_is_done_with_it(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "out.mp4"

    def strike(progress: Progress) -> None:
        if progress.frames >= 20:
            for pid in encoders(os.getpid()):
                kill(pid)

    with caplog.at_level(logging.WARNING), pytest.raises(EncodeError):
        restore(
            str(clip), str(target), RestoreOptions(model="identity", **SIZES), on_progress=strike
        )
    assert "--resume continues there" in caplog.text
    assert in_parts(clip, target, [], model="identity").resumed >= 8
    assert frame_seconds(target) == frame_seconds(clip)


def test_a_whole_file_gets_its_name_even_later(clip: Path, tmp_path: Path) -> None:
    """As if the power was cut right behind the last line of the journal, or of the renaming."""
    until_cut(clip, tmp_path / "out.mp4", 20, model="identity")
    for name in (".out.part.mp4", "out.mp4"):
        folder = tmp_path / "out.mp4.resume"
        if not folder.exists():
            (tmp_path / "out.mp4").unlink()
            until_cut(clip, tmp_path / "out.mp4", 20, model="identity")
        journal = Journal.open(folder)
        journal.seal(40)
        journal.close()
        (tmp_path / name).write_bytes(b"whole")
        summary = in_parts(clip, tmp_path / "out.mp4", [], model="identity")
        assert (summary.frames_out, summary.output) == (40, str(tmp_path / "out.mp4"))
        assert (tmp_path / "out.mp4").read_bytes() == b"whole"
        assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_line_that_was_not_written_to_its_end_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "out.mkv.resume"
    journal = Journal.create(folder, {"version": "1"})
    for number in (1, 2):
        segment, marks = f"segment-{number}.nut", f"marks-{number}.safetensors"
        for name in (segment, marks):
            (folder / name).write_bytes(b"content")
        journal.append(ResumePoint(number=number, frames=10 * number, segment=segment, marks=marks))
    journal.close()
    whole = (folder / "journal.jsonl").read_bytes()
    (folder / "segment-3.nut").write_bytes(b"begun")
    (folder / "journal.jsonl").write_bytes(whole + b'{"number": 3, "frames": 30, "segm')
    journal = Journal.open(folder)
    assert journal.passed.frames == 20
    assert [path.name for path in journal.segments] == ["segment-1.nut", "segment-2.nut"]
    assert (folder / "journal.jsonl").read_bytes() == whole
    names_left = {path.name for path in folder.iterdir()} - {"journal.jsonl"}
    assert names_left == {"segment-1.nut", "segment-2.nut", "marks-2.safetensors"}
    with pytest.raises(OpenError, match="another run writes"):
        Journal.open(folder)
    journal.remove()
    assert not folder.exists()


def test_removing_what_is_kept_may_be_ended_as_well(clip: Path, tmp_path: Path) -> None:
    until_cut(clip, tmp_path / "out.mp4", 20, model="identity")
    (tmp_path / "out.mp4.resume" / "journal.jsonl").unlink()
    assert in_parts(clip, tmp_path / "out.mp4", [], model="identity").resumed == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]\n", "line 1 is damaged"),
        ("{}\n", "it has another format"),
        ('{"format": 3}\n{"number": 1}\n', "line 2 is damaged"),
        ('{"format": 3}\n{"number": "1", "frames": 3}\n', "line 2 is damaged"),
        ('{"format": 3}\n{"number": 1, "frames": 3}\n\0\0\n', "line 3 is damaged"),
    ],
)
def test_invalid_journals_are_reported(content: str, said: str, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    journal = tmp_path / "out.mp4.resume" / "journal.jsonl"
    journal.parent.mkdir()
    journal.write_text(content)
    for resume in (True, False):
        with pytest.raises(
            OpenError, match=f"is not a journal that can be resumed: {said}; start again"
        ):
            restore(str(clip), str(target), RestoreOptions(model="identity", resume=resume))
    assert (
        restore(str(clip), str(target), RestoreOptions(model="identity", overwrite=True)).frames_out
        == 40
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_where_the_journal_goes() -> None:
    assert journal_folder("a/out.mkv") == Path("a/out.mkv.resume")
    assert journal_folder("a/frames") == Path("a/frames.resume")
    assert journal_folder("a/frames/%06d.png") == Path("a/frames.resume")
    assert [journal_folder(name) for name in ("-", "null", "rtmp://host/app")] == [None] * 3


def test_a_dry_run_says_where(clip: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "out.mkv")
    estimated = estimate(
        str(clip), target, RestoreOptions(model="identity", segment=8, device="cpu")
    )
    assert estimated.journal == f"{target}.resume"
    assert f"journal {target}.resume, for --resume" in estimated.text()
    assert (
        estimate(str(clip), target, RestoreOptions(model="identity", device="cpu")).journal is None
    )


def test_a_run_that_was_killed_before_its_first_checkpoint_does_not_hinder_the_next(
    tmp_path: Path,
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=256))
    target = tmp_path / "out.mp4"
    words = ("--model", "identity", "--segment", "250")
    assert kill_at(0, source, target, *words, encoder_too=True)
    assert (tmp_path / "out.mp4.resume" / NAME).exists()
    done = finish(source, target, *words)
    assert (done.returncode, len(frame_seconds(target))) == (0, 256)


def test_a_run_that_was_ended_before_its_first_checkpoint_does_not_hinder_the_next(
    clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    for header in (b"", b'{"format": 3, "version"', header_line({"version": "0.1.0"})):
        folder = tmp_path / "out.mp4.resume"
        folder.mkdir()
        (folder / NAME).write_bytes(header)
        summary = restore(
            str(clip), str(target), RestoreOptions(model="identity", overwrite=False, **SIZES)
        )
        assert (summary.frames_out, summary.resumed) == (40, 0)
        assert not folder.exists()
        target.unlink()


def test_a_journal_is_locked_before_anything_of_it_changes(tmp_path: Path) -> None:
    first = Journal.create(tmp_path / "out.resume", {"run": "first"})
    with pytest.raises(OpenError, match="another run writes"):
        Journal.create(tmp_path / "out.resume", {"run": "second"})
    assert b"first" in (tmp_path / "out.resume" / NAME).read_bytes()
    first.close()


def test_a_journal_another_run_has_just_begun_is_left_alone(clip: Path, tmp_path: Path) -> None:
    target, folder = tmp_path / "out.mp4", tmp_path / "out.mp4.resume"
    for begun in (None, b"", header_line({"version": "0.1.0"})):
        folder.mkdir(exist_ok=True)
        if begun is not None:
            (folder / NAME).write_bytes(begun)
        options = RestoreOptions(model="identity", overwrite=True, **SIZES)
        with lock_target(str(target)), pytest.raises(OpenError, match="another run writes"):
            restore(str(clip), str(target), options)
        assert folder.is_dir()
        assert (folder / NAME).exists() == (begun is not None)


def test_remains_of_a_run_that_was_killed_at_its_very_end_are_removed(
    clip: Path, tmp_path: Path
) -> None:
    target, folder = tmp_path / "out.mp4", tmp_path / "out.mp4.resume"
    target.write_bytes(b"whole")
    folder.mkdir()
    for name in ("segment-000001.nut", ".state-000002.safetensors.part", ".tmpHquF65"):
        (folder / name).touch()
    summary = restore(str(clip), str(target), RestoreOptions(model="identity", resume=True))
    assert summary.skipped
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
