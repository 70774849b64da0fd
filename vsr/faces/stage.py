"""Faces of restored frames: the stage behind the network of a stream.

```
Restorer  ─►  FaceStage: follow, align, restore, blend, paste  ─►  Writer
```

A frame without faces costs only its detection, every n-th frame, and is not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from vsr.faces.alignment import aligned, mask, paste
from vsr.faces.selection import Limits, Reason, reason_against
from vsr.faces.steadiness import Memory, steady
from vsr.faces.tracker import Detect, Track, Tracker
from vsr.types import Chunk

FaceNetwork = Callable[[Tensor], Tensor]
"""Restores aligned faces (N, 3, 512, 512), RGB in [0, 1]; the result is not clamped."""

FADE = 0.125
"""Change of a face's strength from frame to frame, where a face comes or goes within a scene."""


@dataclass(kw_only=True)
class FaceCounts:
    """Counts of the faces of a stream, each once in every frame that shows it.

    Attributes:
        restored: Faces that were restored.
        left_alone: Faces that were not, by reason.
        tracks: Different faces that were restored; one that is lost and found again counts twice.
        detections: Frames that were searched for faces.
    """

    restored: int = 0
    left_alone: dict[str, int] = field(default_factory=dict)
    tracks: int = 0
    detections: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """Memory of a track: how strongly it is restored, and its last change."""

    strength: float
    memory: Memory | None = None
    restored: bool = False


class FaceStage:
    """Restores the faces of one stream. Not thread-safe.

    Args:
        network: Restores aligned faces.
        detect: Finds faces in a restored frame.
        strength: Part of the network's change that is applied, 0 to 1.
        scale: Pixels of a frame for one of the source.
        every: Frames from one detection to the next.
        limits: Limits of the faces that are restored.
        blends: Whether changes are blended from frame to frame.

    Attributes:
        network: The given network.
        detect: The given detector.
        every: The given distance of detections.
        most: Faces that are restored in a frame at most, the largest ones; None for all.
        counts: Counts so far.
    """

    def __init__(
        self,
        network: FaceNetwork,
        detect: Detect,
        *,
        strength: float = 1.0,
        scale: float = 1.0,
        every: int = 5,
        limits: Limits | None = None,
        blends: bool = True,
    ) -> None:
        self.network, self.detect, self.every = network, detect, every
        self._tracker = Tracker(detect, every)
        self._strength, self._scale, self._blends = strength, scale, blends
        self._limits = limits or Limits()
        self._known: Mapping[int, _Known] = {}
        self.most: int | None = None
        self.counts = FaceCounts()

    def reset(self, *, begins_scene: bool = True) -> None:
        """Forget all faces, so that what follows does not depend on what came; counts are kept.

        Args:
            begins_scene: Whether a scene begins; otherwise faces are faded in.
        """
        self._tracker.reset(begins_scene=begins_scene)
        self._known = {}

    def push(self, chunk: Chunk) -> Chunk:
        """The chunk with its faces restored; frames without one are not copied."""
        frames = [
            self._restored(frame, starts_scene=i in chunk.scene_starts)
            for i, frame in enumerate(chunk.frames)
        ]
        if all(new is None for new in frames):
            return chunk
        shown = [old if new is None else new for new, old in zip(frames, chunk.frames, strict=True)]
        return replace(chunk, frames=torch.stack(shown))

    @torch.inference_mode()
    def _restored(self, frame_3HW: Tensor, *, starts_scene: bool) -> Tensor | None:
        """A copy of a frame with its faces restored; None where it has none."""
        if starts_scene:
            self.reset()
        tracks = self._tracker.follow(frame_3HW)
        self.counts.detections = self._tracker.detections
        faces = [aligned(frame_3HW, track.place) for track in tracks]
        reasons = [
            reason_against(track, face, self._scale, self._limits)
            for track, face in zip(tracks, faces, strict=True)
        ]
        reasons = _without_time(tracks, reasons, self.most)
        chosen = [self._judged(*pair) for pair in zip(tracks, reasons, strict=True)]
        shown = [(t, f, k) for t, f, k in zip(tracks, faces, chosen, strict=True) if k.strength]
        changes = self._changes([face for _, face, _ in shown])
        known = dict(zip((track.number for track in tracks), chosen, strict=True))
        copy = frame_3HW.clone() if shown else None
        for (track, face, state), change in zip(shown, changes, strict=True):
            memory = steady(face, change, state.memory if self._blends else None)
            known[track.number] = replace(state, memory=memory, restored=True)
            assert copy is not None
            weight = state.strength * self._strength * mask(frame_3HW.device)
            paste(copy, weight * memory.change_3HW, track.place)
            self.counts.restored += 1
            self.counts.tracks += not state.restored
        self._known = known
        return copy

    def _judged(self, track: Track, reason: Reason | None) -> _Known:
        """Memory of a track, with the strength that it has in this frame."""
        if reason is not None:
            self.counts.left_alone[reason] = self.counts.left_alone.get(reason, 0) + 1
        wanted = 0.0 if reason else 1.0
        known = self._known.get(track.number)
        if known is None:
            return _Known(strength=wanted if track.began_scene else min(wanted, FADE))
        step = max(-FADE, min(FADE, wanted - known.strength))
        strength = known.strength + step
        return replace(known, strength=strength, memory=known.memory if strength else None)

    def _changes(self, faces: Sequence[Tensor]) -> Sequence[Tensor]:
        """Change by the network of aligned faces, which are clamped to [0, 1] for it."""
        if not faces:
            return ()
        stacked = torch.stack(list(faces)).clamp(0, 1)
        restored = self.network(stacked).clamp(0, 1)
        return (restored - stacked).unbind(0)


def _without_time(
    tracks: Sequence[Track], reasons: Sequence[Reason | None], most: int | None
) -> list[Reason | None]:
    """Reasons against each face, with those for which there is no time: all but the largest."""
    free = [i for i, reason in enumerate(reasons) if reason is None]
    free.sort(key=lambda i: -tracks[i].side)
    late = set(free[most:]) if most is not None else set()
    return ["no time" if i in late else reason for i, reason in enumerate(reasons)]
