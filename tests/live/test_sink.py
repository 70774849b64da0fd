"""One sink by itself: what of the coded packets it gets."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.live.harness import PATIENCE_S, asked, free_port, look, running, take_no_ffmpeg, until
from vsr.errors import EncodeError
from vsr.live.audio.packets import EncodedPacket, StreamTemplates
from vsr.live.input.retry import Retry
from vsr.live.output.sink import Sink


def coded(clip: Path, templates: StreamTemplates) -> Iterator[EncodedPacket]:
    """The packets of a clip as they come out of an encoder."""
    with av.open(str(clip)) as container:
        for stream in (container.streams.video[0], container.streams.audio[0]):
            templates.add(stream)
        for packet in container.demux():
            if packet.size and packet.dts is not None and packet.dts >= 0:
                yield EncodedPacket(
                    stream_index=int(packet.stream.type == "audio"),
                    data=bytes(packet),
                    pts=packet.pts or 0,
                    dts=packet.dts,
                    duration=packet.duration or 0,
                    time_base=packet.time_base,
                    is_key=packet.is_keyframe,
                )


def test_a_sink_that_begins_in_the_middle_begins_with_a_key_frame_and_nothing_earlier(
    clip: Path, tmp_path: Path
) -> None:
    """FLV breaks off at times before its first, and sound may lag behind the picture."""
    templates, target = StreamTemplates(), tmp_path / "out.flv"
    packets = list(coded(clip, templates))
    pictures = [packet for packet in packets if packet.stream_index == 0]
    begins = pictures[10]
    assert begins.is_key
    lagging = [p for p in packets if p.stream_index == 1 and begins.time - 1 < p.time < begins.time]
    sink = Sink(str(target), retry=Retry(0))
    sink.start(templates.streams)
    for packet in [pictures[9], begins, *lagging, *pictures[11:]]:
        sink.put(packet)
    sink.finish()
    assert sink.error is None
    assert sink.lost == 1 + len(lagging) > 1
    assert look(target).numbers == list(range(10, 50))


def test_a_link_in_the_place_of_a_part_is_not_followed(clip: Path, tmp_path: Path) -> None:
    folder, precious = tmp_path / "shared", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("precious")
    for name in (".out.part.mkv", ".out.trial.mkv"):
        (folder / name).symlink_to(precious)
    before = os.umask(0o027)
    try:
        with running(asked(clip, folder / "out.mkv")) as stream:
            stream.wait()
    finally:
        os.umask(before)
    assert precious.read_text() == "precious"
    assert look(folder / "out.mkv").numbers == list(range(50))
    assert stat.S_IMODE((folder / "out.mkv").stat().st_mode) == 0o640
    assert [path.name for path in folder.iterdir()] == ["out.mkv"]


def video_of(clip: Path) -> tuple[list[EncodedPacket], StreamTemplates]:
    """The packets of a clip's video, and what a sink is told of its streams."""
    templates = StreamTemplates()
    return [one for one in coded(clip, templates) if one.stream_index == 0], templates


@contextmanager
def unread_sink(
    packets: list[EncodedPacket], templates: StreamTemplates, got: Path, *, latency_s: float
) -> Iterator[tuple[Sink, Callable[[EncodedPacket, int], None]]]:
    """A sink that has kept up, at an address that is not read within; its rest goes into a file.

    The function puts a packet, made larger, so many lengths of the clip later.
    """
    length, padding = round(2 / packets[0].time_base), bytes(20_000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        sink = Sink(address, retry=Retry(0), latency_s=latency_s)
        sink.start(templates.streams)
        for packet in packets:
            sink.put(packet)

        def put(one: EncodedPacket, turn: int) -> None:
            pts, dts = (time + turn * length for time in (one.pts, one.dts))
            sink.put(replace(one, data=one.data + padding, pts=pts, dts=dts))

        with server.accept()[0] as reader, got.open("wb") as file:
            until(lambda: sink.state == "open" and sink.depth == 0, "the sink has kept up")
            yield sink, put
            ending = threading.Thread(target=sink.finish)
            ending.start()
            while data := reader.recv(1 << 16):
                file.write(data)
            ending.join(PATIENCE_S)


def test_a_congested_address_falls_no_further_behind_than_its_latency(
    clip: Path, tmp_path: Path
) -> None:
    """The stream continues for a minute while nothing is read, and then the newest comes."""
    packets, templates = video_of(clip)
    with unread_sink(packets, templates, tmp_path / "got.ts", latency_s=1.0) as (sink, put):
        for turn in range(1, 31):
            for one in packets:
                put(one, turn)
                assert sink.lag_s <= 2.0
        assert sink.lost > 20 * len(packets)
    assert sink.error is None
    assert look(tmp_path / "got.ts").numbers[-1] == 49


def test_any_failure_of_a_sinks_thread_is_its_error(clip: Path, tmp_path: Path) -> None:
    packets = list(coded(clip, StreamTemplates()))
    sink = Sink(str(tmp_path / "out.mkv"), retry=Retry(0))
    sink.start([])  # packets of streams that it was not told of
    sink.put(next(packet for packet in packets if packet.stream_index == 0))
    sink.finish()
    assert isinstance(sink.error, EncodeError)
    assert "out.mkv broke off" in str(sink.error)


def test_a_sink_whose_process_cannot_be_started_now_is_tried_again(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_no_ffmpeg(tmp_path, monkeypatch)
    templates = StreamTemplates()
    packets = list(coded(clip, templates))
    sink = Sink(f"udp://127.0.0.1:{free_port()}", retry=Retry(None))
    sink.start(templates.streams)
    for packet in packets:
        sink.put(packet)
    sink.finish()
    assert sink.lost == len(packets) - 1
    assert "Exec format error" in str(sink.error)
    assert "still missing in the end" in str(sink.error)


def test_a_congested_address_continues_with_a_key_frame(clip: Path, tmp_path: Path) -> None:
    """Nothing is read for longer than the encoder takes from one key frame to the next."""
    packets, templates = video_of(clip)
    between = [one for one in packets if not one.is_key]
    with unread_sink(packets, templates, tmp_path / "got.ts", latency_s=0.0) as (sink, put):
        for turn in range(1, 31):
            for one in between if turn < 30 else packets:
                put(one, turn)
        assert sink.lost > 10 * len(packets)
    assert sink.error is None
    after_gaps = [key for gap_s, key in gaps(tmp_path / "got.ts") if gap_s > 0.5]
    assert after_gaps
    assert all(after_gaps)


def gaps(path: Path) -> Iterator[tuple[float, bool]]:
    """Time before each packet of the picture but the first, and whether it is a key frame."""
    with av.open(str(path)) as container:
        packets = [one for one in container.demux(video=0) if one.size]
        for one, other in pairwise(packets):
            assert one.pts is not None
            assert other.pts is not None
            yield float((other.pts - one.pts) * other.time_base), other.is_keyframe
