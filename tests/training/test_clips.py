"""Clips from videos in memory and in files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.media import Clip, write_clip
from vsr.errors import OpenError
from vsr.training.batches import in_workers
from vsr.training.clips import (
    ClipShape,
    StoredVideo,
    TrainingClips,
    load_photograph,
    load_videos,
    open_videos,
)
from vsr.training.virtual_camera import CameraMotion


def test_videos_that_memory_does_not_hold_are_read_when_drawn(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, Clip(num_frames=24, height=96, width=96))
    held = load_videos(tmp_path, ["a.mp4", "b.mp4"])
    one, other = open_videos(tmp_path, held_bytes=24 * 3 * 96 * 96)
    assert isinstance(one, Tensor)
    assert isinstance(other, StoredVideo)
    assert (len(other), other.shape) == (24, held[1].shape)
    assert torch.equal(other[5:20:3], held[1][5:20:3])


def write_images(folder: Path, num_frames: int, *, side: int = 64) -> Tensor:
    """A folder of random images, as REDS and Vimeo-90K store clips; its frames."""
    folder.mkdir(parents=True)
    rng = torch.Generator().manual_seed(num_frames)
    frames = torch.randint(256, (num_frames, 3, side, side), generator=rng, dtype=torch.uint8)
    for number, frame in enumerate(frames):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{number:08d}.png")
    return frames


def test_folders_of_images_are_videos_at_any_depth(tmp_path: Path) -> None:
    first = write_images(tmp_path / "00001" / "0001", 7)
    write_images(tmp_path / "00001" / "0002", 5)
    second = write_images(tmp_path / "00002" / "0001", 6)
    found = open_videos(tmp_path, exclude=["00001/0002"])
    assert [len(video) for video in found] == [7, 6]
    assert torch.equal(found[0][1:6:2], first[1:6:2])
    named = open_videos(tmp_path, names=["00002/0001"])
    assert torch.equal(named[0][:], second)
    assert torch.equal(load_videos(tmp_path, ["00001/0001"])[0], first)
    with pytest.raises(OpenError, match="has no '00003/0001'"):
        open_videos(tmp_path, names=["00003/0001"])


def test_images_of_16_bits_keep_their_brightness(tmp_path: Path) -> None:
    levels = np.array([[0, 1, 2], [64, 128, 255]], np.uint16) * 257
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert load_photograph(tmp_path / "a.png")[0].tolist() == [[0, 1, 2], [64, 128, 255]]


def test_folders_that_are_no_video_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "a" / "1", 3)
    with pytest.raises(OpenError, match="holds no images"):
        open_videos(tmp_path, names=["a"])
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "1" / "00000001.png")
    (video,) = open_videos(tmp_path)
    with pytest.raises(OpenError, match="is 8x8, the first image beside it 64x64"):
        video[:]


def test_a_mirrored_clip_goes_back_the_way_it_came(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 7)
    clips = TrainingClips(
        [],
        open_videos(tmp_path),
        ClipShape(frames=14, size=32),
        motion=CameraMotion(),
        photograph_share=0,
        mirrored=True,
        seed=3,
    )
    clip = next(iter(clips))
    assert torch.equal(clip[7:], clip[:7].flip(0))
    assert all(not torch.equal(one, other) for one, other in pairwise(clip[:7]))


def test_stored_videos_give_the_clips_that_held_ones_give(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", Clip(num_frames=24, height=96, width=96))
    clips = [
        TrainingClips(
            [],
            open_videos(tmp_path, held_bytes=held_bytes),
            ClipShape(frames=5, size=64),
            motion=CameraMotion(),
            photograph_share=0,
            seed=3,
        )
        for held_bytes in (0, 1 << 30)
    ]
    in_worker = in_workers(clips[0], batch=2, workers=1)
    held = iter(clips[1])
    for batch in (next(in_worker), next(in_worker)):
        assert torch.equal(batch, torch.stack([next(held), next(held)]))
