"""Clips through restorers, as chunks of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from vsr.models.network import Network
from vsr.restorer import Restorer
from vsr.types import Chunk

Maker = Callable[[], Network[Any]]


def pieces(clip: Tensor, size: int, cuts: Iterable[int] = ()) -> list[Chunk]:
    """A clip as chunks with pts 0, 10, 20 …; scenes start at the cuts."""
    chunks = []
    for start in range(0, len(clip), size):
        end = min(start + size, len(clip))
        marks = frozenset(cut - start for cut in cuts if start <= cut < end)
        chunks.append(
            Chunk(
                frames=clip[start:end],
                pts=tuple(range(10 * start, 10 * end, 10)),
                time_base=Fraction(1, 250),
                scene_starts=marks,
            )
        )
    return chunks


def stream(restorer: Restorer, chunks: list[Chunk]) -> list[Chunk]:
    return [out for chunk in chunks for out in restorer.push(chunk)] + restorer.drain()


def frames_of(chunks: list[Chunk]) -> Tensor:
    return torch.cat([chunk.frames for chunk in chunks])


def pts_of(chunks: list[Chunk]) -> list[int]:
    return [pts for chunk in chunks for pts in chunk.pts]


def assert_equal_but_for_rounding(left: list[Chunk], expected: list[Chunk]) -> None:
    """1e-5 of the largest value: batches take other ways through a convolution."""
    largest = float(frames_of(expected).abs().max())
    torch.testing.assert_close(
        frames_of(left), frames_of(expected), atol=1e-5 * max(1, largest), rtol=0
    )


def restorer_of(network: Network[Any], chunk: int, look_ahead: int | str) -> Restorer:
    return Restorer(network, chunk=chunk, look_ahead=look_ahead, device="cpu", precision="float32")


def whole_clip(network: Network[Any], clip: Tensor) -> Tensor:
    """What the network makes of a clip (T, 3, H, W) in one step."""
    with torch.inference_mode():
        restored: Tensor = network(clip[None])[0]
        return restored
