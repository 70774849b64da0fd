"""One film on several workers: planned once, restored in shards, joined once."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vsr.cluster import tasks
from vsr.cluster.pool import TRIES, Pool
from vsr.cluster.scan import SoundFile, scan
from vsr.cluster.shards import Scene, Shard, divide, efficiency, longest_first
from vsr.cluster.tasks import (
    COUNTS,
    NotVisible,
    SettingsTask,
    ShardResult,
    ShardTask,
    WorkerFacts,
)
from vsr.cluster.transfer import (
    Unlike,
    check_storage,
    collect,
    describe_storage,
    remove_copy,
    with_pieces,
)
from vsr.engine.settings import Settings
from vsr.errors import VSRError
from vsr.models.network import NetworkFacts
from vsr.offline.comparison_video import comparison_size
from vsr.offline.model_choice import header_models, load_chosen, named
from vsr.offline.options import RestoreOptions, SceneModel
from vsr.offline.output_size import choose_size
from vsr.results import DEFAULT_DOING, Progress, Summary
from vsr.resume.compatibility import find_journal, header_of
from vsr.resume.journal import SHARDS, SOUND, Journal, journal_folder, remove_named
from vsr.resume.session import finish_sealed
from vsr.scenes import AUTO, OFF
from vsr.scenes.markers import EveryFrames, SceneMarker, scene_marker
from vsr.streams import open_reader
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.segments.plan import NotSegmentable, without_sound
from vsr.streams.encode.segments.target import SegmentedTarget
from vsr.streams.names.target_lock import lock_target
from vsr.types import Reader, StreamInfo

log = logging.getLogger(__name__)

REPORT_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film to restore.

    Attributes:
        source: A file or images.
        target: A file.
        options: Options of the run.
        pool: The workers.
    """

    source: str
    target: str
    options: RestoreOptions
    pool: Pool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Decisions that hold for all workers.

    Attributes:
        shards: In order.
        settings: Step sizes.
        network: Identity of the network, see ``identity``.
    """

    shards: tuple[Shard, ...]
    settings: Settings
    network: dict[str, str]


def restore_film(
    film: Film, *, on_progress: Callable[[Progress], None], stop: threading.Event
) -> Summary:
    """Restore a film; a run that was begun in shards is resumed.

    Raises:
        NotSegmentable: It is not divided: it is short, or cannot be encoded in segments.
        VSRError: See ``restore``; finished shards are kept.
    """
    options = film.options
    if options.storage is not None:
        check_storage(options.storage)
    facts = load_chosen(options).facts
    if options.scenes == AUTO and facts.stateless:
        film = replace(film, options=replace(options, scenes=OFF))
        options = film.options
    with lock_target(film.target):
        journal = find_journal(
            film.source,
            film.target,
            options.recorded(),
            resume=options.resume,
            overwrite=options.overwrite,
        )
        if journal is not None and (summary := finish_sealed(journal, film.source, film.target)):
            return summary
        with _kept(journal, film.target) as kept, _open(film) as reader:
            _require_length(film, reader.info)
            return _FilmRun(film, facts, reader, kept, on_progress, stop).run()


class _FilmRun:
    """A run of one film."""

    def __init__(
        self,
        film: Film,
        facts: NetworkFacts,
        reader: Reader,
        kept: _Kept,
        on_progress: Callable[[Progress], None],
        stop: threading.Event,
    ) -> None:
        self.film, self.facts, self.reader, self.kept = film, facts, reader, kept
        self.on_progress, self.stop = on_progress, stop
        self.started = time.perf_counter()
        self.results: list[ShardResult] = []
        self.resumed = 0

    def run(self) -> Summary:
        """Plan, restore, join."""
        film, info = self.film, self.reader.info
        self.output = choose_size(info, self.facts.scale, film.options.output_size)
        target = self._open_target()
        try:
            for note in (*self.reader.notes, *target.plan.notes):
                log.warning("%s", note)
            plan = self._plan(target)
            if plan is None:
                return self._summary("", interrupted=True)
            done = self._restore_shards(target, plan)
            if not done:
                return self._summary("", interrupted=True)
            return self._summary(self._join(target, plan))
        finally:
            target.remove()

    @property
    def _models(self) -> tuple[SceneModel, ...]:
        options = self.film.options
        return options.scene_models or (SceneModel(start_s=0.0, model=options.model),)

    @property
    def journal(self) -> Journal:
        assert self.kept.journal is not None
        return self.kept.journal

    def _open_target(self) -> SegmentedTarget:
        options, info = self.film.options, self.reader.info
        height, width = comparison_size(options.compare, self.output.height, self.output.width)
        self.encoded = height, width
        request = EncodeRequest(
            target=self.film.target,
            info=replace(info, sample_aspect_ratio=self.output.sample_aspect_ratio),
            height=height,
            width=width,
            encoder=options.encoder,
            encode_args=options.encode_args,
            source=self.film.source,
            start_s=options.start_s,
            end_s=options.end_s,
            overwrite=options.overwrite,
        )
        return SegmentedTarget(request)

    def _plan(self, target: SegmentedTarget) -> Plan | None:
        """The plan of the journal, or a new one that is written there; None if stopped."""
        if self.kept.journal is not None:
            return self._planned(self.kept.journal)
        folder = journal_folder(self.film.target)
        assert folder is not None
        options, info = self.film.options, self.reader.info
        marker = scene_marker(options.scenes, info)
        settings: Settings | None = None
        if options.scenes == OFF and self.facts.stateless:
            settings = self._settings(self.film.pool.choose(None))
            marker = EveryFrames(_step_frames(settings, options.segment))
        scenes = self._scan(folder, marker, target)
        if scenes is None:
            return None
        workers = self.film.pool.choose(None)
        settings = settings or self._settings(workers)
        shards = divide(scenes, settings, segment=options.segment, workers=len(workers))
        network = workers[0].network
        header = header_of(
            self.film.source,
            options.recorded(),
            settings,
            network,
        )
        plan = {SHARDS: [shard.as_json() for shard in shards]}
        self.kept.journal = Journal.create(
            folder,
            header | header_models(self._models) | {"fingerprint": workers[0].fingerprint} | plan,
        )
        _say(scenes, shards, workers)
        return Plan(shards=tuple(shards), settings=settings, network=network)

    def _planned(self, journal: Journal) -> Plan:
        """The plan of an earlier run, whose workers were of one numeric kind."""
        header = journal.header
        workers = self.film.pool.choose(header["fingerprint"])
        shards = tuple(Shard.from_json(facts) for facts in header[SHARDS])
        log.warning(
            "resuming: %d of %d shards are done, %d workers",
            len(journal.shards),
            len(shards),
            len(workers),
        )
        saved = header["settings"]
        settings = Settings(**{**saved, "tiles": tuple(saved["tiles"])})
        return Plan(shards=shards, settings=settings, network=header["network"])

    def _scan(
        self, folder: Path, marker: SceneMarker, target: SegmentedTarget
    ) -> list[Scene] | None:
        folder.mkdir(exist_ok=True)
        plan = target.plan
        sound = SoundFile(folder / SOUND, plan.layout) if plan.output.carried else None
        return scan(
            self.reader,
            marker,
            sound=sound,
            on_frames=lambda frames: self._report(frames, "finding scenes"),
            stop=self.stop,
        )

    def _settings(self, workers: list[WorkerFacts]) -> Settings:
        """Step sizes that fit everywhere: workers of one machine share its memory equally."""
        hosts = [(facts.host, facts.device) for facts in workers]
        least = min(f.budget_bytes // hosts.count((f.host, f.device)) for f in workers)
        task = SettingsTask(info=_plain(self.reader.info), budget_bytes=least)
        settings: Settings = self.film.pool.submit(task).result()
        return settings

    def _restore_shards(self, target: SegmentedTarget, plan: Plan) -> bool:
        """Restore the missing shards; False if stopped.

        Raises:
            VSRError: Shards that failed on three workers, once all others are done.
        """
        missing = [shard for shard in plan.shards if shard.number not in self.journal.shards]
        self.resumed = self.journal.num_done
        self.total = sum(shard.frames for shard in plan.shards)
        if not missing:
            return True
        self.description = self._describe(target, plan)
        self.waiting: dict[Future[Any], Shard] = {}
        self.tries: Counter[int] = Counter()
        failures: list[VSRError] = []
        try:
            for shard in longest_first(missing):
                self._submit(shard, len(plan.shards))
            while self.waiting and not self.stop.is_set():
                self._wait(len(plan.shards), failures)
        finally:
            for future in self.waiting:
                future.cancel()
        if failures:
            raise failures[0]
        remove_copy(self.description.storage)
        return not self.waiting

    def _submit(self, shard: Shard, of: int) -> None:
        task = ShardTask(film=self.description, shard=shard, of=of)
        self.waiting[self.film.pool.submit(task, size=shard.frames)] = shard

    def _wait(self, of: int, failures: list[VSRError]) -> None:
        """Take the results that have arrived, and report the progress."""
        for future in wait(self.waiting, REPORT_S, FIRST_COMPLETED).done:
            shard = self.waiting.pop(future)
            try:
                self._take(future.result(), shard)
            except NotVisible as error:
                if not self.film.pool.is_remote:
                    failures.append(error)  # nothing can be sent: it has changed here
                    continue
                self._send_source()
                self._submit(shard, of)
            except Unlike as error:
                self.tries[shard.number] += 1
                if self.tries[shard.number] == TRIES:
                    failures.append(error)
                    continue
                log.warning("%s; tried again", error)
                self._submit(shard, of)
            except VSRError as error:
                if str(error) not in map(str, failures):  # a lost cluster is lost for all shards
                    log.warning("%s", error)
                failures.append(error)
        partly = sum(self.film.pool.restored(future) for future in self.waiting)
        self._report(self.journal.num_done + partly, DEFAULT_DOING)

    def _take(self, result: ShardResult, shard: Shard) -> None:
        """Check a result and record it in the journal."""
        self.journal.append_shard(collect(result, shard, self.journal.folder))
        self.results.append(replace(result, contents=()))
        for note in result.notes:
            log.warning("shard %d: %s", shard.number + 1, note)

    def _send_source(self) -> None:
        """Put the film into the cluster's object store, for workers that do not see it."""
        storage = self.description.storage
        if not storage.pieces:
            log.warning("not all workers see '%s': it is sent to them", storage.source)
            storage = with_pieces(storage, self.film.pool)
            self.description = replace(self.description, storage=storage)

    def _describe(self, target: SegmentedTarget, plan: Plan) -> tasks.Film:
        info = self.reader.info
        return tasks.Film(
            storage=describe_storage(self.film.source, self.journal, self.film.options.storage),
            options=self.film.options,
            settings=plan.settings,
            network=plan.network,
            plan=without_sound(target.plan),
            encoded=self.encoded,
            output=self.output,
            time_base=info.time_base,
            start_pts=info.start_pts,
        )

    def _join(self, target: SegmentedTarget, plan: Plan) -> str:
        """Join all segments in the order of the film, with the sound."""
        journal = self.journal
        parts = [journal.shards[shard.number] for shard in plan.shards]
        segments = [journal.path(segment.name) for part in parts for segment in part.segments]
        sound = journal.path(SOUND)
        return target.join(
            segments,
            seal=lambda: journal.seal(self.total),
            sound=sound if target.plan.output.carried else None,
        )

    def _report(self, frames: int, doing: str) -> None:
        self.on_progress(
            Progress(
                frames=frames,
                total=self.reader.info.num_frames,
                seconds=time.perf_counter() - self.started,
                resumed=self.resumed if doing == DEFAULT_DOING else 0,
                workers=self.film.pool.rates() if doing == DEFAULT_DOING else {},
                doing=doing,
            )
        )

    def _summary(self, output: str, *, interrupted: bool = False) -> Summary:
        seconds = time.perf_counter() - self.started
        shards = [] if self.kept.journal is None else self.kept.journal.shards.values()
        frames = sum(shard.frames for shard in shards)
        devices = [r.peak_device_bytes for r in self.results if r.peak_device_bytes is not None]
        counts: dict[str, Any] = {
            name: sum(shard.counts.get(name, 0) for shard in shards) for name in COUNTS
        }
        return Summary(
            output=output,
            frames_in=frames,
            frames_out=frames,
            corrupt=sum(result.corrupt for result in self.results),
            size_changes=self.reader.size_changes,
            settings="" if self.kept.journal is None else _settings_text(self.kept.journal),
            seconds=round(seconds, 3),
            fps=round((frames - self.resumed) / seconds, 2),
            resumed=self.resumed,
            peak_memory_bytes=max((r.peak_memory_bytes for r in self.results), default=0),
            peak_device_bytes=max(devices, default=None),
            interrupted=interrupted,
            workers={name: round(rate, 2) for name, rate in self.film.pool.rates().items()},
            model=named(self._models),
            **counts,
        )


@dataclass(kw_only=True, eq=False)
class _Kept:
    """The journal of a run, once it has one."""

    journal: Journal | None


@contextmanager
def _kept(journal: Journal | None, target: str) -> Iterator[_Kept]:
    """Remove the journal of a complete output; keep it otherwise."""
    kept = _Kept(journal=journal)
    try:
        yield kept
    except BaseException:
        _close(kept.journal, target)
        raise
    if kept.journal is not None and kept.journal.sealed is not None:
        kept.journal.remove()
    else:
        _close(kept.journal, target)


def _close(journal: Journal | None, target: str) -> None:
    if journal is None:
        folder = journal_folder(target)
        assert folder is not None
        remove_named(folder)
        return
    log.warning(
        "%d frames are kept in '%s': --resume continues there, on a cluster or alone",
        journal.num_done,
        journal.folder,
    )
    journal.close()


def _open(film: Film) -> Reader:
    options = film.options
    return open_reader(
        film.source,
        start_s=options.start_s,
        end_s=options.end_s,
        frame_rate=options.frame_rate,
        headroom=True,
        hwaccel=options.hwaccel,
        keep_start=options.keep_start,
        deinterlace=options.deinterlace,
    )


def _require_length(film: Film, info: StreamInfo) -> None:
    """Raise ``NotSegmentable`` for a film that is too short to divide."""
    if info.num_frames is not None and info.num_frames <= film.options.segment:
        raise NotSegmentable(f"it has no more than {film.options.segment} frames")


def _step_frames(settings: Settings, segment: int) -> int:
    """Frames of a segment of whole steps."""
    return max(settings.chunk, segment // settings.chunk * settings.chunk)


def _plain(info: StreamInfo) -> StreamInfo:
    """A description that can be pickled."""
    return replace(info, others=tuple(replace(other, template=None) for other in info.others))


def _settings_text(journal: Journal) -> str:
    saved = journal.header["settings"]
    return str(Settings(**{**saved, "tiles": tuple(saved["tiles"])}))


def _say(scenes: list[Scene], shards: list[Shard], workers: list[WorkerFacts]) -> None:
    """Log the expected speed of the workers; scenes are never divided."""
    durations = [float(shard.frames) for shard in longest_first(shards)]
    share = efficiency(durations, [1.0] * len(workers))
    log.warning(
        "%d scenes in %d shards on %d workers: about %.0f %% of their time can be used%s",
        len(scenes),
        len(shards),
        len(workers),
        100 * share,
        "; the longest scene ends last" if share < 0.8 and len(shards) > 1 else "",
    )
