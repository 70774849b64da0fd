"""What an encoded file keeps of its source: time, sound, colour, shape, names; and what it refuses."""

import os
import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.media import (
    Clip,
    audio_packets,
    fingerprint,
    numbered_frames,
    read_numbers,
    write_clip,
)
from vsr.errors import ConfigurationError, EncodeError, OpenError
from vsr.streams import open_reader, open_writer
from vsr.streams.ffmpeg_writer import FFmpegWriter
from vsr.types import Chunk, Colour, StreamInfo

UNEVEN = (0, 512, 700, 2048, 2049, 4000, 9000, 9001, 12800, 20000)
FAST = ("-preset", "ultrafast")


def transcode(source: Path, target: Path, **options: Any) -> FFmpegWriter:
    """Read a file and write it again at its own size, sound included."""
    trim = {key: options[key] for key in ("start_s", "end_s") if key in options}
    with open_reader(str(source), **trim) as reader:
        size = {"height": reader.info.height, "width": reader.info.width}
        writer = open_writer(str(target), reader.info, source=str(source), **size, **options)
        for chunk in reader.chunks(8):
            writer.write_packets(reader.take_packets())
            writer.write(chunk)
        writer.write_packets(reader.take_packets())
        assert writer.finish() == str(target)
    assert isinstance(writer, FFmpegWriter)
    return writer


def info(**changes: Any) -> StreamInfo:
    return StreamInfo(
        **{"height": 72, "width": 96, "time_base": Fraction(1, 25), "frame_rate": Fraction(25)}
        | changes
    )


def encode(target: Path, description: StreamInfo, num_frames: int = 5, **options: Any) -> Path:
    """Write numbered frames without a source."""
    size = {"height": description.height, "width": description.width}
    writer = open_writer(str(target), description, **size, **options)
    frames = numbered_frames(range(num_frames), **size)
    writer.write(
        Chunk(frames=frames, pts=tuple(range(num_frames)), time_base=description.time_base)
    )
    return Path(writer.finish())


def video_of(path: Path) -> Any:
    """The video stream of a file, whose first frame has been decoded, and that frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        return stream.codec_context, stream.sample_aspect_ratio, frame


def seconds_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [frame.pts * stream.time_base for frame in container.decode(stream)]


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_uneven_times_and_sound_arrive_exactly(tmp_path: Path, suffix: str) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=10, pts=UNEVEN, audio="aac"))
    target = tmp_path / f"out.{suffix}"
    transcode(source, target)
    assert seconds_of(target) == [Fraction(pts, 12800) for pts in UNEVEN]
    assert audio_packets(target) == audio_packets(source)


def test_matroska_rounds_times_to_the_millisecond(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=10, pts=UNEVEN, audio="aac"))
    transcode(source, tmp_path / "out.mkv")
    for got, wanted in zip(seconds_of(tmp_path / "out.mkv"), UNEVEN, strict=True):
        assert abs(got - Fraction(wanted, 12800)) <= Fraction(1, 2000)
    got_sound, sound = audio_packets(tmp_path / "out.mkv"), audio_packets(source)
    assert [payload for _, payload in got_sound] == [payload for _, payload in sound]
    assert all(
        abs(a - b) <= Fraction(1, 2000) for (a, _), (b, _) in zip(got_sound, sound, strict=True)
    )


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60), Fraction(30000, 1001)])
def test_broadcast_rates_arrive_exactly(tmp_path: Path, rate: Fraction) -> None:
    clip = Clip(num_frames=30, rate=rate, time_base=Fraction(1, 90000), audio="aac")
    source = write_clip(tmp_path / "in.mp4", clip)
    transcode(source, tmp_path / "out.mp4")
    assert seconds_of(tmp_path / "out.mp4") == clip.seconds
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


def test_a_late_start_survives(tmp_path: Path) -> None:
    clip = Clip(num_frames=10, first_pts=12800 * 5, audio="aac")
    source = write_clip(tmp_path / "in.mp4", clip)
    transcode(source, tmp_path / "out.mp4")
    assert seconds_of(tmp_path / "out.mp4") == clip.seconds
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


@pytest.mark.parametrize("first_pts", [0, 12800 * 5])
def test_a_trimmed_target_begins_at_zero(tmp_path: Path, first_pts: int) -> None:
    chapters = [(0, 1, "one"), (1, 2, "two"), (2, 3, "three"), (3, 4, "four")]
    clip = Clip(num_frames=100, first_pts=first_pts, audio="aac", chapters=chapters)
    source, target = write_clip(tmp_path / "in.mp4", clip), tmp_path / "out.mp4"
    transcode(source, target, start_s=1, end_s=2.6)
    assert seconds_of(target) == [Fraction(i, 25) for i in range(40)]
    late = Fraction(first_pts, 12800) + 1
    wanted = [(t - late, p) for t, p in audio_packets(source) if late <= t < late + Fraction(8, 5)]
    got = audio_packets(target)
    assert [payload for _, payload in got] == [payload for _, payload in wanted]
    assert all(
        abs(a - b) < Fraction(1, 48000) for (a, _), (b, _) in zip(got, wanted, strict=True)
    )
    if not first_pts:
        with av.open(str(target)) as container:
            titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
        assert [title for title in titles if title in {"one", "four"}] == []
        assert titles[:2] == ["two", "three"]


def test_metadata_chapters_and_languages_come_from_the_source(tmp_path: Path) -> None:
    clip = Clip(
        num_frames=50, audio="aac", metadata={"title": "A film"}, chapters=[(0, 1, "Beginning")]
    )
    transcode(write_clip(tmp_path / "in.mkv", clip), tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.metadata["title"] == "A film"
        assert container.chapters()[0]["metadata"]["title"] == "Beginning"
        assert container.streams.audio[0].language == "fra"


@pytest.mark.parametrize(
    ("codec", "kind", "suffix"),
    [("libmp3lame", "mkv", "mp4"), ("ac3", "mkv", "mp4"), ("eac3", "mkv", "mp4")]
    + [("flac", "mkv", "mp4"), ("libopus", "mkv", "mkv"), ("alac", "mov", "mp4")]
    + [("pcm_s16le", "mov", "mov"), ("wmav2", "mkv", "mkv"), ("mp2", "ts", "mkv")],
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


@pytest.mark.parametrize(("codec", "suffix"), [("libopus", "mov"), ("aac", "webm"), ("wmav2", "mp4")])
def test_sound_a_container_cannot_hold_is_encoded_anew(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(num_frames=50, audio=codec))
    writer = transcode(source, tmp_path / f"out.{suffix}")
    assert "encoded anew" in writer.notes[0]
    times = [time for time, _ in audio_packets(tmp_path / f"out.{suffix}")]
    assert len(times) > 50
    assert abs(times[-1] - 2) < Fraction(1, 10)


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


TAGGED = Colour(matrix="bt709", primaries="bt709", transfer="bt709", range="tv")
PQ = Colour(matrix="bt2020nc", primaries="bt2020", transfer="smpte2084", range="tv")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("colour", "numbers"),
    [(TAGGED, (1, 1, 1, 1)), (PQ, (9, 9, 16, 1)), (Colour(range="pc"), (6, 6, 6, 2))]
    + [(Colour(), (6, 6, 6, 1))],
)
def test_colour_tags_are_the_sources_or_made_explicit(
    tmp_path: Path, suffix: str, colour: Colour, numbers: tuple[int, ...]
) -> None:
    path = encode(tmp_path / f"out.{suffix}", info(colour=colour, pixel_format="yuv420p"))
    context, _, frame = video_of(path)
    found = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    assert found == numbers
    assert context.colorspace == numbers[0]


def test_an_enlarged_untagged_film_keeps_the_matrix_of_its_own_size(tmp_path: Path) -> None:
    small = info(height=180, width=320, pixel_format="yuv420p")
    writer = open_writer(str(tmp_path / "out.mp4"), small, height=720, width=1280, encode_args=FAST)
    frames = numbered_frames([1], 720, 1280)
    writer.write(Chunk(frames=frames, pts=(0,), time_base=small.time_base))
    writer.finish()
    assert video_of(tmp_path / "out.mp4")[2].colorspace == 6


def test_ten_bits_stay_ten_bits_where_the_encoder_can(tmp_path: Path) -> None:
    deep = info(bit_depth=10, pixel_format="yuv420p10le")
    context, _, _ = video_of(encode(tmp_path / "out.mp4", deep))
    assert context.pix_fmt == "yuv420p10le"
    context, _, _ = video_of(encode(tmp_path / "out.avi", deep, encoder="mpeg4"))
    assert context.pix_fmt == "yuv420p"


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_shape_of_pixels_survives(tmp_path: Path, suffix: str) -> None:
    wide = info(sample_aspect_ratio=Fraction(64, 45))
    _, aspect, _ = video_of(encode(tmp_path / f"out.{suffix}", wide))
    assert aspect == Fraction(64, 45)


def test_odd_sizes_are_padded_and_said(tmp_path: Path) -> None:
    source = info(height=71, width=95)
    writer = open_writer(str(tmp_path / "out.mp4"), source, height=71, width=95)
    writer.write(
        Chunk(frames=numbered_frames(range(3), 71, 95), pts=(0, 1, 2), time_base=source.time_base)
    )
    path = Path(writer.finish())
    assert isinstance(writer, FFmpegWriter)
    assert "96x72" in writer.notes[0]
    context, _, _ = video_of(path)
    assert (context.height, context.width) == (72, 96)


@pytest.mark.parametrize(
    ("encoder", "suffix", "arguments"),
    [("libx264", "mp4", ("-pix_fmt", "yuv444p")), ("libvpx-vp9", "webm", ("-deadline", "realtime"))]
    + [("ffv1", "mkv", ())],
)
def test_odd_sizes_stay_odd_where_they_can(
    tmp_path: Path, encoder: str, suffix: str, arguments: tuple[str, ...]
) -> None:
    odd = info(height=71, width=95)
    path = encode(tmp_path / f"out.{suffix}", odd, encoder=encoder, encode_args=arguments)
    context, _, _ = video_of(path)
    assert (context.height, context.width) == (71, 95)


@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [("libx265", "mkv"), ("prores_ks", "mov"), ("libsvtav1", "mp4"), ("png", "mkv"), ("mjpeg", "avi")],
)
def test_other_encoders_take_the_frames(tmp_path: Path, encoder: str, suffix: str) -> None:
    path = encode(tmp_path / f"out.{suffix}", info(height=96, width=128), encoder=encoder)
    with open_reader(str(path)) as reader:
        assert [n for c in reader.chunks(8) for n in read_numbers(c.frames)] == list(range(5))


def test_arguments_override_the_defaults(tmp_path: Path) -> None:
    rough = encode(tmp_path / "rough.mp4", info(), 20, encode_args=("-crf", "50", *FAST))
    fine = encode(tmp_path / "fine.mp4", info(), 20, encode_args=("-crf", "1", *FAST))
    named = encode(tmp_path / "named.mkv", info(), encode_args=("-c:v", "ffv1"))
    assert rough.stat().st_size < fine.stat().st_size
    assert video_of(named)[0].name == "ffv1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"encoder": "libnothing"}, "no video encoder 'libnothing'"),
        ({"encoder": "aac"}, "no video encoder 'aac'"),
        ({"encode_args": ("-crf", "many")}, "crf"),
        ({"encode_args": ("-preset", "sluggish")}, "preset"),
        ({"encode_args": ("-nonsense", "1")}, "nonsense"),
        ({"encode_args": ("crf", "18")}, "follows no option"),
        ({"encoder": "prores_ks"}, "prores"),
    ],
)
def test_what_the_encoder_refuses_is_refused_before_any_work(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        open_writer(str(tmp_path / "out.mp4"), info(), height=72, width=96, **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_container_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.xyz"):
        open_writer(str(tmp_path / "out.xyz"), info(), height=72, width=96)


def test_the_source_is_no_target(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    before = source.read_bytes()
    with pytest.raises(OpenError, match="source itself"):
        open_writer(str(source), info(), height=72, width=96, source=str(source), overwrite=True)
    assert source.read_bytes() == before


def test_an_output_without_frames_is_an_error(tmp_path: Path) -> None:
    writer = open_writer(str(tmp_path / "out.mp4"), info(), height=72, width=96)
    with pytest.raises(EncodeError, match="no frame was written"):
        writer.finish()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[FFmpegWriter]:
    """A writer whose ffmpeg has been killed behind its back."""
    writer = open_writer(str(tmp_path / "out.mp4"), info(), height=72, width=96)
    assert isinstance(writer, FFmpegWriter)
    os.kill(writer._process._process.pid, signal.SIGKILL)
    yield writer
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_dies_is_an_error_in_one_line(doomed: FFmpegWriter) -> None:
    frames = numbered_frames(range(8))
    with pytest.raises(EncodeError, match="ffmpeg") as caught:
        for first in range(0, 8000, 8):
            pts = tuple(range(first, first + 8))
            doomed.write(Chunk(frames=frames, pts=pts, time_base=Fraction(1, 25)))
    assert "\n" not in str(caught.value)


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    writer = open_writer(str(tmp_path / "out.mp4"), info(), height=72, width=96)
    with pytest.raises(EncodeError, match="announced"):
        writer.write(Chunk(frames=numbered_frames([0], 96, 96), pts=(0,), time_base=Fraction(1, 25)))
    writer.abort()
