"""Input and result in one video, side by side: so that the page cannot show them out of sync.

A process of its own, because it loads torch: the hidden command ``vsr side-by-side``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.errors import OpenError
from vsr.models.checkpoints.face_zoo import DEFAULT_FACES
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.streams import open_reader, open_writer
from vsr.types import Chunk, Reader, StreamInfo
from vsr.web.options import Options

ENCODER = "libx264"
ENCODE_ARGS = [
    "-preset",
    "veryfast",
    "-crf",
    "12",
    "-pix_fmt",
    "yuv420p",
    "-g",
    "1",
    "-movflags",
    "+faststart",
]
"""Encoding that every browser plays; key frames only, so that a step back is as quick as one
forward."""

LARGEST_HEIGHT, LARGEST_WIDTH = 2304, 4096
"""Largest size of each half; larger ones are reduced: browsers decode two of these, hardly more."""

STEP = 4
"""Frames read at once."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A part of two videos to show side by side.

    Attributes:
        source: Path of the film.
        target: Path of the video to write, ``.mp4``.
        start_s: Beginning, in seconds after the first frame.
        seconds: Length.
        restored: Path of the restored film; None to restore this part now.
        options: Options of the restoration, used without ``restored``.
    """

    source: str
    target: str
    start_s: float
    seconds: float
    restored: str | None = None
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """A video of input and result.

    Attributes:
        width: Columns of each half.
        height: Rows.
        aspect: Display aspect ratio, width over height.
        times: Seconds of every frame after the first.
        bytes_per_s: Size of the result as ``vsr restore`` writes it, per second; None for an
            existing result.
        model: The model that restored it; empty for an earlier result.
    """

    width: int
    height: int
    aspect: float
    times: tuple[float, ...]
    bytes_per_s: float | None = None
    model: str = ""


def show(request: Request) -> SideBySide:
    """Write the video that was asked for.

    Raises:
        VSRError: A film cannot be read, or this part cannot be restored.
    """
    start_s = on_frame_border(request)
    end_s = start_s + request.seconds
    if request.restored is not None:
        with (
            open_reader(request.source, start_s=start_s, end_s=end_s) as before,
            open_reader(request.restored, start_s=start_s, end_s=end_s) as after,
        ):
            return write(before, after, request.target)
    mode = request.options.deinterlace
    with tempfile.TemporaryDirectory(dir=Path(request.target).parent) as folder:
        part = str(Path(folder, "restored.mkv"))
        options = replace(_options(request.options), start_s=start_s, end_s=end_s, segment=0)
        summary = restore(request.source, part, options)
        with (
            open_reader(request.source, start_s=start_s, end_s=end_s, deinterlace=mode) as before,
            open_reader(part) as after,
        ):
            shown = write(before, after, request.target)
        return replace(shown, bytes_per_s=_bytes_per_s(part, shown), model=summary.model)


def _options(chosen: Options) -> RestoreOptions:
    """The options of the page as those of a restoration."""
    return RestoreOptions(
        model=chosen.model,
        fidelity=chosen.fidelity,
        fit=chosen.fit,
        deinterlace=chosen.deinterlace,
        faces=DEFAULT_FACES if chosen.faces else None,
    )


def _bytes_per_s(part: str, shown: SideBySide) -> float | None:
    """Size of a part, sound included, by its length; one frame alone has no length."""
    num_frames = len(shown.times)
    if num_frames < 2:
        return None
    seconds = shown.times[-1] * num_frames / (num_frames - 1)
    return Path(part).stat().st_size / seconds


def on_frame_border(request: Request) -> float:
    """The beginning, moved to between two frames: containers round times, each in its own way."""
    with open_reader(request.source) as reader:
        rate = reader.info.frame_rate or Fraction(25)
    return max(0.0, float((round(request.start_s * rate) - Fraction(1, 2)) / rate))


def write(before: Reader, after: Reader, target: str) -> SideBySide:
    """Write the frames of two readers side by side; the input's are enlarged bicubically.

    Raises:
        OpenError: One of them has no frame at this time.
        VSRError: A source breaks, or the video cannot be written.
    """
    height, width = _shown_size(after.info)
    info = replace(after.info, others=(), sample_aspect_ratio=Fraction(1), start_pts=0)
    writer = open_writer(
        target,
        info,
        height=height,
        width=2 * width,
        encoder=ENCODER,
        encode_args=ENCODE_ARGS,
        overwrite=True,
    )
    times: list[int] = []
    try:
        # The result may be a frame shorter at its end, where its container rounds.
        for left, (right, pts) in zip(_frames(before), _frames(after), strict=False):
            times.append(pts)
            both = torch.cat([_resized(left[0], height, width), _resized(right, height, width)], -1)
            chunk = Chunk(frames=both[None], pts=(pts - times[0],), time_base=after.info.time_base)
            writer.write(chunk)
        if not times:
            raise OpenError("there is no frame here; choose an earlier moment")
        writer.finish()
    except BaseException:
        writer.abort()
        raise
    aspect = after.info.width * after.info.sample_aspect_ratio / after.info.height
    seconds = tuple(float((pts - times[0]) * after.info.time_base) for pts in times)
    return SideBySide(width=width, height=height, aspect=float(aspect), times=seconds)


def _shown_size(info: StreamInfo) -> tuple[int, int]:
    """Even rows and columns of each half."""
    factor = min(1.0, LARGEST_HEIGHT / info.height, LARGEST_WIDTH / info.width)
    return (
        max(2, round(info.height * factor / 2) * 2),
        max(2, round(info.width * factor / 2) * 2),
    )


def _frames(reader: Reader) -> Iterator[tuple[Tensor, int]]:
    for chunk in reader.chunks(STEP):
        yield from zip(chunk.frames, chunk.pts, strict=True)


def _resized(frame: Tensor, height: int, width: int) -> Tensor:
    if tuple(frame.shape[1:]) == (height, width):
        return frame.float()
    size = (height, width)
    return F.interpolate(frame[None].float(), size, mode="bicubic", antialias=True)[0].clamp(0, 1)


def answer(request: str) -> str:
    """Serve one request, whose fields and answer are JSON; raises as ``show``."""
    given = json.loads(request)
    return json.dumps(asdict(show(Request(**{**given, "options": Options(**given["options"])}))))
