"""Progress of a run as files, which another program shows: ``vsr restore --progress FOLDER``."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

from PIL import Image
from torch import Tensor

from vsr.errors import OpenError
from vsr.results import Progress

PROGRESS, PICTURE = "progress.json", "frame.jpg"

PROGRESS_EVERY_S = 0.5
PICTURE_EVERY_S = 2.0
"""A picture takes a few milliseconds of the encoding thread."""

PICTURE_WIDTH = 640
"""Larger frames are thinned out, not filtered: that takes no time worth measuring."""

_JPEG_QUALITY = 80


class ProgressFiles:
    """Writes ``progress.json`` and ``frame.jpg``; both are replaced as a whole.

    A file that cannot be written does not end a run: it is left out without an error.

    Args:
        folder: Created if it is missing.

    Raises:
        OpenError: The folder cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OpenError(
                f"the folder '{folder}' cannot be made ({error.strerror}); give another"
            ) from error
        self._folder = folder
        self._next_progress = self._next_picture = 0.0

    def show(self, progress: Progress) -> None:
        """Write the progress, unless that was done a moment ago and there is more to come."""
        if progress.frames != progress.total and time.monotonic() < self._next_progress:
            return
        self._replace(PROGRESS, json.dumps(asdict(progress)).encode())
        self._next_progress = time.monotonic() + PROGRESS_EVERY_S

    def show_frame(self, frame: Tensor) -> None:
        """Write a restored frame (3, H, W) in [0, 1], unless that was done a moment ago."""
        if time.monotonic() < self._next_picture:
            return
        self._replace(PICTURE, _jpeg(frame))
        self._next_picture = time.monotonic() + PICTURE_EVERY_S

    def _replace(self, name: str, content: bytes) -> None:
        part = self._folder / f".{name}.part"
        try:
            part.write_bytes(content)
            part.replace(self._folder / name)
        except OSError:
            return


def _jpeg(frame: Tensor) -> bytes:
    every = -(-frame.shape[-1] // PICTURE_WIDTH)
    pixels = frame[:, ::every, ::every].float().clamp(0, 1).mul(255).round().byte().movedim(0, -1)
    file = BytesIO()
    Image.fromarray(pixels.contiguous().cpu().numpy()).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()
