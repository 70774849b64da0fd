"""Captions and HDR10+ within frames arrive in the frames of the same times, or are reported."""

from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.resume.power_cut import in_parts
from tests.streams.encoding import transcode
from tests.streams.rich_media import run_ffmpeg
from vsr.streams import open_reader
from vsr.streams.encode import messages
from vsr.streams.encode.messages import Bitstream, MessageFeed

TORTURE = Path(__file__).resolve().parents[3] / "shared" / "data" / "torture"
PICTURE = "-f lavfi -i testsrc2=size=96x72:rate=25:duration=1.6"
LEFT_OUT = "the source's closed captions, which lie within its frames, are left out"


def captions(number: int) -> bytes:
    """A message of A/53 (part 4, 6.2.3.1) whose captions are a frame's number."""
    return bytes.fromhex("b500314741393403c1fffc") + bytes([number, 0]) + b"\xff"


def write_captioned(folder: Path) -> Path:
    """A clip with B-frames, each frame with captions of its own, written by hand."""
    run_ffmpeg(folder, f"{PICTURE} -c:v libx264 -bf 3 -g 12 plain.mp4")
    target = folder / "in.mp4"
    with av.open(str(folder / "plain.mp4")) as source, av.open(str(target), "w") as container:
        video = source.streams.video[0]
        copy = container.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.size and packet.pts is not None:
                number = round(packet.pts * packet.time_base * 25)
                changed = av.Packet(unit(captions(number)) + bytes(packet))
                changed.pts, changed.dts = packet.pts, packet.dts
                changed.time_base = packet.time_base
                changed.is_keyframe, changed.stream = packet.is_keyframe, copy
                container.mux(changed)
    return target


def unit(message: bytes) -> bytes:
    """An SEI unit, escaped by hand: the only two zeros in a row that can come end no message."""
    content = b"\x06\x04" + bytes([len(message)]) + message.replace(b"\0\0", b"\0\0\3") + b"\x80"
    return len(content).to_bytes(4, "big") + content


def captions_of(path: Path, kind: str = "A53_CC") -> list[bytes | None]:
    """What ffmpeg's decoder finds in each frame, in the order of presentation."""
    with av.open(str(path)) as container:
        return [data_of(frame, kind) for frame in container.decode(video=0)]


def data_of(frame: av.VideoFrame, kind: str) -> bytes | None:
    side_data: Mapping[str, Any] = frame.side_data
    found = side_data.get(kind)
    return None if found is None else bytes(found)


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_captioned(tmp_path_factory.mktemp("captions"))
    found = captions_of(path)
    assert len(set(found)) == len(found) == 40
    assert None not in found
    return path


@pytest.mark.parametrize(
    ("suffix", "encoder"), [("mp4", "libx264"), ("mkv", "libx265"), ("ts", "libx264")]
)
def test_captions_arrive_in_their_frames(
    captioned: Path, suffix: str, encoder: str, tmp_path: Path
) -> None:
    target = tmp_path / f"out.{suffix}"
    writer = transcode(captioned, target, encoder=encoder)
    assert captions_of(target) == captions_of(captioned)
    assert not [note for note in writer.notes if "captions" in note]
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_captions_of_mpeg_2_arrive(captioned: Path, tmp_path: Path) -> None:
    source, target = captioned.parent / "in.ts", tmp_path / "out.mp4"
    run_ffmpeg(captioned.parent, "-i in.mp4 -c:v mpeg2video -bf 2 -q:v 4 in.ts")
    assert None not in captions_of(source)
    transcode(source, target)
    assert captions_of(target) == captions_of(source)


def test_captions_of_a_part_arrive_in_their_frames(captioned: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    transcode(captioned, target, start_s=0.4, end_s=1.0)
    assert captions_of(target) == captions_of(captioned)[10:25]


@pytest.mark.parametrize(("step", "unplaced"), [(1, 0), (3, 20)])
def test_messages_beside_the_frames_that_are_asked_for_are_not_missed(
    step: int, unplaced: int, captioned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "AHEAD_S", Fraction(1, 5))
    feed = MessageFeed(str(captioned), 0, Fraction(1, 50))
    taken = [feed.take(Fraction(number, 25)) for number in range(6, 37, step)]
    feed.close()
    assert taken == [[captions(number)] for number in range(6, 37, step)]
    assert feed.unplaced == unplaced


def test_captions_arrive_where_another_picture_comes_first(captioned: Path, tmp_path: Path) -> None:
    run_ffmpeg(tmp_path, f"{PICTURE} -c:v mpeg4 small.mkv")
    run_ffmpeg(
        tmp_path,
        f"-i small.mkv -i {captioned} -map 0 -map 1 -c copy"
        " -disposition:v:0 0 -disposition:v:1 default in.mkv",
    )
    with open_reader(tmp_path / "in.mkv") as reader:
        assert reader.info.index == 1
    writer = transcode(tmp_path / "in.mkv", tmp_path / "out.mp4")
    assert captions_of(tmp_path / "out.mp4") == captions_of(captioned)
    assert LEFT_OUT not in writer.notes


def test_captions_of_a_run_that_was_ended_and_resumed_arrive(
    captioned: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    assert in_parts(captioned, target, [12], model="identity").resumed > 0
    assert captions_of(target) == captions_of(captioned)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("out.webm", {}),
        ("out.mp4", {"in_process": True}),
        ("out.mp4", {"read_once": True}),
        ("out.mp4", {"encode_args": ["-vf", "fps=25"]}),
        ("frames/", {}),
    ],
)
def test_captions_that_cannot_be_kept_are_reported(
    name: str, options: dict[str, Any], captioned: Path, tmp_path: Path
) -> None:
    with open_reader(captioned) as reader:
        assert reader.info.frame_data == {"A53_CC"}
    target = tmp_path / name
    writer = transcode(captioned, target, **options)
    assert LEFT_OUT in writer.notes
    if target.is_file():
        assert set(captions_of(target)) == {None}


def test_hdr10_plus_is_kept_by_hevc_and_reported_elsewhere(tmp_path: Path) -> None:
    source = TORTURE / "hdr10-video-with-sdr-container.mp4"
    if not source.is_file():
        pytest.skip("shared/data/torture is not beside the checkout")
    kept, lost = tmp_path / "out.mkv", tmp_path / "lost.mkv"
    fast: dict[str, Any] = {"end_s": 0.1, "encode_args": ["-preset", "ultrafast"]}
    assert not transcode(source, kept, encoder="libx265", **fast).notes
    metadata = captions_of(kept, "DYNAMIC_HDR_PLUS")
    with av.open(str(source)) as container:
        frames = [next(container.decode(video=0)) for _ in metadata]
    assert metadata == [data_of(frame, "DYNAMIC_HDR_PLUS") for frame in frames]
    assert None not in metadata
    notes = transcode(source, lost, encoder="libx264", **fast).notes
    assert "data of each frame is left out: HDR10+" in notes


@pytest.mark.parametrize("has_sizes", [False, True])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_messages_come_back_as_they_went_in(codec: str, has_sizes: bool) -> None:
    rng = random.Random(0)
    description = b"\1" + b"\xff" * 30  # sizes of four bytes, wherever a codec says that
    units = Bitstream(codec, description if has_sizes else None)
    begin = b"\0\0\0\x05" if has_sizes else b"\0\0\0\1"
    picture = begin + (b"\x65" if codec == "h264" else b"\x26") + b"\x88\x84\x12\x34"
    for size in (1, 3, 254, 255, 256, 700):
        random_bytes = bytes(rng.choice((0, 0, 1, 2, 3, 255)) for _ in range(size))
        sent = [bytes.fromhex("b50031") + random_bytes, captions(size % 256)]
        assert units.messages(units.insert(picture, sent)) == sent
    assert units.insert(picture, []) == picture


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_damaged_packets_are_looked_through_and_left_alone(codec: str) -> None:
    rng = random.Random(1)
    for _ in range(2000):
        extradata = rng.choice((None, b"\1", b"\1" * 30, rng.randbytes(9)))
        units, packet = Bitstream(codec, extradata), rng.randbytes(rng.randrange(60))
        packet = packet.replace(packet[:1] or b"x", b"\0\0\1\x06")
        units.messages(packet)
        assert len(units.insert(packet, [captions(1)])) >= len(packet)
