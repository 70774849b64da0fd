"""Scene marks on chunks, and the state of a scene marker."""

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
from vsr.streams.decode.scene_score import FrameChange
from vsr.types import Chunk

KEY = "vsr"

Image = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReducedFrame:
    """A frame reduced to (h, w, 3), and its change from the previous one."""

    reduced: Image
    change: FrameChange

    def difference(self, other: ReducedFrame) -> float:
        """Mean absolute difference from another frame, in hundredths of the range."""
        apart = np.abs(self.reduced.astype(np.int16) - other.reduced).mean()
        return float(apart) * 100 / 255


@dataclass(frozen=True, kw_only=True)
class DecidedMark:
    """A frame with a decided mark.

    Attributes:
        pts: Pts of the frame.
        starts: Whether it starts a scene.
    """

    pts: int
    starts: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkerState:
    """The state of a scene marker between two chunks.

    Attributes:
        known: Next frames that are decided; frames of ``doubted`` follow, then new ones.
        seen: Number of frames so far.
        passed: Number of listed times reached.
        past: The last decided frames.
        doubted: Frames held back.
    """

    known: tuple[DecidedMark, ...] = ()
    seen: int = 0
    passed: int = 0
    past: tuple[ReducedFrame, ...] = ()
    doubted: tuple[ReducedFrame, ...] = ()


def save_marks(path: Path, state: MarkerState) -> None:
    """Write a state: safetensors.

    Raises:
        OpenError: The disk is full, or the folder has been removed.
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
                ReducedFrame(reduced=file.get_tensor(str(i)).numpy(), change=FrameChange(**change))
                for i, change in enumerate(facts["changes"])
            )
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"'{path}' does not hold the scenes' marks ({error}); start again with --overwrite"
        ) from error
    return MarkerState(
        known=tuple(DecidedMark(pts=pts, starts=starts) for pts, starts in facts["known"]),
        seen=facts["seen"],
        passed=facts["passed"],
        past=glimpses[: facts["past"]],
        doubted=glimpses[facts["past"] :],
    )


def marked(chunk: Chunk, starts: set[int]) -> Chunk:
    """A chunk with additional scene starts."""
    return replace(chunk, scene_starts=chunk.scene_starts | starts) if starts else chunk


def part(chunk: Chunk, first: int, end: int) -> Chunk:
    """A slice of a chunk; shares its memory."""
    starts = frozenset(i - first for i in chunk.scene_starts if first <= i < end)
    return replace(
        chunk, frames=chunk.frames[first:end], pts=chunk.pts[first:end], scene_starts=starts
    )


def joined(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Concatenate chunks; None if there are none."""
    if len(chunks) < 2:
        return list(chunks)
    starts: set[int] = set()
    pts: list[int] = []
    for chunk in chunks:
        starts |= {len(pts) + i for i in chunk.scene_starts}
        pts += chunk.pts
    frames = stack([frame for chunk in chunks for frame in chunk.frames])
    return [replace(chunks[0], frames=frames, pts=tuple(pts), scene_starts=frozenset(starts))]
