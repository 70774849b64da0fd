"""Clips from videos in memory and in files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tests.media import Clip, write_clip
from vsr.training.batches import in_workers
from vsr.training.clips import ClipShape, StoredVideo, TrainingClips, load_videos, open_videos
from vsr.training.virtual_camera import CameraMotion


def test_videos_that_memory_does_not_hold_are_read_when_drawn(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, Clip(num_frames=24, height=96, width=96))
    held = load_videos(tmp_path)
    one, other = open_videos(tmp_path, held_bytes=24 * 3 * 96 * 96)
    assert isinstance(one, Tensor)
    assert isinstance(other, StoredVideo)
    assert (len(other), other.shape) == (24, held[1].shape)
    assert torch.equal(other[5:20:3], held[1][5:20:3])


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
