"""Data sets made of numbered frames, in the layouts of the published ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tests.media import numbered_frame
from vsr.evaluation.data_sets import DATA_SETS
from vsr.quality.degradation import degrade

HEIGHT, WIDTH = 48, 64


def write_frames(folder: Path, names: Mapping[str, int], *, scale: int = 1) -> Path:
    """Write PNG files that carry numbers, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, number in names.items():
        frame = numbered_frame(number, HEIGHT // scale, WIDTH // scale)
        Image.fromarray(frame).save(folder / f"{name}.png", compress_level=1)
    return folder


def eight_digits(count: int, first: int = 0) -> dict[str, int]:
    """Names as most sets have them; the frame's number is the name's."""
    return {f"{i:08}": i % 256 for i in range(first, first + count)}


def write_reds4_of_mmagic(root: Path, frames: int = 100) -> Path:
    """REDS4 inside the training set, with a clip that does not belong to it."""
    for clip in (*(DATA_SETS["reds4"].clips or ()), "001"):
        write_frames(root / "train_sharp" / clip, eight_digits(frames))
        write_frames(root / "train_sharp_bicubic" / "X4" / clip, eight_digits(frames), scale=4)
    return root


def write_reds4_of_basicsr(root: Path, frames: int = 100) -> Path:
    """REDS4 by itself."""
    for clip in DATA_SETS["reds4"].clips or ():
        write_frames(root / "REDS4" / "GT" / clip, eight_digits(frames))
        write_frames(root / "REDS4" / "sharp_bicubic" / clip, eight_digits(frames), scale=4)
    return root


def write_vid4(root: Path) -> Path:
    """Ground truth only."""
    counts = DATA_SETS["vid4"].num_frames
    assert isinstance(counts, Mapping)
    for clip, count in counts.items():
        write_frames(root / "GT" / clip, eight_digits(count))
    return root


def write_vimeo(root: Path, clips: tuple[str, ...] = ("00001/0266", "00002/0005")) -> Path:
    """A small Vimeo-90K-T with its list."""
    for clip in clips:
        write_frames(root / "sequences" / clip, {f"im{i + 1}": 10 * i + 3 for i in range(7)})
    (root / "sep_testlist.txt").write_text("\n".join(clips) + "\n\n")
    return root


def write_textured_pair(root: Path, clips: Mapping[str, int], *, scale: int = 4) -> Path:
    """Folders ``GT`` and ``LQ`` of clips of a moving texture, by number of frames."""
    from tests.networks import moving_clip

    for seed, (clip, count) in enumerate(clips.items()):
        truth = moving_clip(count, HEIGHT, WIDTH, seed)
        save_frames(root / "GT" / clip, truth)
        save_frames(root / "LQ" / clip, degrade(truth, scale, "BI"))
    return root


def save_frames(folder: Path, frames: Tensor) -> Path:
    """Write frames (T, 3, H, W) in [0, 1] as 8-bit PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = frames.clamp(0, 1).mul(255).round().to(torch.uint8).movedim(1, -1).numpy()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{i:08}.png")
    return folder


def measured(said: str) -> dict[str, Any]:
    """JSON of an evaluation, with the scores of each clip and way."""
    found: dict[str, Any] = json.loads(said)
    found["by_clip"] = {(r["clip"], r["way"]): r["scores"] for r in found["results"]}
    return found
