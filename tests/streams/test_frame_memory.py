"""Memory that is used again, and frames that are let go."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from av import VideoFrame

from tests.media import Clip, write_clip
from vsr.streams import open_reader
from vsr.streams.colour.scratch import Scratch
from vsr.streams.decode.chunk_builder import FrameMemory

SHAPE = (2, 3, 16, 24)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is freed, is freed because nothing refers to it; older objects are out of sight."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def test_memory_comes_back_once_no_view_is_left() -> None:
    memory = FrameMemory(torch.device("cpu"))
    frames = memory.take(SHAPE)
    place, last = frames.data_ptr(), frames[1]
    del frames
    assert memory.take(SHAPE).data_ptr() != place
    last.fill_(7)
    assert (last == 7).all()
    del last
    assert place in {memory.take(SHAPE).data_ptr() for _ in range(2)}


def test_memory_in_use_is_never_lent_again() -> None:
    memory = FrameMemory(torch.device("cpu"))
    lent = [memory.take(SHAPE) for _ in range(4)]
    assert len({frames.data_ptr() for frames in lent}) == 4


def test_memory_fits_fewer_frames_and_is_left_for_more() -> None:
    memory = FrameMemory(torch.device("cpu"))
    place = memory.take(SHAPE).data_ptr()
    fewer = memory.take((1, *SHAPE[1:]))
    assert fewer.shape == (1, *SHAPE[1:])
    assert fewer.data_ptr() == place
    del fewer
    more = memory.take((5, *SHAPE[1:]))
    assert more.shape == (5, *SHAPE[1:])
    assert more.is_contiguous()


def test_scratch_gives_the_same_tensors_again() -> None:
    scratch = Scratch(torch.device("cpu"))
    first, second = scratch.take(SHAPE), scratch.take(SHAPE)
    assert first.data_ptr() != second.data_ptr()
    scratch.again()
    assert scratch.take(SHAPE) is first
    assert scratch.take(SHAPE) is second
    assert scratch.take(SHAPE[1:], torch.int16).dtype == torch.int16


def test_frames_outlive_their_reader(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=8))
    with open_reader(str(path)) as reader:
        kept = [chunk.frames for chunk in reader.chunks(2)]
    with open_reader(str(path)) as reader:
        again = next(reader.chunks(8)).frames
    assert torch.equal(torch.cat(kept), again)


@pytest.mark.usefixtures("no_collector")
def test_decoded_frames_are_let_go_with_their_chunk(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(num_frames=60))
    with open_reader(str(path)) as reader:
        for _ in reader.chunks(2):
            assert sum(type(thing) is VideoFrame for thing in gc.get_objects()) < 12
