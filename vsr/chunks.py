"""Operations on lists of frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def stack(frames: Sequence[Tensor]) -> Tensor:
    """Stack at least one frame of equal shapes into (T, ...).

    Returns:
        A view if the frames are adjacent in memory, as those of one chunk are; otherwise a copy.
    """
    first = frames[0]
    if not all(_follows(frame, first, place) for place, frame in enumerate(frames)):
        return torch.stack(list(frames))
    return first.as_strided((len(frames), *first.shape), (first.numel(), *first.stride()))


def _follows(frame: Tensor, first: Tensor, place: int) -> bool:
    return (
        frame.is_contiguous()
        and frame.shape == first.shape
        and frame.dtype == first.dtype
        and frame.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        and frame.storage_offset() == first.storage_offset() + place * first.numel()
    )
