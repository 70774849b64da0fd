"""Evaluating a network on a data set: ``vsr eval`` as a function."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vsr.errors import ConfigurationError
from vsr.evaluation.clips import FoundPair
from vsr.evaluation.ensembles import ENSEMBLES, InferenceMode
from vsr.evaluation.jobs import Job, Setup, run_here
from vsr.evaluation.provenance import describe_origin, weights_files
from vsr.evaluation.published import mismatch
from vsr.evaluation.results import ClipResult, Evaluation, ResultStore
from vsr.evaluation.workers import run_in_processes, run_on_ray
from vsr.files import sha256_of
from vsr.models.network import Network, NetworkFacts
from vsr.models.placement import resolve_device, resolve_precision
from vsr.results import Progress

RESULT_FORMAT = 3
"""Version of kept results; older ones are measured again."""

PICTURED = 12
"""Clips of which a report shows pictures, from the first; more would make a page of hundreds of
megabytes of the largest sets."""


def evaluate(
    found: FoundPair,
    setup: Setup,
    ways: Sequence[InferenceMode],
    *,
    network: Network[Any],
    out: Path | None = None,
    workers: int = 1,
    ray: str | None = None,
    pictures: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Evaluation:
    """Restore and score every clip in every mode.

    Args:
        found: The clips.
        setup: Network and scores.
        ways: One or two: streamed, whole, or both.
        network: The network that ``setup`` names.
        out: Folder that keeps each clip's result; clips with a result of the same settings and
            files are not measured again.
        workers: Processes.
        ray: Address of a Ray cluster to use instead.
        pictures: Take pictures for a report.
        on_progress: Called whenever a clip is finished, with the frames of this run.

    Raises:
        VSRError: One line about what went wrong; finished clips are kept.
    """
    _check_ensembles(ways)
    jobs = _jobs(found, ways, pictures=pictures)
    started = time.perf_counter()
    weights = weights_files(setup.model, setup.weights)
    store = None if out is None else ResultStore(out)
    facts, precision = network.facts, _precision(setup, network)
    prints = _fingerprints(jobs, setup, facts, precision, weights)
    kept = _kept(jobs, store, prints)
    missing = [job for job in jobs if _key(job) not in kept]
    results = dict(kept)
    for result in _reported(_run(setup, missing, workers, ray), missing, on_progress):
        results[result.clip, result.way] = result
        if store is not None:
            store.keep(result, prints[result.clip, result.way])
    noted = mismatch(setup.model, found.degradation)
    return Evaluation(
        title=found.title,
        channels=found.channels,
        degradation=found.degradation,
        made=found.made,
        model=setup.model,
        ways=tuple(way.name for way in ways),
        results=tuple(results[_key(job)] for job in jobs),
        notes=(*found.notes, *([noted] if noted else []), *_enlarged(results.values())),
        settings=_settings(setup, ways, facts),
        origin=describe_origin(setup.device, precision, weights, sys.argv[1:]),
        seconds=time.perf_counter() - started,
        reused=len(kept),
    )


def _check_ensembles(ways: Sequence[InferenceMode]) -> None:
    for name in (name for way in ways for name in way.ensemble):
        if name not in ENSEMBLES:
            raise ConfigurationError(
                f"ensemble {name!r} is unknown; give {', '.join(ENSEMBLES)} or both with a comma"
            )


def _jobs(found: FoundPair, ways: Sequence[InferenceMode], *, pictures: bool) -> list[Job]:
    """Every clip in every mode; pictures of the first clips alone."""
    return [
        Job(clip=clip, way=way, pictures=pictures and i < PICTURED)
        for way in ways
        for i, clip in enumerate(found.clips)
    ]


def _reported(
    results: Iterable[ClipResult], jobs: Sequence[Job], on_progress: Callable[[Progress], None]
) -> Iterator[ClipResult]:
    """Hand on the results of jobs; progress is reported once each has been taken."""
    started = time.perf_counter()
    frames, total = 0, sum(len(job.clip.scored) for job in jobs)
    for result in results:
        yield result
        frames += len(result.frames)
        seconds = time.perf_counter() - started
        on_progress(Progress(frames=frames, total=total, seconds=seconds))


def _enlarged(results: Iterable[ClipResult]) -> Iterator[str]:
    """Note about clips with frames that the network did not restore."""
    for result in results:
        if result.passed_through:
            yield (
                f"{result.passed_through} frames of {result.clip!r}, {result.way}, were only "
                "enlarged: memory did not suffice, or the network gave NaN or infinity"
            )


def _run(setup: Setup, jobs: Sequence[Job], workers: int, ray: str | None) -> Iterator[ClipResult]:
    if not jobs:
        return iter(())
    if ray is not None:
        return run_on_ray(setup, jobs, ray)
    if workers > 1:
        return run_in_processes(setup, jobs, min(workers, len(jobs)))
    return run_here(setup, jobs)


def _key(job: Job) -> tuple[str, str]:
    return job.clip.name, job.way.name


def _kept(
    jobs: Sequence[Job], store: ResultStore | None, prints: dict[tuple[str, str], str]
) -> dict[tuple[str, str], ClipResult]:
    """Results kept by an earlier run."""
    kept = {}
    for job in jobs if store is not None else ():
        result = store.load(*_key(job), prints[_key(job)]) if store else None
        if result is not None and (result.pictures or not job.pictures):
            kept[_key(job)] = result
    return kept


def _precision(setup: Setup, network: Network[Any]) -> str:
    """Precision of the convolutions; networks without weights have a type of their own."""
    asked = resolve_precision(
        setup.precision, resolve_device(setup.device), close_in_int8=network.is_close_in_int8
    )
    has_weights = next(network.parameters(), None) is not None
    return str(asked if has_weights else network.dtype).removeprefix("torch.")


def _fingerprints(
    jobs: Sequence[Job],
    setup: Setup,
    facts: NetworkFacts,
    precision: str,
    weights: Sequence[Path],
) -> dict[tuple[str, str], str]:
    """Fingerprint of a kept result: settings, weights, program, and the clip's files."""
    common = [
        RESULT_FORMAT,
        version("vsr-stream"),
        asdict(setup) | {"precision": precision},
        asdict(facts),
        [sha256_of(path) for path in weights],
    ]
    return {_key(job): _digest([*common, *_facts_of(job)]) for job in jobs}


def _facts_of(job: Job) -> list[object]:
    clip = job.clip
    files = dict.fromkeys((*clip.low.files, *clip.truth.files))
    states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    names = [*clip.low.names, *clip.truth.names]
    return [asdict(job.way), clip.make, clip.scored, clip.mirrored, names, states]


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _settings(
    setup: Setup, ways: Sequence[InferenceMode], facts: NetworkFacts
) -> dict[str, object]:
    """All settings, with the network's defaults filled in."""
    streamed = next((way for way in ways if not way.whole), ways[0])
    chosen = {"chunk": streamed.chunk, "look_ahead": streamed.look_ahead}
    usual = {"chunk": facts.chunk, "look_ahead": facts.look_ahead}
    own = {key: usual[key] if value is None else value for key, value in chosen.items()}
    return asdict(setup) | own | {"ensemble": list(ways[0].ensemble), "scale": facts.scale}
