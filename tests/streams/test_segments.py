"""A file written in pieces is the file that is written in one go, but for its key frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.media import Clip, audio_packets, write_clip
from tests.streams.encoding import first_frame, frame_seconds, transcode
from tests.streams.rich_media import write_film
from tests.streams.test_identity import samples
from tests.streams.test_side_streams import tracks
from vsr.errors import EncodeError
from vsr.streams import open_reader
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.segments.nut_join import check_alike
from vsr.streams.encode.segments.plan import NotSegmentable
from vsr.streams.encode.segments.target import SegmentedTarget
from vsr.streams.encode.segments.writer import SegmentWriter
from vsr.streams.names.durable import KeptSegments

UNEVEN = [5000 + 512 * i + (i % 3) * 64 + (i // 5) * 300 for i in range(30)]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip(num_frames=30, pts=UNEVEN, audio="aac", metadata={"title": "A clip"})
    return write_clip(tmp_path_factory.mktemp("uneven") / "in.mp4", clip)


def in_pieces(source: Path, target: Path, *, size: int = 7, **options: Any) -> list[Path]:
    """Read a file and write it again, a segment for every few frames; the segments are returned."""
    trim = {key: options[key] for key in ("start_s", "end_s") if key in options}
    folder = target.with_name(f"{target.name}.pieces")
    folder.mkdir()
    kept: list[Path] = []
    with open_reader(str(source), headroom=True, **trim) as reader:
        info = reader.info
        request = EncodeRequest(
            target=str(target),
            info=info,
            height=info.height,
            width=info.width,
            source=str(source),
            **options,
        )
        writer = SegmentWriter(
            SegmentedTarget(request), KeptSegments(folder=folder, seal=lambda: None)
        )
        for chunk in reader.chunks(size):
            writer.write_packets(reader.take_packets())
            writer.write(chunk)
            writer.cut(lambda path, _: kept.append(path) if path else None)
        assert writer.finish() == str(target)
    return kept


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        ("ffv1", "out.mkv"),
        ("prores_ks", "out.mov"),
        ("mjpeg", "out.mov"),
        ("png", "out.mov"),
        ("utvideo", "out.avi"),
    ],
)
def test_encoders_of_single_frames_give_the_same_frames(
    encoder: str, name: str, uneven: Path, tmp_path: Path
) -> None:
    whole, pieces = tmp_path / f"whole.{name}", tmp_path / f"pieces.{name}"
    transcode(uneven, whole, encoder=encoder)
    in_pieces(uneven, pieces, encoder=encoder)
    assert samples(pieces) == samples(whole)
    assert frame_seconds(pieces) == frame_seconds(whole)
    assert audio_packets(pieces) == audio_packets(whole)
    assert described(pieces) == described(whole)


@pytest.mark.parametrize(
    ("encoder", "arguments", "name"),
    [
        ("libx264", ("-bf", "5", "-preset", "medium"), "out.mp4"),
        ("libx264", (), "out.ts"),
        ("libx265", ("-tag:v", "hvc1", "-preset", "ultrafast"), "out.mp4"),
        ("libsvtav1", ("-preset", "12"), "out.mp4"),
        ("libaom-av1", ("-cpu-used", "8", "-usage", "realtime"), "out.mkv"),
        ("libvpx-vp9", ("-deadline", "realtime"), "out.webm"),
    ],
)
def test_encoders_of_groups_keep_every_time_and_tag(
    encoder: str, arguments: Sequence[str], name: str, uneven: Path, tmp_path: Path
) -> None:
    whole, pieces = tmp_path / f"whole.{name}", tmp_path / f"pieces.{name}"
    transcode(uneven, whole, encoder=encoder, encode_args=arguments)
    segments = in_pieces(uneven, pieces, encoder=encoder, encode_args=arguments)
    assert len(segments) == 5
    assert frame_seconds(pieces) == frame_seconds(whole)
    assert audio_packets(pieces) == audio_packets(whole)
    assert described(pieces) == described(whole)


def described(path: Path) -> tuple[Any, ...]:
    """What a file says of its picture, and its title."""
    frame, codec = first_frame(path)
    colour = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return (
            (codec.name, codec.codec_tag, codec.profile, codec.pix_fmt, *colour),
            (codec.width, codec.height, video.sample_aspect_ratio, video.time_base),
            container.metadata.get("title"),
        )


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_everything_beside_the_picture_arrives(suffix: str, tmp_path: Path) -> None:
    film = write_film(tmp_path)
    whole, pieces = tmp_path / f"whole{suffix}", tmp_path / f"pieces{suffix}"
    transcode(film, whole)
    in_pieces(film, pieces)
    assert tracks(pieces) == tracks(whole)
    assert subtitles(pieces) == subtitles(whole) != []
    assert audio_packets(pieces) == audio_packets(whole)
    with av.open(str(pieces)) as container:
        assert len(container.chapters()) == 2


def subtitles(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path)) as container:
        packets = [p for p in container.demux() if p.size and p.stream.type == "subtitle"]
        return sorted((packet.pts, bytes(packet)) for packet in packets)


def test_a_part_keeps_its_sound_in_place(uneven: Path, tmp_path: Path) -> None:
    whole, pieces = tmp_path / "whole.mp4", tmp_path / "pieces.mp4"
    part: dict[str, Any] = {"start_s": Fraction(3, 10), "end_s": Fraction(1)}
    transcode(uneven, whole, **part)
    in_pieces(uneven, pieces, size=5, **part)
    assert frame_seconds(pieces) == frame_seconds(whole)
    assert audio_packets(pieces) == audio_packets(whole)


def test_sound_that_ends_before_the_picture_does_not_change_the_segments(tmp_path: Path) -> None:
    """Their headers would otherwise say what the first packets of sound are like."""
    long = write_clip(tmp_path / "long.mkv", Clip(num_frames=30, audio="mp2"))
    short = tmp_path / "short.mkv"
    with av.open(str(long)) as source, av.open(str(short), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            video = packet.stream.type == "video"
            if packet.size and (video or (packet.pts or 0) * packet.time_base < 0.4):
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    in_pieces(short, tmp_path / "out.mkv")
    assert len(frame_seconds(tmp_path / "out.mkv")) == 30
    assert audio_packets(tmp_path / "out.mkv") == audio_packets(short) != []


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("out.mp4", ("-vf", "hqdn3d"), "-vf is not the same in segments"),
        ("out.gif", (), "'.gif' is written in one go"),
    ],
)
def test_outputs_that_cannot_be_segmented_are_reported_before_any_work(
    name: str, arguments: Sequence[str], said: str, uneven: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotSegmentable, match=said):
        in_pieces(uneven, tmp_path / name, encode_args=arguments)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.pieces"]


def test_segments_of_another_encoding_are_not_joined(uneven: Path, tmp_path: Path) -> None:
    ours = in_pieces(uneven, tmp_path / "one.mkv", encoder="ffv1")
    others = in_pieces(uneven, tmp_path / "two.mkv", encode_args=("-bf", "0"))
    check_alike(ours[0], ours[-1])
    with pytest.raises(EncodeError, match="is encoded differently from"):
        check_alike(ours[0], others[0])
    ours[1].write_bytes(b"rubbish" * 100)
    with pytest.raises(EncodeError, match="is damaged; start again"):
        check_alike(ours[0], ours[1])
