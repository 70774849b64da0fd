"""The contract of all readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch

from tests.media import Clip, read_numbers, write_clip, write_images
from tests.streams.piping import piped_in
from vsr.errors import ConfigurationError, OpenError
from vsr.streams import open_reader
from vsr.streams.decode.decord_reader import DecordReader
from vsr.types import Reader

NUM_FRAMES = 20
SOURCES = ["mp4", "mkv", "ts", "avi", "folder", "pattern", "pipe mkv", "decord mp4", "decord mkv"]


class Opener(Protocol):
    """Opens the source that a test is run with."""

    def __call__(self, **options: Any) -> Reader: ...


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """A source of 20 numbered frames at 25 frames per second."""
    way, _, kind = request.param.rpartition(" ")
    name = write_source(kind, tmp_path)
    if way == "decord" and find_spec("decord") is None:
        pytest.skip("decord is not installed: it has no wheel for this machine")
    with ExitStack() as stack:
        openers: dict[str, Opener] = {
            "": lambda **options: open_reader(name, **options),
            "decord": lambda **options: DecordReader(name, **options),
            "pipe": lambda **options: open_reader(
                stack.enter_context(piped_in(Path(name).read_bytes())), **options
            ),
        }
        yield openers[way]


def write_source(kind: str, folder: Path) -> str:
    """Write a source of a kind and return its name."""
    if kind == "folder":
        return str(write_images(folder / "frames", NUM_FRAMES))
    if kind == "pattern":
        return str(write_images(folder / "frames", NUM_FRAMES) / "%d.png")
    clip = Clip(num_frames=NUM_FRAMES, audio="libmp3lame")
    if kind == "avi":
        clip = Clip(
            num_frames=NUM_FRAMES, codec="mpeg4", options={"g": "10"}, time_base=Fraction(1, 25)
        )
    return str(write_clip(folder / f"clip.{kind}", clip))


def test_frames_come_complete_and_in_order(source: Opener) -> None:
    with source() as reader:
        numbers = [n for chunk in reader.chunks(7) for n in read_numbers(chunk.frames)]
    assert numbers == list(range(NUM_FRAMES))


def test_the_last_chunk_may_be_shorter(source: Opener) -> None:
    with source() as reader:
        assert [len(chunk) for chunk in reader.chunks(7)] == [7, 7, 6]


@pytest.mark.parametrize("size", [0, -3])
def test_chunks_of_no_frames_are_refused(source: Opener, size: int) -> None:
    with source() as reader, pytest.raises(ConfigurationError, match="give 1 or more"):
        next(reader.chunks(size))


def test_times_increase_by_a_frame(source: Opener) -> None:
    with source() as reader:
        seconds = [pts * chunk.time_base for chunk in reader.chunks(6) for pts in chunk.pts]
        assert seconds[0] == reader.info.start_pts * reader.info.time_base
    assert [t - seconds[0] for t in seconds] == [Fraction(i, 25) for i in range(NUM_FRAMES)]


def test_frames_are_as_described(source: Opener) -> None:
    with source() as reader:
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


def test_a_trim_is_exact_to_the_frame(source: Opener) -> None:
    with source(start_s=0.2, end_s=0.6) as reader:
        numbers = [n for chunk in reader.chunks(4) for n in read_numbers(chunk.frames)]
        assert reader.info.num_frames == 10
    assert numbers == list(range(5, 15))


def test_a_trimmed_frame_keeps_its_time(source: Opener) -> None:
    with source() as whole:
        all_pts = [pts for chunk in whole.chunks(8) for pts in chunk.pts]
    with source(start_s=0.32) as part:
        assert [pts for chunk in part.chunks(8) for pts in chunk.pts] == all_pts[8:]


def test_a_part_without_frames_is_refused(source: Opener) -> None:
    with pytest.raises(OpenError, match="wanted part"):
        source(start_s=60)


def test_an_end_before_the_start_is_refused(source: Opener) -> None:
    with pytest.raises(ConfigurationError, match="not after"):
        source(start_s=0.5, end_s=0.5)


def test_closing_twice_and_early_is_allowed(source: Opener) -> None:
    reader = source()
    chunks = reader.chunks(2)
    next(chunks)
    reader.close()
    reader.close()
    assert list(chunks) == []


def test_packets_are_handed_over_once(source: Opener) -> None:
    with source() as reader:
        taken = [packet for _ in reader.chunks(5) for packet in reader.take_packets()]
        assert list(reader.take_packets()) == []
    assert len(taken) == len(set(map(id, taken)))
