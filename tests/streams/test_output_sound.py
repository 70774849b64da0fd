"""Sound on its way past the network: every codec, into every container, as it is where possible."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.media import Clip, audio_packets, fingerprint, write_clip
from tests.streams.encoding import transcode
from tests.streams.rich_media import run_ffmpeg
from vsr.streams import open_reader, open_writer


@pytest.mark.parametrize(
    ("codec", "kind", "suffix"),
    [
        ("ac3", "mkv", "mp4"),
        ("alac", "mov", "mp4"),
        ("eac3", "mkv", "mp4"),
        ("flac", "mkv", "mp4"),
        ("libmp3lame", "mkv", "mp4"),
        ("libopus", "mkv", "mkv"),
        ("mp2", "ts", "mkv"),
        ("pcm_s16le", "mov", "mov"),
        ("wmav2", "wmv", "mkv"),
    ],
)
def test_sound_of_many_kinds_is_copied(tmp_path: Path, codec: str, kind: str, suffix: str) -> None:
    source = write_clip(tmp_path / f"in.{kind}", Clip(num_frames=30, audio=codec))
    target = tmp_path / f"out.{suffix}"
    writer = transcode(source, target)
    assert writer.notes == ()
    assert [p for _, p in audio_packets(target)] == [p for _, p in audio_packets(source)]
    with av.open(str(source)) as one, av.open(str(target)) as other:
        codecs = [c.streams.audio[0].codec_context.codec.canonical_name for c in (one, other)]
    assert codecs[0] == codecs[1]


@pytest.mark.parametrize(
    ("codec", "kind", "suffix"),
    [
        ("libopus", "mkv", "mov"),
        ("aac", "mp4", "webm"),
        ("wmav2", "wmv", "mp4"),
        ("flac", "mkv", "ts"),
        ("pcm_s16le", "mkv", "m2ts"),
        ("wmav2", "wmv", "mov"),
        ("eac3", "mkv", "avi"),
    ],
)
def test_sound_a_container_cannot_hold_is_transcoded(
    tmp_path: Path, codec: str, kind: str, suffix: str
) -> None:
    source = write_clip(tmp_path / f"in.{kind}", Clip(num_frames=50, audio=codec))
    writer = transcode(source, tmp_path / f"out.{suffix}")
    assert any("transcoded" in note for note in writer.notes)
    times = [time for time, _ in audio_packets(tmp_path / f"out.{suffix}")]
    assert len(times) > 50
    assert abs(times[-1] - times[0] - 2) < Fraction(1, 10)


def test_only_the_sound_that_does_not_fit_is_transcoded(tmp_path: Path) -> None:
    write_clip(tmp_path / "one.mkv", Clip(num_frames=50, audio="flac"))
    write_clip(tmp_path / "two.mkv", Clip(num_frames=50, audio="ac3"))
    run_ffmpeg(tmp_path, "-i one.mkv -i two.mkv -map 0 -map 1:a -c copy in.mkv")
    writer = transcode(tmp_path / "in.mkv", tmp_path / "out.ts")
    assert writer.notes == ("'.ts' cannot hold the source's audio (flac): it is transcoded",)
    with av.open(str(tmp_path / "out.ts")) as container:
        codecs = [stream.codec_context.name for stream in container.streams.audio]
    assert codecs == ["ac3", "mp2"]
    with av.open(str(tmp_path / "out.ts")) as container:
        got = [p for p in container.demux(audio=0) if p.size]
    assert len(got) == len(audio_packets(tmp_path / "two.mkv"))


def test_sound_is_left_out_where_there_can_be_none(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=10, audio="aac"))
    writer = transcode(source, tmp_path / "out.gif")
    assert "left out" in writer.notes[0]
    assert audio_packets(tmp_path / "out.gif") == []


def test_packets_reach_a_target_without_its_source(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=30, audio="aac"))
    with open_reader(str(source)) as reader:
        writer = open_writer(str(tmp_path / "out.mp4"), reader.info, height=72, width=96)
        sent = []
        for chunk in reader.chunks(8):
            packets = reader.take_packets()
            sent += [fingerprint(packet) for packet in packets]
            writer.write_packets(packets)
            writer.write(chunk)
        packets = reader.take_packets()
        sent += [fingerprint(packet) for packet in packets]
        writer.write_packets(packets)
        writer.finish()
    assert audio_packets(tmp_path / "out.mp4") == sent


def test_packets_that_repeat_a_time_are_mended(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=30, audio="aac"))
    with open_reader(str(source)) as reader:
        writer = open_writer(str(tmp_path / "out.mp4"), reader.info, height=72, width=96)
        for chunk in reader.chunks(30):
            packets = reader.take_packets()
            packets[5].pts = packets[5].dts = packets[4].dts
            writer.write_packets(packets)
            writer.write(chunk)
        writer.finish()
    assert len(audio_packets(tmp_path / "out.mp4")) == len(packets)


@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_sound_ends_with_the_frames_of_a_partial_result(tmp_path: Path, codec: str) -> None:
    source = write_clip(tmp_path / "in.mov", Clip(num_frames=250, audio=codec))
    with open_reader(str(source)) as reader:
        writer = open_writer(
            str(tmp_path / "out.mov"), reader.info, height=72, width=96, source=str(source)
        )
        chunk = next(reader.chunks(20))
        writer.write_packets([p for p in reader.take_packets() if p.pts * p.time_base < 1])
        writer.write(chunk)
        name = writer.finish(partial=True)
    with av.open(name) as container:
        assert len(list(container.decode(video=0))) == 20
    assert audio_packets(name)[-1][0] < 1
