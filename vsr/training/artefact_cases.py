"""Artefact cases: pieces of footage with detections of a guard, and their pseudo ground truth.

DeSRA (Xie et al., ICML 2023) deletes artefacts so: with the mask M of what is found in the result
of the vivid network, the pseudo ground truth of a piece of footage is M faithful + (1 - M) vivid.
A network that is trained on such pairs keeps its look and loses what is found. Pieces without
anything found are kept, too: of those the pseudo ground truth is the vivid result itself.

N pieces, T frames, H, W size of restored pieces, h, w of their input.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.checkpoints.checkpoint import write_tensors
from vsr.models.guard.network import Guarded
from vsr.quality.draw import index
from vsr.restorer import Restorer
from vsr.scenes import AUTO
from vsr.scenes.markers import scene_marker
from vsr.streams import open_reader
from vsr.training.clips import ClipShape
from vsr.training.sample_order import STRIDE
from vsr.types import Chunk, Reader

CHUNK = 8
"""Frames that are read at once."""

Piece = tuple[Tensor, Tensor]
"""An input (T, 3, h, w) and its pseudo ground truth (T, 3, H, W), uint8."""


@dataclass(frozen=True, kw_only=True)
class CaseSettings:
    """Selection of the pieces of footage that are cases.

    Attributes:
        videos: Folder of videos, as the network is given them.
        hold_out: Names of videos that are never trained on: artefacts are measured in them.
        most: Cases that are kept at most, those of the largest share.
        least_share: Part of a piece that has to be found, 0 to 1.
    """

    videos: str
    hold_out: tuple[str, ...] = ()
    most: int = 200
    least_share: float = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class GuardedFrame:
    """A frame, and a guard's result for it.

    Attributes:
        input_3hw: Input of the network, uint8.
        shown_3HW: Shown frame: vivid, and faithful where an artefact was found, uint8.
        found_HW: Share of the faithful result, 0 to 255, uint8.
        starts_scene: Whether it is the first frame of a scene.
    """

    input_3hw: Tensor
    shown_3HW: Tensor
    found_HW: Tensor
    starts_scene: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Cases:
    """Pieces of footage with their pseudo ground truth, uint8, on the CPU.

    Attributes:
        inputs: (N, T, 3, h, w); the first ``num_found`` have artefacts, the others none.
        truths: (N, T, 3, H, W).
        num_found: Number of pieces with artefacts, 1 or more.
    """

    inputs: Tensor
    truths: Tensor
    num_found: int

    def save(self, path: Path) -> None:
        """Write them as safetensors. Errors: as for ``write_tensors``."""
        num_found = torch.tensor(self.num_found)
        write_tensors({"inputs": self.inputs, "truths": self.truths, "num_found": num_found}, path)

    def batches(self, batch: int, seed: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Endless batches of inputs (B, T, 3, h, w) and truths (B, T, 3, H, W), turned at random.

        Half of them are cases.

        Args:
            batch: B.
            seed: Seed of the sequence.
            start: Number of the first batch.
        """
        for number in itertools.count(start):
            rng = torch.Generator().manual_seed(seed + STRIDE * number)
            drawn = [self._drawn(rng) for _ in range(batch)]
            yield torch.stack([i for i, _ in drawn]), torch.stack([t for _, t in drawn])

    def _drawn(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        num_spared = len(self.inputs) - self.num_found
        if num_spared and index(2, rng):
            piece = self.num_found + index(num_spared, rng)
        else:
            piece = index(self.num_found, rng)
        axes = [axis for axis in (2, 3) if index(2, rng)]
        turn = partial(_turned, transposed=bool(index(2, rng)), axes=axes)
        return turn(self.inputs[piece]), turn(self.truths[piece])


def load_cases(path: Path) -> Cases:
    """Cases that ``Cases.save`` wrote."""
    tensors = load_file(path)
    return Cases(
        inputs=tensors["inputs"],
        truths=tensors["truths"],
        num_found=int(tensors["num_found"]),
    )


def collect(
    network: Guarded,
    videos: Sequence[Path],
    settings: CaseSettings,
    shape: ClipShape,
    *,
    device: str = "cpu",
) -> Cases:
    """Collect cases, and as many pieces in which nothing is found.

    Args:
        network: The vivid and the faithful network.
        videos: Files of footage.
        settings: Selection of the pieces that are cases.
        shape: T, and the sides of a piece in pixels of the input.
        device: See ``Restorer``.

    Raises:
        ConfigurationError: Nothing is found, or no video is as large and long as a piece.
        OpenError, DecodeError: A video that cannot be read.
    """
    found, spared = _Largest(settings.most), _Largest(settings.most)
    rng = torch.Generator().manual_seed(0)
    for window in _windows(network, videos, shape.frames, device):
        for share, piece in _pieces(window, shape.size, network.facts.scale):
            if share >= settings.least_share:
                found.offer(share, piece)
            elif share == 0:
                spared.offer(float(torch.rand((), generator=rng)), piece)
    cases, others = found.items(), spared.items()
    if not cases:
        raise ConfigurationError(
            f"{network.facts.name}: no piece of {shape.frames} frames of {shape.size}x{shape.size} "
            f"has artefacts in {100 * settings.least_share:g}% of its area; give other videos"
        )
    inputs, truths = zip(*cases, *others[: len(cases)], strict=True)
    return Cases(inputs=torch.stack(inputs), truths=torch.stack(truths), num_found=len(cases))


def guarded_frames(network: Guarded, video: Path, *, device: str = "cpu") -> Iterator[GuardedFrame]:
    """The frames of a video, and a guard's results for them; arguments as for ``collect``."""
    restorer = Restorer(network, device=device, precision="float32")
    inputs: deque[Tensor] = deque()
    with open_reader(str(video)) as reader:
        for chunk in _marked(reader):
            inputs.extend(chunk.frames)
            for restored in restorer.iter_push(chunk):
                yield from _paired(restored, inputs)
        for restored in restorer.iter_drain():
            yield from _paired(restored, inputs)


def _marked(reader: Reader) -> Iterator[Chunk]:
    """The chunks of a reader, with marks of scenes."""
    marker = scene_marker(AUTO, reader.info)
    for chunk in reader.chunks(CHUNK):
        yield from marker.push(chunk)
    yield from marker.drain()


def _paired(restored: Chunk, inputs: deque[Tensor]) -> Iterator[GuardedFrame]:
    """Restored frames, each with the input that is next."""
    assert restored.guarded is not None
    for i, (shown_3HW, found_HW) in enumerate(zip(restored.frames, restored.guarded, strict=True)):
        yield GuardedFrame(
            input_3hw=_in_bytes(inputs.popleft()),
            shown_3HW=_in_bytes(shown_3HW),
            found_HW=found_HW,
            starts_scene=i in restored.scene_starts,
        )


def _in_bytes(frame: Tensor) -> Tensor:
    return frame.clamp(0, 1).mul(255).round().byte().cpu()


def _windows(
    network: Guarded, videos: Sequence[Path], num_frames: int, device: str
) -> Iterator[list[GuardedFrame]]:
    """Windows of consecutive frames within a scene."""
    for video in videos:
        window: list[GuardedFrame] = []
        for frame in guarded_frames(network, video, device=device):
            window = [frame] if frame.starts_scene else [*window, frame]
            if len(window) == num_frames:
                yield window
                window = []


def _pieces(window: Sequence[GuardedFrame], size: int, scale: int) -> Iterator[tuple[float, Piece]]:
    """Squares of some frames side by side: the part of each that was found, and the piece."""
    inputs, shown, found = (
        torch.stack([getattr(frame, name) for frame in window])
        for name in ("input_3hw", "shown_3HW", "found_HW")
    )
    height, width = inputs.shape[-2:]
    for top, left in itertools.product(_places(height, size), _places(width, size)):
        rows, columns = slice(top, top + size), slice(left, left + size)
        large = tuple(slice(scale * s.start, scale * s.stop) for s in (rows, columns))
        share = float(found[:, large[0], large[1]].float().mean() / 255)
        yield share, (inputs[..., rows, columns], shown[..., large[0], large[1]])


def _places(length: int, size: int) -> list[int]:
    """Where pieces begin along an axis; none where it is shorter than one."""
    return sorted({*range(0, length - size + 1, size), length - size}) if length >= size else []


class _Largest:
    """The pieces of the largest keys, at most so many."""

    def __init__(self, most: int) -> None:
        self._most, self._order = most, itertools.count()
        self._kept: list[tuple[float, int, Piece]] = []

    def offer(self, key: float, piece: Piece) -> None:
        if len(self._kept) < self._most:
            heapq.heappush(self._kept, self._entry(key, piece))
        elif key > self._kept[0][0]:
            heapq.heapreplace(self._kept, self._entry(key, piece))

    def items(self) -> list[Piece]:
        """The largest first."""
        return [piece for _, _, piece in sorted(self._kept, key=itemgetter(0, 1), reverse=True)]

    def _entry(self, key: float, piece: Piece) -> tuple[float, int, Piece]:
        """The entry with copied tensors, which hold no whole frame in memory."""
        return key, -next(self._order), (piece[0].clone(), piece[1].clone())


def _turned(piece: Tensor, *, transposed: bool, axes: list[int]) -> Tensor:
    return (piece.mT if transposed else piece).flip(axes)
