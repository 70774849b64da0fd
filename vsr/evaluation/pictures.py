"""Pictures of a clip for the report: a detail, and one line of pixels over time.

Their position does not depend on the network, so that reports can be compared: it is where bicubic
enlargement of the first frame differs most from the ground truth.
"""

from __future__ import annotations

import base64
import io

import torch
from PIL import Image
from torch import Tensor

from vsr.models.ops.imresize import imresize, quantise
from vsr.quality.montage import CROP_HEIGHT, CROP_WIDTH, find_differences

VIEWS = ("input", "restored", "truth")


class PictureTaker:
    """Collects a detail of the middle frame, and a row of every frame, while a clip is restored.

    Args:
        num_frames: Number of scored frames of the clip.
    """

    def __init__(self, num_frames: int) -> None:
        self._middle = num_frames // 2
        self._place: tuple[int, int] | None = None
        self._seen = 0
        self._rows: dict[str, list[Tensor]] = {view: [] for view in VIEWS}
        self._details: dict[str, Tensor] = {}

    def add(self, low: Tensor, restored: Tensor, truth: Tensor) -> None:
        """Take the next frames: (T, 3, h, w), (T, 3, H, W), (T, 3, H, W), in [0, 1]."""
        scale = truth.shape[-1] // low.shape[-1]
        if self._place is None:
            enlarged = imresize(low[0].float().cpu(), scale)
            self._place = find_differences(enlarged, truth[0].cpu(), count=1)[0]
        top, left = self._place
        height, width = (
            min(side, most)
            for side, most in zip(truth.shape[-2:], (CROP_HEIGHT, CROP_WIDTH), strict=True)
        )
        views = dict(zip(VIEWS, (_repeat(low, scale), restored, truth), strict=True))
        for view, frames in views.items():
            detail = frames[..., top : top + height, left : left + width]
            self._rows[view].append(detail[:, :, height // 2].cpu())
            if 0 <= self._middle - self._seen < len(frames):
                self._details[view] = detail[self._middle - self._seen].cpu()
        self._seen += len(truth)

    def finish(self) -> dict[str, str]:
        """``detail_VIEW`` and ``profile_VIEW`` of each view, PNG files in base64."""
        profiles = {view: torch.cat(rows).transpose(0, 1) for view, rows in self._rows.items()}
        return {f"detail_{view}": to_png(frame) for view, frame in self._details.items()} | {
            f"profile_{view}": to_png(picture) for view, picture in profiles.items()
        }


def to_png(frame_3HW: Tensor) -> str:
    """A frame in [0, 1] as an 8-bit PNG file in base64."""
    pixels = quantise(frame_3HW.float()).mul(255).round().byte().movedim(0, -1).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def _repeat(frames: Tensor, scale: int) -> Tensor:
    """Each pixel repeated: the unchanged input at the size of the output."""
    return frames.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
