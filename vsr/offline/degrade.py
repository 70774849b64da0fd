"""Degrading a video for tests, training and demonstrations: ``vsr degrade``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.quality.filters import resize
from vsr.quality.presets import PRESETS
from vsr.results import Progress
from vsr.stoppable import iterate_until_stopped, open_until_stopped
from vsr.streams import open_reader, open_writer
from vsr.types import Reader, Writer

CHUNK = 4
"""Frames at once; a constant, because what is drawn depends on it."""

SMALLEST = 26
"""Pixels of the shorter side below which the filters do not work."""


def degrade(
    source: str,
    target: str,
    *,
    preset: str,
    scale: int = 1,
    seed: int = 0,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> str:
    """Write a degraded version of a video; its sound and subtitles are copied.

    Args:
        source: See ``open_reader``.
        target: See ``open_writer``.
        preset: One of ``PRESETS``.
        scale: Factor of the area downscaling that comes first.
        seed: Random seed; the same seed gives the same file.
        overwrite: Replace a target that exists.
        on_progress: Called after every step.
        stop: Set it to end early with a playable partial result.

    Returns:
        The name of the result; empty if it was stopped before the first frame.

    Raises:
        ConfigurationError: An unknown preset, or frames too small for it.
        VSRError: The source cannot be read, or the target cannot be written.
    """
    if preset not in PRESETS:
        raise ConfigurationError(
            f"preset {preset!r} is unknown; known are {', '.join(sorted(PRESETS))}"
        )
    opened = open_until_stopped(lambda: open_reader(source), stop)
    if opened is None:
        return ""
    with opened as reader:
        info = replace(reader.info, bit_depth=8, pixel_format="yuv420p")
        height, width = _reduced_size(info.height, info.width, scale)
        chosen = PRESETS[preset]
        writer = open_writer(
            target,
            info,
            height=height,
            width=width,
            encoder=chosen.encoder,
            encode_args=chosen.encode_args,
            source=source,
            overwrite=overwrite,
        )
        rng = torch.Generator().manual_seed(seed)

        def degraded(frames: Tensor) -> Tensor:
            return chosen.picture(resize(frames, (height, width), "area"), rng).clamp(0, 1)

        try:
            done = _write(reader, writer, degraded, on_progress, stop)
            stopped = stop is not None and stop.is_set()
            if stopped and not done:
                writer.abort()
                return ""
            return writer.finish(partial=stopped)
        except BaseException:
            writer.abort()
            raise


def _write(
    reader: Reader,
    writer: Writer,
    degraded: Callable[[Tensor], Tensor],
    on_progress: Callable[[Progress], None],
    stop: threading.Event | None,
) -> int:
    """Write all frames, degraded, with the packets of sound; returns how many frames."""
    started, done = time.perf_counter(), 0
    for chunk in iterate_until_stopped(reader.chunks(CHUNK), stop):
        writer.write(replace(chunk, frames=degraded(chunk.frames)))
        writer.write_packets(reader.take_packets())
        done += len(chunk)
        seconds = time.perf_counter() - started
        on_progress(Progress(frames=done, total=reader.info.num_frames, seconds=seconds))
    writer.write_packets(reader.take_packets())
    return done


def _reduced_size(height: int, width: int, scale: int) -> tuple[int, int]:
    """Even sides, so that chroma can be halved."""
    reduced = (height // scale // 2 * 2, width // scale // 2 * 2)
    if min(reduced) < SMALLEST:
        raise ConfigurationError(
            f"{width}x{height} reduced by {scale} has fewer than {SMALLEST} rows or columns; "
            "give a larger picture or a smaller scale"
        )
    return reduced
