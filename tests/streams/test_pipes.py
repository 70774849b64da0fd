"""Standard input and output, as files without a name."""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest

from tests.media import Clip, audio_packets, read_numbers, write_clip
from tests.streams.encoding import FAST, INFO, frame_seconds, numbered_chunk, start, transcode
from tests.streams.piping import piped_in, piped_out
from tests.streams.rich_media import write_film
from vsr.errors import ConfigurationError, OpenError
from vsr.streams import open_reader
from vsr.streams.encode.ffmpeg_writer import FFmpegWriter

MATROSKA = b"\x1a\x45\xdf\xa3"


@pytest.mark.parametrize(
    ("words", "suffix", "magic"),
    [
        ((), "mkv", MATROSKA),
        (("-f", "mp4"), "mp4", b"ftyp"),
        (("-f", "mpegts"), "ts", b"G"),
        (("-f", "nut"), "nut", b"nut/multimedia"),
    ],
)
def test_from_pipe_to_pipe(
    tmp_path: Path, words: tuple[str, ...], suffix: str, magic: bytes
) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(num_frames=30, audio="aac"))
    with piped_in(source.read_bytes()) as name, piped_out() as taken:
        with open_reader(name) as reader:
            writer = start(Path("-"), reader.info, source=name, encode_args=(*FAST, *words))
            for chunk in reader.chunks(8):
                writer.write_packets(reader.take_packets())
                writer.write(chunk)
            writer.write_packets(reader.take_packets())
        assert writer.finish() == "-"
    assert magic in taken[:40]
    target = tmp_path / f"out.{suffix}"
    target.write_bytes(taken)
    times = frame_seconds(target)
    assert [round(float(time - times[0]), 3) for time in times] == [i / 25 for i in range(30)]
    got = [payload for _, payload in audio_packets(target)]
    if suffix != "ts":  # which puts a header before every packet
        assert got == [payload for _, payload in audio_packets(source)]


def test_sources_that_cannot_be_read_twice_are_reported(tmp_path: Path) -> None:
    film = write_film(tmp_path)
    with piped_in(film.read_bytes()) as name, open_reader(name) as reader:
        writer = start(tmp_path / "out.mkv", reader.info, source=name)
        assert "cannot be read twice" in writer.notes[0]
        assert "subtitle (subrip)" in writer.notes[0]
        writer.abort()


def test_a_pipe_loses_nothing_to_trials_of_hardware(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(num_frames=30))
    with (
        piped_in(source.read_bytes()) as name,
        open_reader(name, hwaccel="auto") as reader,
    ):
        numbers = [n for chunk in reader.chunks(8) for n in read_numbers(chunk.frames)]
    assert numbers == list(range(30))
    assert any("a pipe" in note for note in reader.notes)


def test_rubbish_in_a_pipe_is_refused() -> None:
    with piped_in(b"nothing" * 1000) as name, pytest.raises(OpenError, match="not a video"):
        open_reader(name)


def test_an_unknown_container_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="xyz"):
        start(Path("-"), INFO, encode_args=("-f", "xyz"))


def test_a_file_to_a_pipe_keeps_everything(tmp_path: Path) -> None:
    film = write_film(tmp_path)
    with piped_out() as taken:
        transcode(film, Path("-"))
    (tmp_path / "out.mkv").write_bytes(taken)
    with av.open(str(tmp_path / "out.mkv")) as container:
        kinds = [stream.type for stream in container.streams]
    assert kinds == ["video", "audio", "audio", "subtitle", "subtitle", "attachment", "video"]


def test_an_aborted_pipe_ends(tmp_path: Path) -> None:
    with piped_out():
        writer = start(Path("-"), INFO)
        writer.write(numbered_chunk(range(3)))
        writer.abort()
    assert isinstance(writer, FFmpegWriter)
    with pytest.raises(ProcessLookupError):
        os.kill(writer.pid, 0)
