"""Damaged files: bytes changed, ends cut off, pieces of files spliced, all from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from tests.media import Clip, write_clip

MUTATIONS = ("change", "change many", "truncate", "splice", "cut out", "repeat")

KINDS = {
    "clip.mp4": Clip(num_frames=40, audio="aac"),
    "reordered.mkv": Clip(num_frames=40, options={"bf": "3", "g": "12"}, audio="libopus"),
    "clip.ts": Clip(num_frames=40, audio="mp2"),
    "clip.webm": Clip(num_frames=20, codec="libvpx-vp9", options={"deadline": "realtime"}),
    "clip.avi": Clip(num_frames=40, codec="mpeg4", time_base=Fraction(1, 25), options={"g": "8"}),
    "clip.flv": Clip(num_frames=40, audio="libmp3lame"),
    "clip.h264": Clip(num_frames=40),
    "deep.mov": Clip(num_frames=20, pixel_format="yuv422p10le", audio="pcm_s16le"),
    "pictures.mkv": Clip(num_frames=20, codec="mjpeg", pixel_format="yuvj420p", options={}),
}


def write_sources(folder: Path) -> list[Path]:
    """Sound files of many kinds."""
    return [write_clip(folder / name, clip) for name, clip in KINDS.items()]


def write_mutants(sources: Sequence[Path], folder: Path, count: int, seed: int) -> list[Path]:
    """Write damaged copies, named by number, damage and source."""
    choose = random.Random(seed)
    mutants = []
    for number in range(count):
        source, kind = sources[number % len(sources)], choose.choice(MUTATIONS)
        other = choose.choice(sources).read_bytes()
        path = folder / f"{number:03d}-{kind.replace(' ', '-')}-{source.name}"
        path.write_bytes(mutate(source.read_bytes(), other, kind, choose))
        mutants.append(path)
    return mutants


def mutate(data: bytes, other: bytes, kind: str, choose: random.Random) -> bytes:
    """Damage a file's bytes."""
    first, last = sorted(choose.sample(range(len(data)), 2))
    if kind == "truncate":
        return data[:last]
    if kind == "splice":
        return data[:first] + other[choose.randrange(len(other)) :]
    if kind == "cut out":
        return data[:first] + data[last:]
    if kind == "repeat":
        return data[:last] + data[first:]
    changed = bytearray(data)
    for _ in range(choose.randint(1, 5) if kind == "change" else choose.randint(20, 400)):
        changed[choose.randrange(len(changed))] = choose.randrange(256)
    return bytes(changed)
