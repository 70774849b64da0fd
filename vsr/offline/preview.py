"""A preview picture of one moment of a source, before and after."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from vsr.address import is_address, shown
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.errors import ConfigurationError, EncodeError, OpenError
from vsr.offline.auto_table import names_table
from vsr.offline.comparison_video import InputRecorder, compare_frames
from vsr.offline.faces import check_faces, make_stage
from vsr.offline.model_choice import choose_models, models_at, named_network, networks_for
from vsr.offline.options import DEFAULTS, RestoreOptions
from vsr.offline.restorer_factory import make_restorer
from vsr.quality.montage import save_png
from vsr.restorer import Restorer
from vsr.stoppable import call_until_stopped
from vsr.streams import open_reader
from vsr.streams.names.container import PIPE
from vsr.streams.names.image_sequence import image_folder, names_images
from vsr.streams.names.target import NULL, TargetFile
from vsr.types import Chunk, StreamInfo

HEEDED = frozenset(
    {"model", "weights", "fidelity", "faces", "face_detector", "chunk", "look_ahead", "tiles"}
    | {"memory", "device", "precision", "frame_rate", "overwrite", "deinterlace"}
    | {"guard_artifacts", "strength_map", "steady", "skip_still"}
)
"""Options that a preview uses."""

CHOOSING = frozenset({"scale", "size", "fit", "scenes"})
"""Options that ``auto`` and tables choose the model by."""

AROUND_S = 1.0
"""Seconds before and after the moment that the network sees."""


def preview(
    source: str,
    target: str,
    moment_s: float,
    options: RestoreOptions = DEFAULTS,
    *,
    stop: threading.Event | None = None,
) -> str | None:
    """Write a picture of the enlarged input beside the restored frame.

    Args:
        source: See ``restore``.
        target: See ``restore``; of a video, the picture is ``NAME.preview.png`` beside it.
        moment_s: Seconds after the first frame; the next frame from then is shown.
        options: See ``restore``; only those of ``HEEDED`` are used.
        stop: Set it to end early, without a picture.

    Returns:
        Path of the picture; None after ``stop``.

    Raises:
        OpenError: The source cannot be opened, or the picture cannot be written.
        EncodeError: The disk is full.
        ConfigurationError: The source ends before this moment.
    """
    picture = TargetFile(str(picture_name(target)), source=source, overwrite=options.overwrite)
    pixels = call_until_stopped(lambda: _render(source, moment_s, options), stop)
    return None if pixels is None else _keep(pixels, picture)


def _render(source: str, moment_s: float, options: RestoreOptions) -> Tensor:
    """The enlarged input beside the restored frame, (3, H, 2 W)."""
    network = named_network(options)
    check_faces(options)
    start = max(0.0, moment_s - AROUND_S)
    end = moment_s + AROUND_S
    with open_reader(
        source,
        start_s=start,
        frame_rate=options.frame_rate,
        deinterlace=options.deinterlace,
    ) as reader:
        if network is None:
            part = replace(options, start_s=start, end_s=end, parallel_scenes=1)
            models = choose_models(source, part, reader.info)
            network = networks_for(models_at(models, reader.info, moment_s), options)[0]
        info = reader.info
        restorer, _plan = make_restorer(
            network,
            replace(info, num_frames=_frames_around(info)),
            asked=options.asked,
            memory=options.memory,
            device=options.device,
            precision=options.precision,
        )
        faces = make_stage(options, restorer)
        inputs = InputRecorder(reader)
        wanted, last = (
            info.start_pts + float(time_s / info.time_base) - 0.5 for time_s in (moment_s, end)
        )
        for restored in _restored(_until(last, inputs.chunks(restorer.chunk)), restorer):
            pasted = restored if faces is None else faces.push(restored)
            for frame, pts in zip(pasted.frames, pasted.pts, strict=True):
                if pts >= wanted:
                    return compare_frames(inputs.take(pts).cpu(), frame.cpu(), "side")
    raise ConfigurationError(
        f"{shown(source)!r} ends before {moment_s:g} s; give an earlier moment"
    )


def _frames_around(info: StreamInfo) -> int | None:
    """Number of frames that the network sees, about; None where the source says no rate."""
    return None if info.frame_rate is None else round(2 * AROUND_S * info.frame_rate)


def _until(last: float, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The chunks up to the first one with a frame from this pts on."""
    for chunk in chunks:
        yield chunk
        if chunk.pts[-1] >= last:
            return


def unused(options: RestoreOptions) -> set[str]:
    """Names of given options that a preview does not use."""
    return options.given() - HEEDED - (CHOOSING if names_table(options.model) else set())


def _keep(pixels: Tensor, picture: TargetFile) -> str:
    picture.create()
    try:
        save_png(pixels, Path(picture.temporary))
    except OSError as error:
        picture.remove()
        raise EncodeError(f"'{picture.path}' cannot be written ({error.strerror})") from error
    return picture.keep(partial=False)


def picture_name(target: str) -> Path:
    """Path of the preview of a target.

    Raises:
        OpenError: The target is neither a file nor a folder.
    """
    if target in {PIPE, NULL} or is_address(target):
        raise OpenError(
            f"a preview is a file, {shown(target)!r} is none; give a name such as look.png"
        )
    if names_images(target):
        folder = image_folder(target)
        return folder.with_name(f"{folder.name}.preview.png")
    path = Path(target)
    return path if path.suffix.lower() == ".png" else path.with_name(f"{path.stem}.preview.png")


def _restored(chunks: Iterable[Chunk], restorer: Restorer | ParallelScenes) -> Iterator[Chunk]:
    for chunk in chunks:
        yield from restorer.push(chunk)
    yield from restorer.drain()
