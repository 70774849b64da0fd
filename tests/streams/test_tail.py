"""Frames near a damaged end, which threads of the decoder still hold when one of them fails."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.media import Clip, write_clip
from tests.streams.said_times import decoded_by_ffmpeg
from vsr.streams import open_reader
from vsr.streams.decode import flush_recovery
from vsr.streams.decode.flush_recovery import FlushRecovery

NUM_FRAMES = 30
BROKEN_LENGTH = b"\x7f\xff\xff\xff"


def break_packet(path: Path, number: int) -> None:
    """Make a packet's first unit claim more bytes than the packet has."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    begin = packets[number].pos
    assert begin is not None
    data[begin : begin + 4] = BROKEN_LENGTH
    path.write_bytes(data)


@pytest.mark.parametrize("key_frames_every", [1, 10, 250])
@pytest.mark.parametrize("from_the_end", [1, 2, 3, 5])
def test_frames_after_a_damaged_one_near_the_end_are_read(
    from_the_end: int, key_frames_every: int, tmp_path: Path
) -> None:
    options = {"preset": "ultrafast", "g": str(key_frames_every), "bf": "2"}
    path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=NUM_FRAMES, options=options))
    break_packet(path, NUM_FRAMES - from_the_end)
    with open_reader(str(path)) as reader:
        chunks = list(reader.chunks(8))
        assert reader.corrupt_frames > 0
    times = [pts * chunk.time_base for chunk in chunks for pts in chunk.pts]
    assert times == decoded_by_ffmpeg(path)
    assert len(times) == NUM_FRAMES - 1


def test_packets_without_times_are_not_kept_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush_recovery, "MAX_PACKETS", 40)
    options = {"preset": "ultrafast", "g": "10"}
    path = write_clip(tmp_path / "clip.h264", Clip(num_frames=100, options=options))
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        recovery = FlushRecovery(video)
        for packet in container.demux():
            recovery.sent(packet)
            for frame in video.decode(packet):
                recovery.shown(frame)
            assert recovery.held <= 40
        assert recovery.lost() == []
