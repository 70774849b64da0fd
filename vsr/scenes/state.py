"""What markers of scenes share: marks on chunks, and what a marker knows between two of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from vsr.chunks import stack
from vsr.errors import CheckpointError
from vsr.models.checkpoints.checkpoint import write_tensors
from vsr.streams.decode.scene_score import Change
from vsr.types import Chunk

KEY = "vsr"

Image = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Glimpse:
    """A frame, reduced to (h, w, 3), and how it differs from the one before."""

    reduced: Image
    change: Change

    def difference(self, other: Glimpse) -> float:
        """Mean absolute difference from another frame, in hundredths of the range."""
        apart = np.abs(self.reduced.astype(np.int16) - other.reduced).mean()
        return float(apart) * 100 / 255


@dataclass(frozen=True, kw_only=True)
class Known:
    """A frame whose mark is decided.

    Attributes:
        pts: The frame's.
        starts: Whether a scene begins with it.
    """

    pts: int
    starts: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkerState:
    """What a marker knows between two chunks; another one of its kind goes on with it.

    Attributes:
        known: The next frames, decided before; then come those of ``doubted``, then new ones.
        seen: Frames that were counted.
        passed: Listed times that were reached.
        past: The last frames that are clear.
        doubted: Frames that are held back.
    """

    known: tuple[Known, ...] = ()
    seen: int = 0
    passed: int = 0
    past: tuple[Glimpse, ...] = ()
    doubted: tuple[Glimpse, ...] = ()


def save_marks(path: Path, state: MarkerState) -> None:
    """Write a state: safetensors.

    Raises:
        OpenError: The disk is full, or the folder is gone.
    """
    glimpses = (*state.past, *state.doubted)
    facts = {
        "known": [[known.pts, known.starts] for known in state.known],
        "seen": state.seen,
        "passed": state.passed,
        "past": len(state.past),
        "changes": [asdict(glimpse.change) for glimpse in glimpses],
    }
    images = {str(i): torch.from_numpy(glimpse.reduced) for i, glimpse in enumerate(glimpses)}
    write_tensors(images, path, metadata={KEY: json.dumps(facts)})


def load_marks(path: Path) -> MarkerState:
    """Read what ``save_marks`` wrote.

    Raises:
        CheckpointError: A file that is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[KEY])
            glimpses = tuple(
                Glimpse(reduced=file.get_tensor(str(i)).numpy(), change=Change(**change))
                for i, change in enumerate(facts["changes"])
            )
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"'{path}' does not hold the scenes' marks ({error}); start anew, with --overwrite"
        ) from error
    return MarkerState(
        known=tuple(Known(pts=pts, starts=starts) for pts, starts in facts["known"]),
        seen=facts["seen"],
        passed=facts["passed"],
        past=glimpses[: facts["past"]],
        doubted=glimpses[facts["past"] :],
    )


def marked(chunk: Chunk, starts: set[int]) -> Chunk:
    """A chunk with more marks."""
    return replace(chunk, scene_starts=chunk.scene_starts | starts) if starts else chunk


def part(chunk: Chunk, first: int, end: int) -> Chunk:
    """Some of a chunk's frames; they share its memory."""
    starts = frozenset(i - first for i in chunk.scene_starts if first <= i < end)
    return replace(
        chunk, frames=chunk.frames[first:end], pts=chunk.pts[first:end], scene_starts=starts
    )


def joined(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Chunks as one, if there are any."""
    if len(chunks) < 2:
        return list(chunks)
    starts: set[int] = set()
    pts: list[int] = []
    for chunk in chunks:
        starts |= {len(pts) + i for i in chunk.scene_starts}
        pts += chunk.pts
    frames = stack([frame for chunk in chunks for frame in chunk.frames])
    return [replace(chunks[0], frames=frames, pts=tuple(pts), scene_starts=frozenset(starts))]
