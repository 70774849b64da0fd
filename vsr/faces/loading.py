"""Loading the networks for faces, and the stage of one stream with its cost."""

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
from vsr.errors import ConfigurationError
from vsr.faces.alignment import SIZE
from vsr.faces.detector import SMALLEST, Faces, confirmed, detect
from vsr.faces.retina_detector import detect_by_retinaface
from vsr.faces.selection import Limits
from vsr.faces.stage import FaceStage
from vsr.models.architectures.gfpgan import GFPGANClean
from vsr.models.architectures.retinaface import RetinaFace
from vsr.models.checkpoints.face_zoo import DETECTOR
from vsr.models.face_loading import FaceDetector, load_face_detector, load_face_network

FIDELITY = 0.5
"""Default fidelity of restored faces: half of what the network changes."""

LONG_S = 1.0
"""A call that takes longer is not measured twice."""


@dataclass(frozen=True, kw_only=True)
class FaceCost:
    """Time that faces take.

    Attributes:
        search_s: Seconds a frame for the search, which is made every n-th frame.
        face_s: Seconds for each face in each frame.
    """

    search_s: float
    face_s: float

    def frame_s(self, faces: float) -> float:
        """Seconds of a frame with this number of faces."""
        return self.search_s + faces * self.face_s


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceNetworks:
    """The networks that stages share.

    Attributes:
        restorer: Restores aligned faces.
        detector: Finds faces.
        strength: Part of what the restorer changes that is applied, 0 to 1.
    """

    restorer: GFPGANClean
    detector: FaceDetector
    strength: float

    def stage(self, scale: int) -> FaceStage:
        """A stage for one stream.

        Args:
            scale: Scale of the network of whole frames.
        """
        limits = Limits()
        finder = partial(find, self.detector, smallest=limits.smallest * scale)
        network = partial(_restored, self.restorer)
        return FaceStage(network, finder, strength=self.strength, scale=scale, limits=limits)


def load_faces(
    model: str | Path,
    fidelity: float | None,
    device: torch.device,
    detector: str | Path | None = None,
) -> FaceNetworks:
    """Load the networks for faces.

    Args:
        model: See ``load_face_network``.
        fidelity: 1 leaves faces as they are, 0 takes all that the network makes; None for
            ``FIDELITY``.
        device: Device of the frames.
        detector: As for ``load_face_detector``; None for the usual one.

    Raises:
        ConfigurationError: A fidelity outside 0 to 1.
        ConfigurationError, CheckpointError, NotPulled: See ``load_face_network``.
    """
    if fidelity is not None and not 0 <= fidelity <= 1:
        raise ConfigurationError(f"fidelity is {fidelity}; give 0 (vivid) to 1 (faithful)")
    return FaceNetworks(
        restorer=load_face_network(model).to(device),
        detector=load_face_detector(detector or DETECTOR).to(device),
        strength=1 - (FIDELITY if fidelity is None else fidelity),
    )


def find(detector: FaceDetector, frame_3HW: Tensor, *, smallest: float) -> Faces:
    """Find faces of a size and more in a frame, which is reduced for it as far as they allow.

    Args:
        detector: Networks of MTCNN, on the frame's device.
        frame_3HW: RGB in [0, 1].
        smallest: Side of the smallest faces, in pixels.
    """
    factor = max(1.0, smallest / SMALLEST)
    height, width = frame_3HW.shape[-2:]
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    reduced = frame_3HW.float()
    if factor > 1:
        reduced = F.interpolate(reduced[None], size, mode="bilinear", antialias=True)[0]
    faces = _found(detector, reduced, smallest / factor)
    return faces.scaled(width / size[1], height / size[0])


def _found(detector: FaceDetector, frame_3HW: Tensor, smallest: float) -> Faces:
    """Faces of a frame; those of MTCNN count where the mirrored frame shows them, too."""
    if isinstance(detector, RetinaFace):
        return detect_by_retinaface(detector, frame_3HW)
    return confirmed(detector, frame_3HW, detect(detector, frame_3HW, smallest))


def _restored(network: GFPGANClean, faces_N3HW: Tensor) -> Tensor:
    """Aligned faces in [0, 1], restored one by one: a crowd takes no more memory than a face."""
    return torch.cat([(network(face * 2 - 1) + 1) / 2 for face in torch.split(faces_N3HW, 1)])


def measure_faces(stage: FaceStage, frame_3HW: Tensor) -> FaceCost:
    """Measure the cost of faces.

    Args:
        stage: The stage.
        frame_3HW: Any frame of the size of restored ones, on the device.
    """
    face_13HW = torch.rand(1, 3, SIZE, SIZE, device=frame_3HW.device)
    return FaceCost(
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
