"""Clocks that start early, late, twice, or that run for ten hours."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.media import Clip, audio_packets, read_numbers, write_clip
from tests.streams.encoding import frame_seconds, transcode
from tests.streams.oddities import break_time
from tests.streams.rich_media import run_ffmpeg
from vsr.streams import open_reader
from vsr.streams.decode.timestamps import Timestamps

NTSC = Fraction(30000, 1001)
TEN_HOURS = 36_000


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("rate", [NTSC, Fraction(24000, 1001), Fraction(60000, 1001)])
def test_ten_hours_do_not_drift(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    """A frame a quarter of an hour, all on the grid of the rate, then ten in a row."""
    base = Fraction(1, 90_000)
    late = int(TEN_HOURS * rate)
    places = [*range(0, late, late // 40), *range(late, late + 10)]
    pts = [round(place / rate / base) for place in places]
    clip = Clip(num_frames=len(pts), pts=pts, rate=rate, time_base=base)
    source, target = write_clip(tmp_path / "in.mp4", clip), tmp_path / f"out.{suffix}"
    transcode(source, target)
    near = 0 if suffix == "mp4" else Fraction(1, 2000)
    for got, wanted in zip(frame_seconds(target), clip.seconds, strict=True):
        assert abs(got - wanted) <= near


def test_sound_keeps_with_the_picture_for_ten_hours(tmp_path: Path) -> None:
    """Frames and packets of sound ten hours after the start arrive at the same distance."""
    base = Fraction(1, 90_000)
    clip = Clip(num_frames=25, first_pts=TEN_HOURS * 90_000, time_base=base, audio="aac")
    source = write_clip(tmp_path / "in.mkv", clip)
    transcode(source, tmp_path / "out.mkv")
    assert frame_seconds(tmp_path / "out.mkv") == frame_seconds(source)
    assert audio_packets(tmp_path / "out.mkv") == audio_packets(source)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_a_negative_start_survives_where_it_is_to_be_kept(tmp_path: Path, suffix: str) -> None:
    write_clip(tmp_path / "clip.mp4", Clip(num_frames=20, audio="aac"))
    words = "-copyts -itsoffset -0.2 -i clip.mp4 -map 0 -c copy -avoid_negative_ts disabled"
    run_ffmpeg(tmp_path, f"{words} in.{suffix}")
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    transcode(source, target, keep_start=True)
    for got, wanted in zip(frame_seconds(target), frame_seconds(source), strict=True):
        assert abs(got - wanted) <= Fraction(1, 2000)
    got_sound, sound = audio_packets(target), audio_packets(source)
    assert [payload for _, payload in got_sound] == [payload for _, payload in sound]
    for (got, _), (wanted, _) in zip(got_sound, sound, strict=True):
        assert abs(got - wanted) <= Fraction(1, 40)


def test_an_edit_list_that_cuts_the_beginning_is_obeyed(tmp_path: Path) -> None:
    """A stream copy from the middle leaves frames in the file that are decoded, but not shown."""
    write_clip(tmp_path / "clip.mp4", Clip(num_frames=50, options={"bf": "2", "g": "25"}))
    run_ffmpeg(tmp_path, "-ss 0.4 -i clip.mp4 -c copy in.mp4")
    with open_reader(str(tmp_path / "in.mp4")) as reader:
        numbers = [n for chunk in reader.chunks(8) for n in read_numbers(chunk.frames)]
    assert numbers == list(range(10, 50))
    transcode(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert frame_seconds(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(40)]


def test_an_edit_list_that_delays_the_picture_is_obeyed(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", Clip(num_frames=10))
    write_clip(tmp_path / "song.mp4", Clip(num_frames=30, audio="aac"))
    words = "-itsoffset 0.5 -i clip.mp4 -i song.mp4 -map 0:v -map 1:a -c copy in.mp4"
    run_ffmpeg(tmp_path, words)
    transcode(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert frame_seconds(tmp_path / "out.mp4") == frame_seconds(tmp_path / "in.mp4")
    assert frame_seconds(tmp_path / "out.mp4")[0] == Fraction(1, 2)
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(tmp_path / "in.mp4")


@pytest.mark.parametrize("rate", ["25", "30000/1001", "50"])
def test_raw_h264_runs_at_its_own_rate(tmp_path: Path, rate: str) -> None:
    words = f"-f lavfi -i testsrc2=size=96x72:rate={rate} -frames:v 30 -c:v libx264 -bf 3"
    run_ffmpeg(tmp_path, f"{words} in.h264")
    transcode(tmp_path / "in.h264", tmp_path / "out.mp4")
    times = frame_seconds(tmp_path / "out.mp4")
    assert len(times) == 30
    for number, time in enumerate(times):
        assert abs(time - times[0] - number / Fraction(rate)) < Fraction(1, 10_000)


def test_joined_recordings_continue(tmp_path: Path) -> None:
    """Two transport streams in one file, as recorders leave them: the clock starts over."""
    one = write_clip(tmp_path / "one.ts", Clip(num_frames=50, audio="mp2"))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() * 2)
    transcode(joined, tmp_path / "out.mp4")
    times = frame_seconds(tmp_path / "out.mp4")
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 100
    assert all(Fraction(3, 100) < step < Fraction(6, 100) for step in steps[:49] + steps[50:])
    assert 0 < steps[49] < Fraction(6, 100)
    sound = audio_packets(tmp_path / "out.mp4")
    assert len(sound) == 2 * len(audio_packets(one))
    assert abs(sound[-1][0] - times[-1]) < Fraction(1, 10)


@pytest.mark.parametrize(
    ("which", "pid"), [("pts", 0x100), ("dts", 0x100), ("both", 0x100), ("pts", 0x101)]
)
def test_one_broken_time_moves_nothing(tmp_path: Path, which: str, pid: int) -> None:
    """A bit error in a transport stream: one frame, or one packet of sound, is 16 hours off."""
    clip = Clip(num_frames=50, options={"bf": "2", "g": "25"}, audio="mp2")
    whole = write_clip(tmp_path / "whole.ts", clip)
    broken = break_time(whole, tmp_path / "broken.ts", 20, which=which, pid=pid)
    transcode(whole, tmp_path / "whole.mkv")
    transcode(broken, tmp_path / "broken.mkv")
    assert frame_seconds(tmp_path / "broken.mkv") == frame_seconds(tmp_path / "whole.mkv")
    sound = audio_packets(tmp_path / "whole.mkv")
    for (got, _), (wanted, _) in zip(audio_packets(tmp_path / "broken.mkv"), sound, strict=True):
        assert abs(got - wanted) <= Fraction(1, 1000)


@pytest.mark.parametrize(
    ("times", "stamped"),
    [
        ((0, 40, 9000, 120, 160), [0, 40, 80, 120, 160]),
        ((0, 40, 5, 120, 160), [0, 40, 80, 120, 160]),
        ((0, 40, 40, 120, 160), [0, 40, 80, 120, 160]),
        ((0, 1, 50_000, 501, 541), [0, 1, 251, 501, 541]),
        ((0, 40, 9000, 9040, 9080), [0, 40, 9000, 9040, 9080]),
        ((0, 40, 9000), [0, 40, 9000]),
        ((0, 100, 230, 500, 520, 530), [0, 100, 230, 500, 520, 530]),
        ((None, None, None), [0, 40, 80]),
    ],
)
def test_a_time_is_doubted_where_the_next_frame_belies_it(
    times: tuple[int | None, ...], stamped: list[int]
) -> None:
    assert stamp_all(times, Fraction(1, 1000)) == stamped


def stamp_all(times: Iterable[int | None], base: Fraction) -> list[int]:
    """The pts that frames of 25 a second with these times are given."""
    timestamps = Timestamps[int](base, Fraction(25))
    settled: list[tuple[int, int]] = []
    for number, pts in enumerate(times):
        settled += timestamps.stamp(number, pts, None)
    settled += timestamps.drain()
    assert [number for number, _ in settled] == list(range(len(settled)))
    return [pts for _, pts in settled]


@pytest.mark.parametrize("base", [Fraction(1, 90_000), Fraction(1, 1000), Fraction(1, 25)])
def test_frames_that_share_a_time_stay_separate(base: Fraction) -> None:
    stamped = stamp_all((0, 0, 0, 900, 850), base)
    steps = [(later - earlier) * base for earlier, later in pairwise(stamped)]
    assert all(step >= Fraction(1, 1000) for step in steps)
    assert stamped[3] == 900
