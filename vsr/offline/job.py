"""Restore one file: what ``vsr restore`` does, as a function."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vsr.engine.memory_plan import Asked
from vsr.errors import ConfigurationError
from vsr.models.catalogue import DEFAULT_MODEL
from vsr.models.loading import load_network
from vsr.offline.comparison_video import InputMemory, Mode, compare_into, comparison_size
from vsr.offline.output_size import SizeWish, choose_size, fit_writer
from vsr.offline.pipeline import run
from vsr.offline.restorer_factory import make_restorer
from vsr.results import Progress, Summary, nothing_done
from vsr.resume import SEGMENT_FRAMES
from vsr.resume.compatibility import (
    find_journal,
    header_of,
    is_done,
    journal_planned,
)
from vsr.resume.session import Keeping, finish_sealed
from vsr.scenes import AUTO, OFF
from vsr.scenes.markers import scene_marker
from vsr.streams import open_reader
from vsr.streams.decode.image_reader import DEFAULT_RATE
from vsr.streams.names.image_sequence import names_images
from vsr.streams.names.target_lock import lock_target

log = logging.getLogger(__name__)


def restore(
    source: str,
    target: str,
    *,
    model: str = DEFAULT_MODEL,
    weights: str | Path | None = None,
    fidelity: float | None = None,
    chunk: int | None = None,
    look_ahead: int | str | None = None,
    tiles: tuple[int, int] | None = None,
    memory: str | None = None,
    scenes: str = AUTO,
    parallel_scenes: int = 1,
    device: str = "auto",
    precision: str = "auto",
    encoder: str | None = None,
    encode_args: Sequence[str] = (),
    start_s: float | None = None,
    end_s: float | None = None,
    frame_rate: Fraction | None = None,
    overwrite: bool = False,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    fit: int | None = None,
    hwaccel: str | None = None,
    in_process: bool = False,
    compare: Mode | None = None,
    resume: bool = False,
    segment: int = SEGMENT_FRAMES,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore a video or a folder of images.

    Args:
        source: A file, an address, a folder of images or a pattern like ``frames/%06d.png``.
        target: The same kinds, or ``null`` to throw the frames away; ``-`` means a pipe in both.
        model: As for ``load_network``.
        weights: As for ``load_network``.
        fidelity: As for ``load_network``.
        chunk: As for ``Restorer``; None for what suits the network and fits into memory.
        look_ahead: As for ``Restorer``, likewise.
        tiles: As for ``Restorer``, likewise.
        memory: What the run may take, ``4G`` or ``75%`` of what is free; None for 80 %.
        scenes: ``auto`` to find cuts, ``off``, ``every N``, or a file that lists them.
        parallel_scenes: Scenes stepped together.
        device: As for ``Restorer``.
        precision: As for ``Restorer``.
        encoder: ffmpeg's name of a video encoder; None for the usual one of the container.
        encode_args: Further arguments for ffmpeg's output.
        start_s: First moment to restore, in seconds after the first frame.
        end_s: First moment not to restore, likewise.
        frame_rate: Frames per second of images; None for 25. A video has its own.
        overwrite: Replace a target that exists.
        scale: Output over input size; with it, ``size`` or ``fit`` the output is resampled once.
        size: Rows and columns of the output.
        fit: Pixels of the output's shorter side.
        hwaccel: As for ``open_reader``.
        in_process: As for ``open_writer``.
        compare: Write a comparison with the input instead: ``side`` by side, or ``split``.
        resume: Go on where an earlier run that was asked for the same was ended, if there is one;
            a target that is there without a journal is whole, and skipped.
        segment: Frames after which, at the latest, what is done survives whatever ends the run;
            a longer run keeps a journal beside the target. 0 for never.
        on_progress: Called after every step.
        stop: Set it to end early with a playable partial result.

    Returns:
        What was done.

    Raises:
        VSRError: One line about what went wrong; nothing is left under the target's name.
    """
    if resume and in_process:
        raise ConfigurationError("--resume and --in-process exclude each other; give one of them")
    if resume and is_done(target, overwrite=overwrite, resume=resume):
        return nothing_done(target, skipped=True)
    network = load_network(model, weights, fidelity=fidelity)
    if scenes == AUTO and network.facts.stateless:
        scenes = OFF
    options = {
        "model": model,
        "weights": weights,
        "fidelity": fidelity,
        "chunk": chunk,
        "look_ahead": look_ahead,
        "tiles": tiles,
        "scenes": scenes,
        "parallel_scenes": parallel_scenes,
        "encoder": encoder,
        "encode_args": encode_args,
        "start_s": start_s,
        "end_s": end_s,
        "frame_rate": frame_rate,
        "scale": scale,
        "size": size,
        "fit": fit,
        "compare": compare,
        "segment": segment,
    }
    journal = find_journal(source, target, options, resume=resume, overwrite=overwrite)
    if journal is not None and (summary := finish_sealed(journal)):
        return summary
    asked = Asked(chunk=chunk, look_ahead=look_ahead, tiles=tiles)
    with (
        Keeping(journal) as keeping,
        lock_target(target),
        open_reader(
            source,
            start_s=start_s,
            end_s=end_s,
            frame_rate=_rate(frame_rate, source, target),
            headroom=True,
            hwaccel=hwaccel,
            passed=keeping.passed,
        ) as reader,
    ):
        info = reader.info
        restorer, _ = make_restorer(
            network,
            info,
            asked=keeping.settings or asked,
            memory=memory,
            parallel_scenes=parallel_scenes,
            device=device,
            precision=precision,
        )
        marker = keeping.go_on(restorer, scene_marker(scenes, info))
        wish = SizeWish(scale=scale, size=size, fit=fit)
        output = choose_size(info, network.facts.scale, wish)
        inputs = InputMemory(reader)
        height, width = comparison_size(compare, output.height, output.width)
        keeping.begin(
            header_of(source, options, restorer.settings, restorer.network),
            journal_planned(source, target, info, segment=segment, in_process=in_process),
        )
        writer = keeping.open_writer(
            target,
            replace(info, sample_aspect_ratio=output.sample_aspect_ratio),
            height=height,
            width=width,
            encoder=encoder,
            encode_args=encode_args,
            source=source,
            start_s=start_s,
            end_s=end_s,
            overwrite=overwrite,
            in_process=in_process,
        )
        for note in (*reader.notes, *writer.notes):
            log.warning("%s", note)
        borders = keeping.borders(restorer, every=segment)
        writer = compare_into(writer, inputs, compare)
        writer = fit_writer(writer, output)
        return run(
            reader if compare is None else inputs,
            restorer,
            writer,
            scenes=marker,
            borders=borders,
            on_progress=on_progress,
            stop=stop,
        )


def _rate(asked: Fraction | None, source: str, target: str) -> Fraction | None:
    """Of images that become images nobody needs to hear that a rate is assumed."""
    if asked is None and names_images(source) and names_images(target):
        return DEFAULT_RATE
    return asked
