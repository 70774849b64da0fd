"""Encoders and containers that cannot say every time: frames go to the nearest place, all do."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import Clip, write_clip
from tests.streams.encoding import frame_seconds, transcode
from tests.streams.said_times import decoded_by_ffmpeg
from vsr.streams.encode.time_base import FrameClock, coarser_clocks

TICK = Fraction(1, 90_000)
ONE_RATE = "has one frame rate, 25 a second: each frame goes to the nearest place"


@pytest.mark.parametrize("encoder", ["mpeg1video", "mpeg2video", "mpeg4"])
def test_an_encoder_of_few_time_bases_keeps_even_times(tmp_path: Path, encoder: str) -> None:
    clip = Clip(num_frames=20, time_base=TICK, audio="mp2")
    source = write_clip(tmp_path / "in.ts", clip)
    writer = transcode(source, tmp_path / "out.mkv", encoder=encoder)
    assert writer.notes == (() if encoder == "mpeg4" else (f"{encoder} {ONE_RATE}",))
    times = frame_seconds(tmp_path / "out.mkv")
    assert abs(times[0] - frame_seconds(source)[0]) <= Fraction(1, 50)
    assert [time - times[0] for time in times] == [Fraction(place, 25) for place in range(20)]


def test_frames_that_crowd_are_all_kept(tmp_path: Path) -> None:
    uneven = [0, 40, 50, 60, 400, 480, 520, 530, 600]
    clip = Clip(num_frames=9, pts=uneven, time_base=Fraction(1, 1000))
    source = write_clip(tmp_path / "in.mkv", clip)
    transcode(source, tmp_path / "out.mkv", encoder="mpeg2video")
    places = [round(time * 25) for time in frame_seconds(tmp_path / "out.mkv")]
    assert places == [0, 1, 2, 3, 10, 12, 13, 14, 15]


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4", "utvideo"])
def test_avi_counts_frames_from_the_first(tmp_path: Path, encoder: str) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=20, audio="libmp3lame"))
    writer = transcode(source, tmp_path / "out.avi", encoder=encoder)
    assert f"'.avi' {ONE_RATE}" in writer.notes
    times = decoded_by_ffmpeg(tmp_path / "out.avi")
    assert times == [Fraction(place, 25) for place in range(20)]
    assert decoded_by_ffmpeg(tmp_path / "out.avi", "a:0")[0] == 0


def test_clocks_become_coarser_until_one_is_standard() -> None:
    clocks = list(coarser_clocks(Fraction(30000, 1001)))
    assert clocks[0] == Fraction(1, 60_000)
    assert clocks[1:3] == [Fraction(1001, 30_000), Fraction(1001, 30_000)]
    assert 1 / list(coarser_clocks(Fraction(15)))[2] == 30


def test_times_of_the_clock_itself_are_left_alone() -> None:
    clock = FrameClock(TICK)
    assert [clock.pts(pts, TICK) for pts in (5, 5, 3)] == [5, 5, 3]
