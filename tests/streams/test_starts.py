"""Sources that begin below zero, or at a broadcast's clock: outputs begin at zero."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import Clip, audio_packets, write_clip
from tests.streams.encoding import frame_seconds, transcode
from tests.streams.rich_media import run_ffmpeg
from vsr.streams import open_reader
from vsr.streams.names.container import open_input

PICTURE = "-f lavfi -i testsrc2=size=96x72:rate=5:duration=2"
SOUND = "-f lavfi -i sine=duration=2"
WRAP_S = 95443
"""Where the 33 bits of a transport stream's clock end."""


def write_ts(folder: Path, offset_s: float, inputs: str = f"{PICTURE} {SOUND}") -> Path:
    """A transport stream whose clock begins at an offset."""
    codecs = "-c:v libx264 -preset ultrafast -g 5 -c:a mp2"
    run_ffmpeg(folder, f"{inputs} {codecs} -output_ts_offset {offset_s} -muxdelay 0 in.ts")
    return folder / "in.ts"


def visible_seconds(path: Path) -> list[Fraction]:
    """Times of the frames that a player shows: those from zero on."""
    return [second for second in frame_seconds(path) if second >= 0]


def apart(path: Path) -> Fraction:
    """From the first packet of sound to the first frame."""
    return frame_seconds(path)[0] - audio_packets(path)[0][0]


@pytest.mark.parametrize("offset_s", [36000, WRAP_S - 1])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("in_process", [False, True])
def test_all_streams_begin_at_zero_together(
    tmp_path: Path, offset_s: float, suffix: str, in_process: bool
) -> None:
    source, target = write_ts(tmp_path, offset_s), tmp_path / f"out.{suffix}"
    transcode(source, target, in_process=in_process)
    shown = visible_seconds(target)
    assert len(shown) == 10
    assert 0 <= shown[0] < Fraction(1, 10)
    assert abs(shown[9] - shown[0] - Fraction(9, 5)) <= Fraction(1, 500)
    assert abs(apart(target) - apart(source)) <= Fraction(1, 500)
    with open_input(str(target)) as container:
        assert 1.9 < (container.duration or 0) / 1e6 < 2.2


@pytest.mark.parametrize(("offset_s", "said"), [(36000, "after zero"), (WRAP_S - 1, "before zero")])
def test_the_shift_is_reported_in_a_line(tmp_path: Path, offset_s: float, said: str) -> None:
    source = str(write_ts(tmp_path, offset_s))
    with open_reader(source) as reader:
        line = next(note for note in reader.notes if said in note)
        assert "all streams are shifted to begin at 0 (--keep-start)" in line
    with open_reader(source, keep_start=True) as reader:
        assert not [note for note in reader.notes if said in note]


def test_the_old_clock_is_kept_for_those_who_want_it(tmp_path: Path) -> None:
    source, target = write_ts(tmp_path, 36000), tmp_path / "out.mkv"
    transcode(source, target, keep_start=True)
    assert frame_seconds(target)[0] == 36000
    assert abs(apart(target) - apart(source)) <= Fraction(1, 500)


def test_a_pipe_is_shifted_too(tmp_path: Path) -> None:
    source, target = write_ts(tmp_path, 36000), tmp_path / "out.mkv"
    with open_reader(str(source)) as reader:
        assert reader.info.shift_s < -35_999
    transcode(source, target, read_once=True)
    assert frame_seconds(target)[0] < Fraction(1, 10)


def test_times_of_a_camera_or_ffmpeg_are_unchanged(tmp_path: Path) -> None:
    for name in ("in.ts", "in.mkv"):
        clip = Clip(num_frames=4, first_pts=15_000, time_base=Fraction(1, 10_000))
        with open_reader(str(write_clip(tmp_path / name, clip))) as reader:
            assert reader.info.shift_s == 0
