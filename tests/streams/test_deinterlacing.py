"""Interlaced, telecined and wrongly flagged sources: what the pictures are, not what flags say."""

from __future__ import annotations

import hashlib
import logging
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.streams.rich_media import run_ffmpeg
from vsr.errors import ConfigurationError
from vsr.streams import open_reader
from vsr.streams.decode.deinterlace import Mode
from vsr.streams.names.container import open_input

PICTURE = "-f lavfi -i testsrc2=size=160x120"
CODEC = "-c:v libx264 -preset ultrafast -crf 12 -pix_fmt yuv420p"
UNFLAGGED = ",setfield=prog"


def write(
    folder: Path, filters: str, name: str = "in.mkv", rate: str = "50", codec: str = ""
) -> Path:
    words = f"{PICTURE}:rate={rate}:duration=1.6 -vf {filters} {codec or CODEC} {name}"
    run_ffmpeg(folder, words)
    return folder / name


def frames_of(path: Path, mode: Mode = "auto") -> tuple[torch.Tensor, list[Fraction]]:
    """All frames of a file, and their times."""
    with open_reader(str(path), deinterlace=mode) as reader:
        chunks = list(reader.chunks(16))
    times = [pts * chunk.time_base for chunk in chunks for pts in chunk.pts]
    return torch.cat([chunk.frames for chunk in chunks]), times


def combing(frames: torch.Tensor) -> float:
    """How far lines lie from their neighbours, in parts of how far they lie from every other."""
    near = (frames[:, :, 1:-1] - (frames[:, :, :-2] + frames[:, :, 2:]) / 2).abs().mean()
    far = (frames[:, :, 2:-2] - (frames[:, :, :-4] + frames[:, :, 4:]) / 2).abs().mean()
    return float(near / far)


def pixel_hashes(path: Path) -> list[str]:
    with open_input(str(path)) as container:
        return [
            hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize("flag", ["", UNFLAGGED])
def test_combs_go_whatever_the_flags_say(
    tmp_path: Path, order: str, flag: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = write(tmp_path, f"tinterlace=interleave_{order}{flag}")
    (raw, times), (auto, same) = frames_of(source, "off"), frames_of(source)
    assert same == times
    assert combing(auto) < 0.9 * combing(raw)
    assert "every two fields become one frame; --deinterlace field keeps" in caplog.text


def test_progressive_film_flagged_as_interlaced_is_left_as_it_is(
    tmp_path: Path, vsr: Run, caplog: pytest.LogCaptureFixture
) -> None:
    mpeg2 = "-c:v mpeg2video -q:v 3 -flags +ildct+ilme -field_order tt -pix_fmt yuv420p"
    source = write(tmp_path, "null", "flagged.mpg", rate="25", codec=mpeg2)
    target = tmp_path / "out.mkv"
    with caplog.at_level(logging.WARNING):
        done = vsr("restore", source, target, "--model", "identity", "--encoder", "ffv1")
    assert done.code == 0
    assert pixel_hashes(target) == pixel_hashes(source)
    assert "marked as interlaced, but its pictures are not" in caplog.text


def test_progressive_film_is_left_as_it_is_and_nothing_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write(tmp_path, "null", rate="25")
    (raw, times), (auto, same) = frames_of(source, "off"), frames_of(source)
    assert times == same
    assert torch.equal(raw, auto)
    assert not caplog.records


def test_a_field_becomes_a_frame_at_twice_the_rate(tmp_path: Path) -> None:
    source = write(tmp_path, f"tinterlace=interleave_top{UNFLAGGED}")
    (frames, times), (fields, twice) = frames_of(source), frames_of(source, "field")
    assert len(fields) == 2 * len(frames) == 80
    assert twice[::2] == times
    assert twice[1] == (times[0] + times[1]) / 2
    with open_reader(str(source), deinterlace="field") as reader:
        assert reader.info.frame_rate == 50
        assert reader.info.num_frames == 80
    whole, _ = frames_of(write(tmp_path, "null", "whole.mkv"))
    error = [(fields[i] - whole[i]).abs().mean() for i in range(4, 40)]
    assert max(error) < (fields[4] - whole[10]).abs().mean()


def test_the_fields_of_a_single_frame_have_times_of_their_own(tmp_path: Path) -> None:
    parts = [(6, 72), (1, 144), (6, 72)]
    clips = [
        write_clip(tmp_path / f"{i}.h264", Clip(num_frames=number, height=height, width=2 * height))
        for i, (number, height) in enumerate(parts)
    ]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(clip.read_bytes() for clip in clips))
    with open_reader(str(joined), deinterlace="field") as reader:
        times = [pts * chunk.time_base for chunk in reader.chunks(4) for pts in chunk.pts]
    assert times == [times[0] + Fraction(i, 50) for i in range(26)]


def test_telecined_film_is_put_together_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = "24000/1001"
    source = write(tmp_path, f"telecine=pattern=23{UNFLAGGED}", rate=film)
    original, _ = frames_of(write(tmp_path, "null", "film.mkv", rate=film))
    (raw, times), (auto, same) = frames_of(source, "off"), frames_of(source)
    assert same == times
    assert "3:2 telecine" in caplog.text

    def nearest(frame: torch.Tensor) -> float:
        return min(float((frame - other).abs().mean()) for other in original)

    middle = range(5, 30)
    assert max(nearest(raw[i]) for i in middle) > 0.01
    assert max(nearest(auto[i]) for i in middle) < 0.01


def test_video_behind_film_is_found_where_it_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, f"tinterlace=interleave_top{UNFLAGGED}", "video.mkv")
    write(tmp_path, "null", "film.mkv", rate="25")
    (tmp_path / "both.txt").write_text("file film.mkv\nfile video.mkv\n")
    run_ffmpeg(tmp_path, "-f concat -i both.txt -c copy both.mkv")
    (raw, _), (auto, _) = frames_of(tmp_path / "both.mkv", "off"), frames_of(tmp_path / "both.mkv")
    assert torch.equal(raw[:36], auto[:36])
    assert combing(auto[44:]) < 0.9 * combing(raw[44:])
    assert "s on: the source is interlaced" in caplog.text


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path, "null", rate="25")
    with pytest.raises(ConfigurationError, match="give auto, off, frame, field"):
        open_reader(str(source), deinterlace="weave")  # type: ignore[arg-type]
