"""Side streams: a container gets all that it can hold, others are reported."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import pytest

from tests.media import Clip, write_clip
from tests.streams.encoding import frame_seconds, transcode
from tests.streams.rich_media import FONT, run_ffmpeg, write_film
from vsr.streams import open_reader, open_writer
from vsr.streams.decode.probe import dispositions
from vsr.streams.ffmpeg import process
from vsr.streams.ffmpeg.process import find_ffmpeg


class Track(NamedTuple):
    """What a file says of a stream."""

    kind: str
    codec: str
    language: str | None
    flags: tuple[str, ...]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film"))


def tracks(path: Path) -> list[Track]:
    with av.open(str(path)) as container:
        return [
            Track(s.type, s.codec_context.name if s.codec_context else "", s.language, flags)
            for s in container.streams
            for flags in [dispositions(s)]
        ]


def spoken(path: Path, place: int = 0) -> str:
    """A subtitle track as SubRip."""
    command = [find_ffmpeg(), "-v", "error", "-copyts", "-i", str(path)]
    command += ["-map", f"0:s:{place}", "-f", "srt", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def test_matroska_holds_everything(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    writer = transcode(film, target)
    assert writer.notes == ()
    assert tracks(target) == tracks(film)
    assert spoken(target) == spoken(film)
    assert spoken(target, 1) == spoken(film, 1)
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "A film"
        titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
        assert titles == ["Before", "After"]
        assert container.streams.video[0].metadata["title"] == "Main"
        assert container.streams.audio[1].metadata["title"] == "Commentary"
    run_ffmpeg(tmp_path, "-dump_attachment:t:0 font.out -i out.mkv -frames:v 1 -f null -")
    assert (tmp_path / "font.out").read_bytes() == FONT
    assert cover(target) == cover(film)


def cover(path: Path) -> bytes:
    with av.open(str(path)) as container:
        picture = container.streams.video[1]
        return bytes(next(packet for packet in container.demux(picture) if packet.size))


def test_mp4_holds_subtitles_as_its_own_and_no_fonts(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    writer = transcode(film, target)
    assert len(writer.notes) == 1
    assert "attachment" in writer.notes[0]
    found = [track for track in tracks(target) if track.kind != "data"]
    assert [(t.kind, t.codec, t.language) for t in found] == [
        ("video", "h264", "jpn"),
        ("audio", "aac", "eng"),
        ("audio", "aac", "fra"),
        ("subtitle", "mov_text", "eng"),
        ("subtitle", "mov_text", "deu"),
        ("video", "mjpeg", None),
    ]
    assert [t.flags for t in found[1:4]] == [(), ("default", "comment"), ("default", "forced")]
    assert found[5].flags == ("attached_pic",)
    assert spoken(target) == spoken(film)
    assert cover(target) == cover(film)


def test_text_goes_back_from_mp4_to_matroska(film: Path, tmp_path: Path) -> None:
    transcode(film, tmp_path / "middle.mp4")
    writer = transcode(tmp_path / "middle.mp4", tmp_path / "out.mkv")
    assert writer.notes == ()
    assert spoken(tmp_path / "out.mkv") == spoken(film)
    assert cover(tmp_path / "out.mkv") == cover(film)


def test_webm_holds_webvtt(film: Path, tmp_path: Path) -> None:
    transcode(film, tmp_path / "out.webm", encode_args=("-deadline", "realtime"))
    texts = [track for track in tracks(tmp_path / "out.webm") if track.kind == "subtitle"]
    assert [track.codec for track in texts] == ["webvtt", "webvtt"]
    assert "Gone." in spoken(tmp_path / "out.webm")


def test_mov_holds_no_cover_and_spells_languages_its_own_way(film: Path, tmp_path: Path) -> None:
    writer = transcode(film, tmp_path / "out.mov")
    assert writer.notes == (
        "'.mov' output leaves these out: attachment (application/x-truetype-font), cover (mjpeg)",
        "'.mov' cannot store the source's flags of tracks",
    )
    found = [track for track in tracks(tmp_path / "out.mov") if track.kind != "data"]
    assert [track.language for track in found] == ["jpn", "eng", "fra", "eng", "ger"]


@pytest.mark.parametrize(
    ("suffix", "lost"),
    [
        ("ts", "chapters, title and other tags, flags of tracks, titles of tracks"),
        ("avi", "chapters, languages, flags of tracks"),
        ("flv", "chapters, languages, flags of tracks, titles of tracks"),
    ],
)
def test_streams_a_container_cannot_hold_are_reported_in_one_line(
    film: Path, tmp_path: Path, suffix: str, lost: str
) -> None:
    writer = transcode(film, tmp_path / f"out.{suffix}")
    assert f"'.{suffix}' cannot store the source's {lost}" in writer.notes
    said = next(note for note in writer.notes if "leaves these out" in note)
    assert "\n" not in said
    assert all(word in said for word in ("subtitle (subrip)", "subtitle (ass)", "cover (mjpeg)"))
    assert len(frame_seconds(tmp_path / f"out.{suffix}")) == 50


def test_a_trim_takes_its_part_of_the_subtitles(film: Path, tmp_path: Path) -> None:
    transcode(film, tmp_path / "out.mkv", start_s=1.0, end_s=1.96)
    said = spoken(tmp_path / "out.mkv")
    assert "Gone." in said
    assert "Where" not in said
    assert "00:00:00,200 --> 00:00:00,800" in said


def test_a_trim_shortens_the_subtitle_it_begins_in(film: Path, tmp_path: Path) -> None:
    transcode(film, tmp_path / "out.mp4", start_s=0.6)
    said = spoken(tmp_path / "out.mp4")
    assert "00:00:00,000 --> 00:00:00,200\nWhere" in said
    assert "00:00:00,600 --> 00:00:01,200\nGone" in said


def test_a_partial_result_ends_with_its_frames(film: Path, tmp_path: Path) -> None:
    with open_reader(str(film)) as reader:
        writer = open_writer(
            str(tmp_path / "out.mkv"), reader.info, height=72, width=96, source=str(film)
        )
        writer.write(next(reader.chunks(20)))
        name = Path(writer.finish(partial=True))
    assert "Gone." not in spoken(name)
    assert "Where" in spoken(name)
    assert frame_seconds(name)[-1] < 1
    assert cover(name) == cover(film)
    assert [track.kind for track in tracks(name)] == [track.kind for track in tracks(film)]


@pytest.mark.parametrize("fails", [True, False])
def test_a_partial_result_is_kept_however_long_its_cut_takes_or_if_it_fails(
    fails: bool, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ffmpeg"
    failing = 'case "$*" in *.trial.*) exit 1;; esac\n' if fails else ""
    program.write_text(f'#!/bin/sh\n{failing}exec {find_ffmpeg()} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "out").mkdir()
    with open_reader(str(film)) as reader:
        writer = open_writer(
            str(tmp_path / "out/a.mkv"), reader.info, height=72, width=96, source=str(film)
        )
        writer.write(next(reader.chunks(20)))
        monkeypatch.setenv("VSR_FFMPEG", str(program))
        monkeypatch.setattr(process, "QUERY_TIMEOUT_S", 1e-6)
        name = Path(writer.finish(partial=True))
    assert len(frame_seconds(name)) == 20
    assert ("Gone." in spoken(name)) == fails
    assert list(name.parent.iterdir()) == [name]


def test_a_second_picture_track_is_reported(tmp_path: Path) -> None:
    write_clip(tmp_path / "one.mkv", Clip(num_frames=5))
    run_ffmpeg(tmp_path, "-i one.mkv -map 0 -map 0 -c copy two.mkv")
    writer = transcode(tmp_path / "two.mkv", tmp_path / "out.mkv")
    assert writer.notes == ("one video track is restored, the others are left out: h264",)


def test_sound_that_a_pipe_cannot_bring_is_reported(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mov", Clip(num_frames=5, audio="alac"))
    with open_reader(str(source)) as reader:
        writer = open_writer(str(tmp_path / "out.mkv"), reader.info, height=72, width=96)
    writer.abort()
    said = "audio of this kind can be copied from a file only, and is left out: alac"
    assert writer.notes == (said,)


def test_rotation_is_applied_once(tmp_path: Path) -> None:
    clip = Clip(num_frames=5, height=64, width=96, rotation=90)
    transcode(write_clip(tmp_path / "in.mp4", clip), tmp_path / "out.mp4")
    with open_reader(str(tmp_path / "out.mp4")) as reader:
        assert reader.info.rotation == 0
        assert (reader.info.height, reader.info.width) == (96, 64)
        assert reader.info.sample_aspect_ratio == Fraction(1)


def test_options_may_be_repeated(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    words = ("-metadata", "artist=She", "-metadata", "comment=a=b c")
    transcode(source, tmp_path / "out.mkv", encode_args=words)
    with av.open(str(tmp_path / "out.mkv")) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    assert (found["artist"], found["comment"]) == ("She", "a=b c")
