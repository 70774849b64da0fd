"""What every reader keeps to, whatever it reads."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from tests.media import Clip, read_numbers, write_clip, write_images
from vsr.errors import ConfigurationError, OpenError
from vsr.streams import open_reader

NUM_FRAMES = 20
SOURCES = ["mp4", "mkv", "ts", "avi", "folder", "pattern"]


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A source of 20 numbered frames at 25 frames per second."""
    if request.param == "folder":
        return str(write_images(tmp_path / "frames", NUM_FRAMES))
    if request.param == "pattern":
        return str(write_images(tmp_path / "frames", NUM_FRAMES) / "%d.png")
    clip = Clip(num_frames=NUM_FRAMES, audio="libmp3lame")
    if request.param == "avi":
        clip = Clip(
            num_frames=NUM_FRAMES, codec="mpeg4", options={"g": "10"}, time_base=Fraction(1, 25)
        )
    return str(write_clip(tmp_path / f"clip.{request.param}", clip))


def test_frames_come_complete_and_in_order(source: str) -> None:
    with open_reader(source) as reader:
        numbers = [n for chunk in reader.chunks(7) for n in read_numbers(chunk.frames)]
    assert numbers == list(range(NUM_FRAMES))


def test_the_last_chunk_may_be_shorter(source: str) -> None:
    with open_reader(source) as reader:
        assert [len(chunk) for chunk in reader.chunks(7)] == [7, 7, 6]


def test_times_increase_by_a_frame(source: str) -> None:
    with open_reader(source) as reader:
        seconds = [pts * chunk.time_base for chunk in reader.chunks(6) for pts in chunk.pts]
        assert seconds[0] == reader.info.start_pts * reader.info.time_base
    assert [t - seconds[0] for t in seconds] == [Fraction(i, 25) for i in range(NUM_FRAMES)]


def test_frames_are_as_described(source: str) -> None:
    with open_reader(source) as reader:
        info = reader.info
        for chunk in reader.chunks(8):
            assert chunk.frames.shape == (len(chunk), 3, info.height, info.width)
            assert chunk.frames.dtype == torch.float32
            assert chunk.frames.is_contiguous()
            assert chunk.frames.min() >= 0
            assert chunk.frames.max() <= 1
            assert chunk.time_base == info.time_base
    assert info.frame_rate == 25
    assert info.num_frames == NUM_FRAMES


def test_a_trim_is_exact_to_the_frame(source: str) -> None:
    with open_reader(source, start_s=0.2, end_s=0.6) as reader:
        numbers = [n for chunk in reader.chunks(4) for n in read_numbers(chunk.frames)]
        assert reader.info.num_frames == 10
    assert numbers == list(range(5, 15))


def test_a_trimmed_frame_keeps_its_time(source: str) -> None:
    with open_reader(source) as whole, open_reader(source, start_s=0.32) as part:
        all_pts = [pts for chunk in whole.chunks(8) for pts in chunk.pts]
        assert [pts for chunk in part.chunks(8) for pts in chunk.pts] == all_pts[8:]


def test_a_part_without_frames_is_refused(source: str) -> None:
    with pytest.raises(OpenError, match="wanted part"):
        open_reader(source, start_s=60)


def test_an_end_before_the_start_is_refused(source: str) -> None:
    with pytest.raises(ConfigurationError, match="not after"):
        open_reader(source, start_s=0.5, end_s=0.5)


def test_closing_twice_and_early_is_allowed(source: str) -> None:
    reader = open_reader(source)
    chunks = reader.chunks(2)
    next(chunks)
    reader.close()
    reader.close()
    assert list(chunks) == []


def test_packets_are_handed_over_once(source: str) -> None:
    with open_reader(source) as reader:
        taken = [packet for _ in reader.chunks(5) for packet in reader.take_packets()]
        assert list(reader.take_packets()) == []
    assert len(taken) == len(set(map(id, taken)))
