"""The picture that is shown while the source is gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from vsr.errors import OpenError


def load_slate(path: Path) -> Tensor:
    """A picture of any size as (1, 3, H, W), float32 in [0, 1].

    Raises:
        OpenError: It cannot be read.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise OpenError(f"the slate '{path}' cannot be read ({error}); give a picture") from error
    return torch.from_numpy(pixels.copy()).movedim(-1, 0).float().div(255)[None]
