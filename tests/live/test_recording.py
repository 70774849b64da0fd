"""A record in segments: each whole, none too old, never more than asked for."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.command_line import Run
from tests.live.harness import asked, free_port, look, running, take_no_ffmpeg, until
from tests.live.test_sink import coded
from vsr.errors import ConfigurationError
from vsr.live.audio.packets import StreamTemplates
from vsr.live.input.retry import Retry
from vsr.live.output.recording import Recording, Segments
from vsr.live.output.sink import Sink
from vsr.live.supervisor import may_begin_again
from vsr.live.targets import check_targets


def segments_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("copy_*.mkv"), key=lambda path: path.stat().st_mtime_ns)


def sink_of(clip: Path, target: Path, segments: Segments) -> Sink:
    """A record to which a clip was sent; a key frame every ten."""
    templates = StreamTemplates()
    packets = list(coded(clip, templates))
    sink = Sink(str(target), retry=Retry(None), segments=segments)
    sink.start(templates.streams)
    for packet in packets:
        sink.put(packet)
    sink.finish()
    return sink


def test_every_frame_is_in_one_segment_which_begins_at_zero_with_a_key_frame(
    long_clip: Path, tmp_path: Path
) -> None:
    sink = sink_of(long_clip, tmp_path / "copy.mkv", Segments(length_s=1.0))
    assert sink.error is None
    found = [look(path) for path in segments_in(tmp_path)]
    assert [number for one in found for number in one.numbers] == list(range(125))
    # Thirty frames are more than a second, and twenty are less.
    assert [len(one.numbers) for one in found] == [30, 30, 30, 30, 5]
    assert all(one.times[0] < 0.1 and one.sound for one in found)
    assert sink.figures().segments == 5
    assert sink.reopened == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_segment_has_its_name_only_once_it_is_whole(long_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.mkv"
    options = asked(
        long_clip, f"udp://127.0.0.1:{free_port()}", record=str(target), record_segment_s=1.0
    )
    with running(options) as stream:
        until(lambda: len(segments_in(tmp_path)) == 2, "two segments are whole")
        seen = [look(path).numbers for path in segments_in(tmp_path)]
        assert seen[0][0] == 0
        assert seen[1][0] == seen[0][-1] + 1
        hidden = [path.name for path in tmp_path.iterdir() if path.name.startswith(".copy_")]
        assert len(hidden) <= 1
        stream.wait()
    assert not target.exists()


def old(folder: Path, name: str, ended: float, size: int = 100) -> Path:
    path = folder / name
    path.write_bytes(bytes(size))
    os.utime(path, (ended, ended))
    return path


def test_only_segments_of_this_record_are_removed_the_oldest_first(tmp_path: Path) -> None:
    names = [f"copy_2026112{day}T000000Z.mkv" for day in range(1, 5)]
    files = [old(tmp_path, name, 1000.0 + 10 * i) for i, name in enumerate(names)]
    lost = old(tmp_path, ".copy_20261120T000000Z.part.mkv", 900.0)
    others = [
        old(tmp_path, name, 1.0)
        for name in ("copy.mkv", "copy_notes.mkv", "other_20261120T000000Z.mkv")
    ]
    others.append(tmp_path / "copy_20261119T000000Z.mkv")
    others[-1].symlink_to(others[0])
    record = Recording(str(tmp_path / "copy.mkv"), Segments(length_s=1.0, most_bytes=250))
    record.forget_old(2000.0)
    assert [path.exists() for path in [lost, *files]] == [False, False, False, True, True]
    by_age = Recording(str(tmp_path / "copy.mkv"), Segments(length_s=1.0, most_age_s=975.0))
    by_age.forget_old(2000.0)
    assert [path.exists() for path in files] == [False, False, False, True]
    assert all(path.exists() for path in others)


def test_the_open_segment_and_all_segments_without_a_limit_stay(tmp_path: Path) -> None:
    part = old(tmp_path, ".copy_20261120T000000Z.part.mkv", 1.0)
    whole = old(tmp_path, "copy_20261120T000000Z.mkv", 1.0)
    record = Recording(str(tmp_path / "copy.mkv"), Segments(length_s=1.0, most_bytes=1))
    record.forget_old(2000.0, written=str(part))
    assert part.exists()
    assert not whole.exists()
    old(tmp_path, whole.name, 1.0)
    Recording(str(tmp_path / "copy.mkv"), Segments(length_s=1.0)).forget_old(2e9)
    assert whole.exists()


def test_no_segment_replaces_a_file(tmp_path: Path) -> None:
    record, now = Recording(str(tmp_path / "copy.mkv"), Segments(length_s=1.0)), datetime.now(UTC)
    names = []
    for _ in range(3):
        names.append(record.next_file(now).path.name)
        (tmp_path / names[-1]).touch()
    assert len(set(names)) == 3


def test_a_segment_that_cannot_be_written_is_followed_by_another(
    long_clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    templates = StreamTemplates()
    packets = list(coded(long_clip, templates))
    sink = Sink(str(folder / "copy.mkv"), retry=Retry(None), segments=Segments(length_s=1.0))
    sink.start(templates.streams)
    folder.rename(tmp_path / "away")
    sink.put(packets[0])
    until(lambda: sink.state == "missing", "it is missed")
    assert sink.error is None
    (tmp_path / "away").rename(folder)

    def sent() -> bool:
        sink.put(packets[0])
        return sink.reopened > 0

    until(sent, "another one is begun")
    sink.finish()
    assert sink.error is None
    assert [look(path).numbers[0] for path in segments_in(folder)] == [0]
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_a_stream_with_such_a_record_may_begin_again() -> None:
    nowhere = "udp://h:1"
    assert not may_begin_again(asked(nowhere, "udp://h:2", record="copy.mkv"))
    assert may_begin_again(asked(nowhere, "udp://h:2", record="copy.mkv", record_segment_s=600.0))


def test_segments_without_a_record_are_refused() -> None:
    for given in (
        {"record_segment_s": 60.0},
        {"record_segment_s": 60.0, "record": "copy.m3u8"},
        {"record": "copy.mkv", "record_age_s": 60.0},
        {"record": "copy.mkv", "record_bytes": 60},
    ):
        with pytest.raises(ConfigurationError, match="give --record"):
            check_targets([asked("udp://h:1", "udp://h:2", **given)])


@pytest.mark.parametrize(
    ("option", "said"),
    [("--record-size", "is not a size; give 800M, 50G"), ("--record-age", "also 10m, 2h, 7d")],
)
def test_units_are_asked_for(option: str, said: str, vsr: Run) -> None:
    done = vsr("live", "udp://h:1", "udp://h:2", "-m", "identity", option, "7")
    assert done.code == 2
    assert said in done.err


def test_old_segments_are_removed_and_no_empty_ones_left_while_none_can_be_written(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that is full: room is made all the same."""
    take_no_ffmpeg(tmp_path, monkeypatch)
    whole = old(tmp_path, "copy_20261120T000000Z.mkv", 1.0)
    sink = sink_of(clip, tmp_path / "copy.mkv", Segments(length_s=1.0, most_bytes=50))
    assert "Exec format error" in str(sink.error)
    assert not whole.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]
