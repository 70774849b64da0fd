"""Encoding by PyAV in this process: the same file as by the ffmpeg program, where it can be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.frame import PictureType

from tests.media import Clip, audio_packets, write_clip
from tests.streams.encoding import INFO, encode, first_frame, frame_seconds, transcode
from tests.streams.rich_media import write_film
from tests.streams.test_identity import samples
from vsr.errors import ConfigurationError
from vsr.streams import open_writer
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.types import Colour

UNEVEN = (0, 512, 700, 2048, 2049, 4000, 9000, 9001, 12800, 20000)


def test_uneven_times_and_sound_arrive_exactly(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=10, pts=UNEVEN, audio="aac"))
    transcode(source, tmp_path / "out.mp4", in_process=True)
    assert frame_seconds(tmp_path / "out.mp4") == [Fraction(pts, 12800) for pts in UNEVEN]
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].language == "fra"


def test_a_trimmed_target_begins_at_zero(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=100, audio="aac"))
    transcode(source, tmp_path / "out.mp4", in_process=True, start_s=1.2, end_s=2.6)
    assert frame_seconds(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(35)]
    assert abs(audio_packets(tmp_path / "out.mp4")[0][0]) < Fraction(1, 40)


def test_colour_tags_are_the_sources(tmp_path: Path) -> None:
    colour = Colour(matrix="bt2020nc", primaries="bt2020", transfer="smpte2084", range="tv")
    changes = {"colour": colour, "pixel_format": "yuv420p10le", "bit_depth": 10}
    frame, _ = first_frame(encode(tmp_path / "out.mp4", changes=changes, in_process=True))
    found = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    assert found == (9, 9, 16, 1)
    assert frame.format.name == "yuv420p10le"


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv422p10le", "gray"])
def test_a_lossless_encoder_returns_every_sample(tmp_path: Path, pixel_format: str) -> None:
    clip = Clip(num_frames=5, codec="ffv1", pixel_format=pixel_format, options={}, width=95)
    source = write_clip(tmp_path / "in.mkv", clip)
    transcode(source, tmp_path / "out.mkv", in_process=True, encoder="ffv1")
    assert samples(tmp_path / "out.mkv") == samples(source)


def test_no_program_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSR_FFMPEG", "/nowhere/ffmpeg")
    assert len(frame_seconds(encode(tmp_path / "out.mp4", in_process=True))) == 5
    monkeypatch.delenv("VSR_FFMPEG")
    assert find_ffmpeg()


def test_tracks_keep_their_languages_and_titles(tmp_path: Path) -> None:
    transcode(write_film(tmp_path), tmp_path / "out.mkv", in_process=True)
    with av.open(str(tmp_path / "out.mkv")) as container:
        said = [(s.language, s.metadata.get("title")) for s in container.streams]
        assert container.metadata["title"] == "A film"
    assert said == [("jpn", "Main"), ("eng", None), ("fra", "Commentary")]


def test_omitted_streams_are_reported(tmp_path: Path) -> None:
    film = write_film(tmp_path)
    writer = transcode(film, tmp_path / "out.mkv", in_process=True)
    assert "subtitle (subrip)" in writer.notes[0]
    assert "chapters" in writer.notes[0]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "audio"]
        assert container.metadata["title"] == "A film"


def test_sound_that_does_not_fit_is_left_out_with_a_note(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=5, audio="aac"))
    writer = transcode(source, tmp_path / "out.webm", in_process=True)
    assert "'.webm' cannot hold the source's audio (aac): it is left out" in writer.notes[0]
    assert len(frame_seconds(tmp_path / "out.webm")) == 5
    assert audio_packets(tmp_path / "out.webm") == []


def test_avi_has_one_duration_for_all_frames_and_none_out_of_order(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=10, pts=UNEVEN))
    transcode(source, tmp_path / "own.avi", in_process=True)
    transcode(source, tmp_path / "program.avi")
    with av.open(str(tmp_path / "own.avi")) as container:
        kinds = {frame.pict_type for frame in container.decode(video=0)}
    assert PictureType.B not in kinds
    assert frame_seconds(tmp_path / "own.avi") == frame_seconds(tmp_path / "program.avi")


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("out.mp4", {"encoder": "libnothing"}, "no encoder 'libnothing'"),
        ("out.mp4", {"encoder": "aac"}, "encodes no video"),
        ("out.mp4", {"encode_args": ("-nonsense", "1")}, "nonsense"),
        ("out.mp4", {"encode_args": ("-preset", "sluggish")}, "cannot be encoded"),
        ("out.xyz", {}, "xyz"),
        ("out.m3u8", {}, "a playlist with files of its own"),
    ],
)
def test_impossible_options_are_refused_before_any_work(
    tmp_path: Path, target: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        encode(tmp_path / target, in_process=True, **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["-", "rtmp://127.0.0.1/live"])
def test_only_files_are_encoded_here(target: str) -> None:
    with pytest.raises(ConfigurationError, match="only files"):
        open_writer(target, INFO, height=72, width=96, in_process=True)
