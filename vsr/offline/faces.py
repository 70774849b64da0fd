"""Faces of a run: the stage that its options ask for, and its estimate in a dry run."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vsr.engine.parallel_scenes import ParallelScenes
from vsr.errors import ConfigurationError
from vsr.faces.loading import FIDELITY, FaceCost, load_faces, measure_faces
from vsr.faces.stage import FaceStage
from vsr.models.checkpoints.face_zoo import DETECTOR
from vsr.models.face_loading import check_pulled
from vsr.offline.options import RestoreOptions
from vsr.restorer import Restorer
from vsr.types import StreamInfo


@dataclass(frozen=True, kw_only=True)
class FaceEstimate:
    """Cost of faces in a run.

    Attributes:
        model: Name or file of the network.
        fidelity: How faithful restored faces are, 0 to 1.
        cost: The measured times.
    """

    model: str
    fidelity: float
    cost: FaceCost

    def text(self) -> str:
        """The estimate in one line."""
        search_ms, face_ms = 1e3 * self.cost.search_s, 1e3 * self.cost.face_s
        return (
            f"{self.model}, fidelity {self.fidelity:g}; {search_ms:.1f} ms a frame to "
            f"find them, and {face_ms:.0f} ms for each face in it"
        )


def check_faces(options: RestoreOptions) -> None:
    """Check that the files of the networks for faces are here, if a run asks for faces.

    Raises:
        NotPulled: One of them has not been pulled.
        ConfigurationError: A detector is given, and no faces are asked for.
    """
    if options.faces is not None:
        check_pulled(options.faces, options.face_detector or DETECTOR)
    elif options.face_detector is not None:
        raise ConfigurationError("face_detector is given without faces; give faces, too")


def make_stage(options: RestoreOptions, restorer: Restorer | ParallelScenes) -> FaceStage | None:
    """The stage for faces that a run asks for; None if it asks for none. Errors: ``load_faces``."""
    if options.faces is None:
        return None
    networks = load_faces(options.faces, options.fidelity, restorer.device, options.face_detector)
    return networks.stage(restorer.network.facts.scale)


def estimate_faces(
    options: RestoreOptions, restorer: Restorer | ParallelScenes, info: StreamInfo
) -> FaceEstimate | None:
    """Measured cost of the faces of a run; None if it asks for none. Errors: ``load_faces``."""
    stage = make_stage(options, restorer)
    if stage is None:
        return None
    scale = restorer.network.facts.scale
    frame = torch.rand(3, scale * info.height, scale * info.width, device=restorer.device)
    return FaceEstimate(
        model=str(options.faces),
        fidelity=FIDELITY if options.fidelity is None else options.fidelity,
        cost=measure_faces(stage, frame),
    )
