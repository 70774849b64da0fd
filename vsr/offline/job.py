"""Restore one file: what ``vsr restore`` does, as a function."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from vsr.engine.memory_plan import Asked
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.errors import ConfigurationError
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.offline.comparison_video import InputMemory, compare_into, comparison_size
from vsr.offline.options import DEFAULTS, RestoreOptions
from vsr.offline.output_size import choose_size, fit_writer
from vsr.offline.pipeline import run
from vsr.offline.restorer_factory import make_restorer
from vsr.restorer import Restorer
from vsr.results import Progress, Summary, nothing_done
from vsr.resume.checkpoints import Borders
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
from vsr.types import Passed, Reader, StreamInfo, Writer

log = logging.getLogger(__name__)


def restore(
    source: str,
    target: str,
    options: RestoreOptions = DEFAULTS,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore a video or a folder of images.

    Args:
        source: A file, an address, a folder of images or a pattern like ``frames/%06d.png``.
        target: The same kinds, or ``null`` to throw the frames away; ``-`` means a pipe in both.
        options: Everything else.
        on_progress: Called after every step.
        stop: Set it to end early with a playable partial result.

    Returns:
        Counts and times of the run.

    Raises:
        VSRError: One line about what went wrong; nothing is left under the target's name.
    """
    if options.resume and options.in_process:
        raise ConfigurationError("--resume and --in-process exclude each other; give one of them")
    if options.resume and is_done(target, overwrite=options.overwrite, resume=True):
        return nothing_done(target, skipped=True)
    network = load_network(options.model, options.weights, fidelity=options.fidelity)
    if options.scenes == AUTO and network.facts.stateless:
        options = replace(options, scenes=OFF)
    journal = find_journal(
        source,
        target,
        options.recorded(),
        resume=options.resume,
        overwrite=options.overwrite,
    )
    if journal is not None and (summary := finish_sealed(journal)):
        return summary
    with (
        Keeping(journal) as keeping,
        lock_target(target),
        _open_source(source, target, options, keeping.passed) as reader,
    ):
        restorer = _make_restorer(network, reader.info, options, keeping.settings)
        marker = keeping.go_on(restorer, scene_marker(options.scenes, reader.info))
        inputs = InputMemory(reader)
        keeping.begin(
            header_of(source, options.recorded(), restorer.settings, restorer.network),
            journal_planned(
                source,
                target,
                reader.info,
                segment=options.segment,
                in_process=options.in_process,
            ),
        )
        writer, borders = _open_target(source, target, options, keeping, restorer, inputs)
        for note in (*reader.notes, *writer.notes):
            log.warning("%s", note)
        return run(
            reader if options.compare is None else inputs,
            restorer,
            writer,
            scenes=marker,
            borders=borders,
            on_progress=on_progress,
            stop=stop,
        )


def _open_source(source: str, target: str, options: RestoreOptions, passed: Passed) -> Reader:
    return open_reader(
        source,
        start_s=options.start_s,
        end_s=options.end_s,
        frame_rate=_rate(options.frame_rate, source, target),
        headroom=True,
        hwaccel=options.hwaccel,
        passed=passed,
    )


def _make_restorer(
    network: Network[Any], info: StreamInfo, options: RestoreOptions, earlier: Asked | None
) -> Restorer | ParallelScenes:
    """A restorer with the sizes of an earlier run, or with those asked for."""
    restorer, _ = make_restorer(
        network,
        info,
        asked=earlier or options.asked,
        memory=options.memory,
        parallel_scenes=options.parallel_scenes,
        device=options.device,
        precision=options.precision,
    )
    return restorer


def _open_target(
    source: str,
    target: str,
    options: RestoreOptions,
    keeping: Keeping,
    restorer: Restorer | ParallelScenes,
    inputs: InputMemory,
) -> tuple[Writer, Borders | None]:
    """The writer, which resamples and compares as asked, and the checkpoints of the run."""
    info = inputs.info
    output = choose_size(info, restorer.network.facts.scale, options.output_size)
    height, width = comparison_size(options.compare, output.height, output.width)
    writer = keeping.open_writer(
        target,
        replace(info, sample_aspect_ratio=output.sample_aspect_ratio),
        height=height,
        width=width,
        encoder=options.encoder,
        encode_args=options.encode_args,
        source=source,
        start_s=options.start_s,
        end_s=options.end_s,
        overwrite=options.overwrite,
        in_process=options.in_process,
    )
    borders = keeping.borders(restorer, every=options.segment)
    return fit_writer(compare_into(writer, inputs, options.compare), output), borders


def _rate(asked: Fraction | None, source: str, target: str) -> Fraction | None:
    """Of images that become images nobody needs to hear that a rate is assumed."""
    if asked is None and names_images(source) and names_images(target):
        return DEFAULT_RATE
    return asked
