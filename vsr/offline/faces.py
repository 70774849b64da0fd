"""Faces of a run: the stage that restores them, what it is called, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.engine.device_transfer import wait_for
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.faces.alignment import SIZE
from vsr.faces.detector import SMALLEST, Faces, detect
from vsr.faces.selection import Limits
from vsr.faces.stage import FaceStage
from vsr.models.architectures.gfpgan import GFPGANClean
from vsr.models.architectures.mtcnn import MTCNN
from vsr.models.face_loading import load_face_detector, load_face_network
from vsr.offline.options import RestoreOptions
from vsr.restorer import Restorer


@dataclass(frozen=True, kw_only=True)
class FaceEstimate:
    """What faces cost in a run.

    Attributes:
        model: Name or file of the network.
        fidelity: How faithful restored faces are, 0 to 1.
        search_s: Seconds a frame for the search, which is made every n-th frame.
        face_s: Seconds for each face in each frame.
    """

    model: str
    fidelity: float
    search_s: float
    face_s: float

    def text(self) -> str:
        """The estimate in one line."""
        return (
            f"{self.model}, fidelity {self.fidelity:g}; {1e3 * self.search_s:.1f} ms a frame to "
            f"find them, and {1e3 * self.face_s:.0f} ms for each face in it"
        )


FIDELITY = 0.5
"""How faithful restored faces are unless told otherwise: half of what the network changes."""

LONG_S = 1.0
"""A call that takes longer is not measured twice."""


def load_faces(
    model: str | Path, fidelity: float | None, *, scale: int, device: torch.device
) -> FaceStage:
    """The stage for the faces of one stream.

    Args:
        model: As for ``load_face_network``.
        fidelity: 1 leaves faces as they are, 0 takes all that the network makes; None for
            ``FIDELITY``.
        scale: Scale of the network of whole frames.
        device: Device of the frames.

    Raises:
        ConfigurationError, CheckpointError, NotPulled: As for ``load_face_network``.
    """
    network = load_face_network(model).to(device)
    limits = Limits()
    finder = partial(find, load_face_detector().to(device), smallest=limits.smallest * scale)
    return FaceStage(
        partial(_restored, network),
        finder,
        strength=1 - (FIDELITY if fidelity is None else fidelity),
        scale=scale,
        limits=limits,
    )


def make_stage(options: RestoreOptions, restorer: Restorer | ParallelScenes) -> FaceStage | None:
    """The stage for faces that a run asks for; None if it asks for none. Errors as above."""
    if options.faces is None:
        return None
    scale = restorer.network.facts.scale
    return load_faces(options.faces, options.fidelity, scale=scale, device=restorer.device)


def find(detector: MTCNN, frame_3HW: Tensor, *, smallest: float) -> Faces:
    """Find faces of a size and more in a frame, which is reduced for it as far as they allow.

    Args:
        detector: On the frame's device.
        frame_3HW: RGB in [0, 1].
        smallest: Side of the smallest faces, in pixels.
    """
    factor = smallest / SMALLEST
    if factor <= 1:
        return detect(detector, frame_3HW.float(), smallest)
    height, width = frame_3HW.shape[-2:]
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    reduced = F.interpolate(frame_3HW[None].float(), size, mode="bilinear", antialias=True)[0]
    return detect(detector, reduced).scaled(width / size[1], height / size[0])


def _restored(network: GFPGANClean, faces_N3HW: Tensor) -> Tensor:
    """Aligned faces in [0, 1], restored one by one: a crowd takes no more memory than a face."""
    return torch.cat([(network(face * 2 - 1) + 1) / 2 for face in torch.split(faces_N3HW, 1)])


def estimate_faces(
    model: str | Path, fidelity: float | None, stage: FaceStage, frame_3HW: Tensor
) -> FaceEstimate:
    """Measure what faces cost.

    Args:
        model: As for ``load_faces``.
        fidelity: As for ``load_faces``.
        stage: A stage that ``load_faces`` made of them.
        frame_3HW: Any frame of the size of restored ones, on the device.
    """
    face_13HW = torch.rand(1, 3, SIZE, SIZE, device=frame_3HW.device)
    return FaceEstimate(
        model=str(model),
        fidelity=FIDELITY if fidelity is None else fidelity,
        search_s=_seconds(partial(stage.detect, frame_3HW), frame_3HW.device) / stage.every,
        face_s=_seconds(partial(stage.network, face_13HW), frame_3HW.device),
    )


@torch.inference_mode()
def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call; of a quick one the second counts, since the first one warms up."""
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        call()
        wait_for(device)
        seconds = time.perf_counter() - started
        if seconds > LONG_S:
            break
    return seconds
