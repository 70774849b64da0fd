"""``vsr restore`` alone, on the devices of this machine, or on a Ray cluster."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from vsr.address import as_name, is_address
from vsr.cluster.film import Film, restore_film
from vsr.cluster.pool import Alone, Pool
from vsr.cluster.tasks import FilmTask, NotVisible, WorkerSetup
from vsr.errors import ConfigurationError
from vsr.models.catalogue import AUTO_MODEL, DEFAULT_MODEL
from vsr.offline import job
from vsr.offline.auto_table import names_table
from vsr.offline.model_choice import choose_models, kept_models, lines, with_models
from vsr.offline.options import DEFAULTS, RestoreOptions
from vsr.results import Progress, Summary, nothing_done
from vsr.resume.compatibility import fingerprint, is_done
from vsr.resume.journal import is_planned_in_shards, journal_folder, kept_header
from vsr.streams import open_reader
from vsr.streams.encode.segments.plan import NotSegmentable
from vsr.streams.names.container import PIPE
from vsr.streams.names.image_sequence import names_images
from vsr.streams.names.target import local_target

log = logging.getLogger(__name__)

WAIT_S = 0.5


def restore(
    source: str | PathLike[str],
    target: str | PathLike[str],
    options: RestoreOptions = DEFAULTS,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_frame: Callable[[Tensor], None] | None = None,
    stop: threading.Event | None = None,
    pool: Pool | None = None,
) -> Summary:
    """Restore a video or a folder of images.

    Args:
        source: A file, an address, a folder of images or a pattern like ``frames/%06d.png``.
        target: The same kinds, or ``null`` to discard the frames; ``-`` is a pipe in both.
        options: All other options; with ``cluster`` or ``devices`` several workers share the work.
        on_progress: Called after every step, or twice a second for several workers.
        on_frame: Called in the encoding thread with the last frame (3, H, W) of every step, in
            [0, 1] and of the network's output size; not by workers.
        stop: Set it to end early with a playable partial result; finished work of
            several workers is kept for ``resume``.
        pool: Workers that ``open_pool`` has made; None to make them for this film.

    Returns:
        Counts and times of the run.

    Raises:
        VSRError: One line about what went wrong; nothing is left under the target's name.
    """
    source, target = as_name(source), as_name(target)
    alone = partial(job.restore, on_progress=on_progress, on_frame=on_frame, stop=stop)
    planned = is_planned_in_shards(target)
    skipped = options.resume and is_done(target, overwrite=options.overwrite, resume=True)
    if skipped or not (shares_work(options) or pool or (planned and options.resume)):
        return alone(source, target, options)
    stop = stop or threading.Event()
    if pool:
        shared = _with_one_model(options)
    elif chosen := _with_models_of(source, target, options, on_progress, stop):
        shared = chosen
    else:
        return replace(nothing_done(""), interrupted=True)
    with _pool(pool, shared, target) as workers:
        reason = why_alone(source, target, options, planned=planned)
        if not reason:
            film = Film(source=source, target=target, options=shared, pool=workers)
            try:
                return restore_film(film, on_progress=on_progress, stop=stop)
            except NotSegmentable as error:
                reason = str(error)
        log.warning("one worker restores it: %s", reason)
        options = replace(options, scene_models=shared.scene_models)
        if workers.is_remote and (
            summary := _restore_there(source, target, options, workers, stop)
        ):
            return summary
    return alone(source, target, options)


def _restore_there(
    source: str, target: str, options: RestoreOptions, pool: Pool, stop: threading.Event
) -> Summary | None:
    """Restore a film as a whole on one worker; None if this has to be done here.

    Raises:
        VSRError: See ``restore``.
    """
    if source == PIPE or local_target(target) is None:
        return None
    there = replace(options, cluster=None, devices=())
    task = FilmTask(
        source=_named_for_others(source),
        target=str(Path(target).absolute()) + ("/" if target.endswith("/") else ""),
        source_print=fingerprint(source),
        options=there,
    )
    pool.choose(None)
    future = pool.submit(task)
    while not wait([future], WAIT_S).done:
        if stop.is_set():
            if future.cancel():
                return replace(nothing_done(""), interrupted=True)
            pool.end(future)
    try:
        summary: Summary = future.result()
    except NotVisible as error:
        log.warning("%s: this machine restores it", error)
        return None
    if summary.interrupted:
        return summary
    if summary.output and not Path(summary.output).exists():
        log.warning("another machine's '%s' is not seen here: this one restores it", target)
        return None
    return replace(summary, output=target)


def _with_models_of(
    source: str,
    target: str,
    options: RestoreOptions,
    on_progress: Callable[[Progress], None],
    stop: threading.Event,
) -> RestoreOptions | None:
    """Options with the models that a source gets: workers load the first before they see a film.

    Those of a run that is resumed are in its journal. None after ``stop``.
    """
    if not names_table(options.model) or source == PIPE or is_address(source):
        return options
    models = kept_models(kept_header(target)) if options.resume else ()
    if not models:
        with open_reader(source, frame_rate=options.frame_rate, deinterlace="off") as reader:
            info = reader.info
        models = choose_models(source, options, info, on_progress=on_progress, stop=stop)
        if not models:
            return None
        for line in lines(models, info):
            log.warning("%s", line)
    return with_models(options, models)


def _with_one_model(options: RestoreOptions) -> RestoreOptions:
    """Options with one model for all films of the same workers.

    Raises:
        ConfigurationError: A table was given, which chooses among several.
    """
    if not names_table(options.model):
        return options
    if options.model != AUTO_MODEL:
        raise ConfigurationError(
            f"{options.model!r} chooses among models, and workers that share several films load "
            "one; give --model NAME, or leave out --cluster and --devices"
        )
    return replace(options, model=str(options.weights or DEFAULT_MODEL), weights=None)


def shares_work(options: RestoreOptions) -> bool:
    """Whether options ask for several workers."""
    return options.cluster is not None or bool(options.devices)


def check_shared(options: RestoreOptions) -> None:
    """Refuse options that cannot be used with several workers.

    Raises:
        ConfigurationError: One of them is set.
    """
    if options.devices and options.cluster not in (None, "local"):
        raise ConfigurationError(
            "--devices are of this machine; leave --cluster out, or give local"
        )
    if options.faces is not None:
        raise ConfigurationError(
            "--faces follows faces from frame to frame in one process; leave it out for several "
            "workers, or leave out --cluster and --devices"
        )
    if options.parallel_scenes > 1:
        raise ConfigurationError(
            "--parallel-scenes rounds differently in each batch; leave it out for several workers"
        )
    if options.in_process:
        raise ConfigurationError(
            "--in-process encodes without segments; leave it out for several workers"
        )
    if options.show_map is not None:
        raise ConfigurationError(
            "--show-map is written by one worker; leave it out for several workers"
        )


def why_alone(source: str, target: str, options: RestoreOptions, *, planned: bool) -> str:
    """Why a film is not divided among workers; empty where it can be."""
    folder = journal_folder(target)
    if names_images(target):
        return "image files are written by one"
    if source == PIPE or is_address(source):
        return "a source that can be read once only is not divided"
    if folder is None:
        return f"{target!r} cannot be written in segments"
    if not options.segment:
        return "--segment 0 keeps no segments"
    if folder.exists() and options.resume and not planned:
        return "it was begun by one"
    return ""


def open_pool(options: RestoreOptions, target: str) -> Any:
    """Workers for films with the same options; a context manager.

    Args:
        options: Options of the run.
        target: Target of one of the films; every worker tries an output of its kind.

    Raises:
        ConfigurationError: Options that cannot be used with several workers; a table of models.
        VSRError: No cluster answers.
    """
    from vsr.cluster.ray_connection import LOCAL
    from vsr.cluster.ray_pool import RayPool

    check_shared(options)
    if options.model == AUTO_MODEL and options.weights is None:
        log.warning(
            "%s restores all films, whatever their size: workers that share them load one model; "
            "--model names another",
            DEFAULT_MODEL,
        )
    return RayPool(
        options.cluster or LOCAL,
        partial(_make_worker, setup_of(options, target)),
        devices=options.devices,
        on_cpu=options.device == "cpu",
        cores=options.worker_cores,
        mixed=options.mixed_machines,
    )


def setup_of(options: RestoreOptions, target: str) -> WorkerSetup:
    """Setup shared by all workers of a run."""
    return WorkerSetup(
        options=_with_one_model(options),
        suffix=Path(target).suffix or ".mkv",
        devices=options.devices,
    )


@contextmanager
def _pool(pool: Pool | None, options: RestoreOptions, target: str) -> Iterator[Pool]:
    """The given pool, or one for this film."""
    if pool is not None:
        yield pool
    elif shares_work(options):
        with open_pool(options, target) as made:
            yield made
    else:
        make = partial(_make_worker, setup_of(options, target), 0, None)
        with Alone(make, mixed=options.mixed_machines) as here:
            yield here


def _make_worker(setup: WorkerSetup, number: int, fetch: Callable[[Any], bytes] | None) -> Any:
    """A worker, on its machine, which loads torch now."""
    from vsr.cluster.worker import ShardWorker

    return ShardWorker(setup.of_worker(number), fetch)


def _named_for_others(source: str) -> str:
    """A source by a name that holds in any folder."""
    is_there = not is_address(source) and Path(source).exists()
    return str(Path(source).absolute()) if is_there else source
