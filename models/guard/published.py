"""DeSRA's detection as it was published, for whole pictures.

Xie et al., "DeSRA: Detect and Delete the Artifacts of GAN-based Real-World Super-Resolution
Models", ICML 2023; repository TencentARC/DeSRA, Apache-2.0, from which the tolerances of the 150
classes of ADE20K are. A stream uses the same similarity and its own regions (``detection``): these
here depend on whole frames.

H, W size of a picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.guard.local_variance import MARGIN, texture_similarity
from vsr.models.guard.regions import dilate, drop_small, erode, fill_holes

LIMIT = 0.7
"""Similarity under which a pixel is an artefact."""

INTERVALS = 20
"""Intervals of the similarity in which tolerances are counted."""

TOLERANCE = (
    *(1, 4, 0, 1, 5, 2, 3, 0, 1, 5, 3, 3, 1, 3, 0, 1, 5, 3, 0, 3, 1, 1, 6, 2, 1, 7, 7, 0, 0, 8),
    *(0, 0, 1, 0, 2, 0, 1, 0, 3, 0, 4, 1, 2, 2, 0, 0, 1, 1, 7, 5, 3, 5, 5, 3, 0, 0, 2, 2, 0, 2),
    *(1, 4, 1, 1, 1, 1, 1, 4, 5, 0, 0, 4, 4, 4, 6, 0, 2, 0, 1, 4, 0, 1, 1, 1, 9, 6, 2, 2, 0, 2),
    *(1, 4, 1, 2, 2, 1, 0, 0, 1, 4, 2, 7, 1, 3, 2, 3, 0, 1, 4, 4, 1, 1, 2, 1, 1, 1, 1, 2, 0, 0),
    *(1, 1, 2, 2, 1, 0, 3, 1, 0, 4, 0, 1, 2, 5, 0, 1, 1, 0, 2, 0, 2, 1, 0, 0, 11, 2, 0, 2, 1, 0),
)
"""Intervals by which natural texture of each class of ADE20K may be less similar."""

LEAST_AREA = 4000
"""Pixels that an artefact has more than."""

SQUARE_RADIUS, DILATIONS = 2, 3
"""Squares of 5x5: one erosion, then so many dilations."""


def tolerant(similarity_HW: Tensor, classes_HW: Tensor) -> Tensor:
    """The similarity, raised where a class of ADE20K has textures that restorations differ in."""
    tolerance = torch.tensor(TOLERANCE, dtype=torch.float32, device=similarity_HW.device)
    weight = INTERVALS / (INTERVALS - tolerance)
    return (similarity_HW * weight[classes_HW.long()]).clamp(0, 1)


def artifact_mask(
    vivid_3HW: Tensor,
    faithful_3HW: Tensor,
    classes_HW: Tensor | None = None,
    *,
    least_area: int = LEAST_AREA,
) -> Tensor:
    """Where a picture has artefacts.

    Args:
        vivid_3HW: Result of a GAN-trained network, in [0, 1].
        faithful_3HW: Result of one that was trained for fidelity.
        classes_HW: Class of ADE20K of each pixel, 0 to 149; None where nothing is known: the same
            limit everywhere.
        least_area: Pixels that a region must have more than.

    Returns:
        (H, W), bool, on the CPU; False in the 5 pixels at each side, which are not judged.
    """
    similarity_HW = texture_similarity(vivid_3HW, faithful_3HW)
    if classes_HW is not None:
        inner = classes_HW[MARGIN:-MARGIN, MARGIN:-MARGIN]
        similarity_HW = tolerant(similarity_HW, inner)
    mask_1HW = erode((similarity_HW < LIMIT)[None], SQUARE_RADIUS)
    mask_1HW = dilate(mask_1HW, DILATIONS * SQUARE_RADIUS)
    regions = drop_small(fill_holes(mask_1HW[0].cpu().numpy()), least_area)
    return F.pad(torch.from_numpy(regions), (MARGIN,) * 4)
