"""Restoring one file: ``vsr restore`` as a function."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from vsr.engine.memory_plan import RequestedSettings
from vsr.engine.networks_in_time import NetworkChange
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.engine.stream_checkpoint import identity
from vsr.errors import ConfigurationError, OpenError
from vsr.faces.stage import FaceCounts
from vsr.models.network import Network
from vsr.offline.comparison_video import InputRecorder, compare_into, comparison_size
from vsr.offline.expected_rate import large_output_note
from vsr.offline.faces import check_faces, make_stage
from vsr.offline.forwarding_writer import MapWriter, WatchedWriter
from vsr.offline.model_choice import (
    choose_models,
    guards,
    header_models,
    kept_models,
    lines,
    named,
    named_network,
    networks_for,
)
from vsr.offline.options import DEFAULTS, RestoreOptions, SceneModel
from vsr.offline.output_size import choose_size, fit_writer
from vsr.offline.pipeline import run
from vsr.offline.restorer_factory import make_restorer
from vsr.restorer import Restorer
from vsr.results import Progress, Summary, nothing_done
from vsr.resume.checkpoints import CheckpointRecorder
from vsr.resume.compatibility import (
    find_journal,
    header_of,
    is_done,
    journal_planned,
)
from vsr.resume.journal import remove_remains
from vsr.resume.session import ResumeSession, finish_sealed
from vsr.scenes import AUTO, OFF
from vsr.scenes.markers import scene_marker
from vsr.stoppable import open_until_stopped
from vsr.streams import open_reader, open_writer
from vsr.streams.decode.image_reader import DEFAULT_RATE
from vsr.streams.names.image_sequence import names_images
from vsr.streams.names.target import names_same_file
from vsr.streams.names.target_lock import lock_target
from vsr.types import Colour, Mastering, Passed, Reader, StreamInfo, Writer

log = logging.getLogger(__name__)


def restore(
    source: str,
    target: str,
    options: RestoreOptions = DEFAULTS,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_frame: Callable[[Tensor], None] | None = None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore a video or a folder of images.

    Args:
        source: A file, an address, a folder of images or a pattern like ``frames/%06d.png``.
        target: The same kinds, or ``null`` to discard the frames; ``-`` is a pipe in both.
        options: All other options.
        on_progress: Called after every step.
        on_frame: Called in the encoding thread with the last frame (3, H, W) of every step, in
            [0, 1] and of the network's output size.
        stop: Set it to end early with a playable partial result.

    Returns:
        Counts and times of the run.

    Raises:
        VSRError: One line about what went wrong; nothing is left under the target's name.
    """
    check_options(source, target, options)
    with lock_target(target):
        if options.resume and is_done(target, overwrite=options.overwrite, resume=True):
            remove_remains(target)
            return nothing_done(target, skipped=True)
        return _restore(_Job(source, target, options, on_progress, on_frame, stop))


@dataclass(frozen=True)
class _Job:
    """The arguments of ``restore``."""

    source: str
    target: str
    options: RestoreOptions
    on_progress: Callable[[Progress], None]
    on_frame: Callable[[Tensor], None] | None
    stop: threading.Event | None


def check_options(source: str, target: str, options: RestoreOptions) -> None:
    """Refuse options that exclude each other.

    Raises:
        ConfigurationError: Two do.
        OpenError: The map would replace the source, or the result.
    """
    if options.resume and options.in_process:
        raise ConfigurationError("--resume and --in-process exclude each other; give one of them")
    if options.show_map is None:
        return
    if options.resume:
        raise ConfigurationError("--resume and --show-map exclude each other; give one of them")
    if not guards(options) and options.strength_map == OFF:
        raise ConfigurationError(
            "--show-map shows what a guard replaces, or a strength map; give --guard-artifacts or "
            "--strength-map, too"
        )
    for other, what in ((source, "the source"), (target, "the target")):
        if names_same_file(options.show_map, other):
            raise OpenError(f"{options.show_map!r} is {what}, too; give the map another name")


def _restore(job: _Job) -> Summary:
    """Restore into a target that no other run writes."""
    network = named_network(job.options)
    check_faces(job.options)
    job = replace(job, options=_without_needless_scenes(job.options, network))
    options = job.options
    journal = find_journal(
        job.source,
        job.target,
        options.recorded(),
        resume=options.resume,
        overwrite=options.overwrite,
    )
    if journal is not None and (summary := finish_sealed(journal, job.source, job.target)):
        return summary
    with ResumeSession(journal) as session, ExitStack() as opened:
        found = open_until_stopped(lambda: _open_source(job, session.passed), job.stop)
        if found is None:
            return replace(nothing_done(""), interrupted=True)
        reader = opened.enter_context(found)
        models = _find_models(job, session, reader.info)
        if not models:
            return replace(nothing_done(""), interrupted=True)
        return _run(job, session, reader, models, network)


def _without_needless_scenes(
    options: RestoreOptions, network: Network[Any] | None
) -> RestoreOptions:
    """The options, without a search for cuts that neither network nor faces would heed."""
    stateless = network is not None and network.facts.stateless
    if options.scenes == AUTO and options.faces is None and stateless:
        return replace(options, scenes=OFF)
    return options


def _find_models(job: _Job, session: ResumeSession, info: StreamInfo) -> Sequence[SceneModel]:
    """The models: asked for, those of an earlier run, or chosen; none where this was stopped."""
    kept = job.options.scene_models or kept_models(session.header)
    return kept or choose_models(
        job.source, job.options, info, on_progress=job.on_progress, stop=job.stop
    )


def _run(
    job: _Job,
    session: ResumeSession,
    reader: Reader,
    models: Sequence[SceneModel],
    network: Network[Any] | None,
) -> Summary:
    """Restore an opened source with models, or with the one network that was named."""
    options = job.options
    network, changes = networks_for(models, options) if network is None else (network, ())
    for line in lines(models, reader.info):
        log.warning("%s", line)
    restorer = _make_restorer(network, changes, reader.info, options, session.settings)
    faces = make_stage(options, restorer)
    marker = session.resume_into(restorer, scene_marker(options.scenes, reader.info))
    inputs = InputRecorder(reader)
    _begin(job, session, restorer, reader.info, models)
    writer, points = _open_target(job, session, restorer, inputs)
    for note in (*reader.notes, *writer.notes):
        log.warning("%s", note)
    summary = run(
        reader if options.compare is None else inputs,
        restorer,
        writer if job.on_frame is None else WatchedWriter(writer, job.on_frame),
        scenes=marker,
        points=points,
        stage=faces,
        on_progress=job.on_progress,
        stop=job.stop,
    )
    counts = FaceCounts() if faces is None else faces.counts
    return replace(
        summary, model=named(models), faces=counts.restored, faces_left_alone=counts.left_alone
    )


def _begin(
    job: _Job,
    session: ResumeSession,
    restorer: Restorer | ParallelScenes,
    info: StreamInfo,
    models: Sequence[SceneModel],
) -> None:
    """Begin the journal, where there will be one, with what a continued run must find again."""
    options = job.options
    header = header_of(
        job.source, options.recorded(), restorer.settings, identity(restorer.network)
    )
    planned = planned_journal(job.source, job.target, info, options)
    session.begin(header | header_models(models), planned)


def planned_journal(
    source: str, target: str, info: StreamInfo, options: RestoreOptions
) -> Path | None:
    """The folder of the journal that a run would keep; None for none."""
    return journal_planned(
        source,
        target,
        info,
        segment=0 if options.show_map else options.segment,
        in_process=options.in_process,
    )


def _open_source(job: _Job, passed: Passed) -> Reader:
    options = job.options
    return open_reader(
        job.source,
        start_s=options.start_s,
        end_s=options.end_s,
        frame_rate=_rate(options.frame_rate, job.source, job.target),
        headroom=True,
        hwaccel=options.hwaccel,
        keep_start=options.keep_start,
        deinterlace=options.deinterlace,
        passed=passed,
    )


def _make_restorer(
    network: Network[Any],
    changes: Sequence[NetworkChange],
    info: StreamInfo,
    options: RestoreOptions,
    earlier: RequestedSettings | None,
) -> Restorer | ParallelScenes:
    """Create a restorer with the step sizes of an earlier run, or with the requested ones."""
    restorer, _ = make_restorer(
        network,
        info,
        asked=earlier or options.asked,
        memory=options.memory,
        parallel_scenes=options.parallel_scenes,
        device=options.device,
        precision=options.precision,
        changes=changes,
    )
    return restorer


def _open_target(
    job: _Job,
    session: ResumeSession,
    restorer: Restorer | ParallelScenes,
    inputs: InputRecorder,
) -> tuple[Writer, CheckpointRecorder | None]:
    """Open the writer, with resampling, comparison and map, and the recorder of resume points."""
    options, info = job.options, inputs.info
    output = choose_size(info, restorer.network.facts.scale, options.output_size)
    if not options.says_size and (note := large_output_note(restorer, info, output)):
        log.warning("%s", note)
    height, width = comparison_size(options.compare, output.height, output.width)
    writer = session.open_writer(
        job.target,
        replace(info, sample_aspect_ratio=output.sample_aspect_ratio),
        height=height,
        width=width,
        encoder=options.encoder,
        encode_args=options.encode_args,
        source=job.source,
        start_s=options.start_s,
        end_s=options.end_s,
        overwrite=options.overwrite,
        in_process=options.in_process,
    )
    points = session.points(restorer, every=options.segment)
    writer = fit_writer(compare_into(writer, inputs, options.compare), output)
    if options.show_map is not None:
        writer = _with_map(writer, options.show_map, options, info, restorer.network.facts.scale)
    return writer, points


def _with_map(
    writer: Writer, show_map: str, options: RestoreOptions, info: StreamInfo, scale: int
) -> MapWriter:
    """The writer of the result, joined with that of the map."""
    height, width = scale * info.height, scale * info.width
    try:
        map_writer = open_writer(
            show_map,
            replace(info, others=(), mastering=Mastering(), colour=Colour()),
            height=height,
            width=width,
            overwrite=options.overwrite,
        )
    except BaseException:
        writer.abort()
        raise
    return MapWriter(writer, map_writer)


def _rate(asked: Fraction | None, source: str, target: str) -> Fraction | None:
    """The frame rate; images restored to images need no note about an assumed rate."""
    if asked is None and names_images(source) and names_images(target):
        return DEFAULT_RATE
    return asked
