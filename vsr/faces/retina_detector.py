"""Face detection by RetinaFace on one frame, as facexlib and GFPGAN's program do it.

P priors, N faces, H, W size of the frame.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vsr.faces.boxes import suppress
from vsr.faces.detector import NONE, Faces
from vsr.models.architectures.retinaface import RetinaFace, decoded, priors

LEAST_SCORE = 0.97
"""Least probability of a face, as GFPGAN's program has it."""

SAME = 0.4
"""Overlap above which two boxes are of one face."""


def detect_by_retinaface(
    network: RetinaFace, frame_3HW: Tensor, least_score: float = LEAST_SCORE
) -> Faces:
    """Find the faces of a frame.

    Args:
        network: On the frame's device.
        frame_3HW: RGB in [0, 1], float32, of any size; faces of 16 pixels and more are found.
        least_score: Probability that a face has more than.
    """
    with torch.inference_mode():
        logits, corrections, points = network(frame_3HW.clamp(0, 1)[None])
        scores_P = torch.sigmoid(logits[0])
        probable = torch.nonzero(scores_P > least_score)[:, 0]
        if not len(probable):
            return NONE
        priors_N3 = priors(*frame_3HW.shape[1:]).to(scores_P.device)[probable]
        boxes, places = decoded(priors_N3, corrections[0, probable], points[0, probable])
    found = Faces(
        boxes=boxes.cpu().numpy(),
        points=places.cpu().numpy(),
        scores=scores_P[probable].cpu().numpy(),
    )
    return found.at(suppress(found.boxes, found.scores, SAME))
