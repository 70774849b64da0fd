"""A worker: a network that stays loaded, and the shards that it restores."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from vsr.cluster.fingerprint import take_fingerprint
from vsr.cluster.shard_reader import ShardReader, SourceDiffers
from vsr.cluster.shard_writer import ShardRecorder, ShardWriter, measure
from vsr.cluster.shards import Shard
from vsr.cluster.tasks import (
    COUNTS,
    Film,
    FilmTask,
    NotVisible,
    SettingsTask,
    ShardResult,
    ShardTask,
    Storage,
    WorkerFacts,
    WorkerSetup,
    token_of,
)
from vsr.cluster.transfer import COPIED_BYTES, open_shared
from vsr.engine.memory import budget_bytes, peak_device_bytes, peak_host_bytes
from vsr.engine.memory_plan import make_plan
from vsr.engine.settings import FULL, Settings
from vsr.engine.stream_checkpoint import identity
from vsr.errors import EncodeError, OpenError, VSRError
from vsr.files import sha256_of
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.offline.comparison_video import InputRecorder, compare_into
from vsr.offline.job import restore
from vsr.offline.model_choice import load_chosen, networks_for
from vsr.offline.output_size import fit_writer
from vsr.offline.pipeline import run
from vsr.restorer import Restorer
from vsr.results import Progress, Summary
from vsr.resume.compatibility import fingerprint
from vsr.resume.journal import FinishedShard, KeptSegment
from vsr.scenes.markers import ListedScenes
from vsr.streams import open_reader
from vsr.streams.names.image_sequence import names_images
from vsr.types import Passed, Reader


class Stopped(VSRError):
    """A shard that was not restored to its end."""


class ShardWorker:
    """Restores shards of any film with one network.

    Args:
        setup: Setup that all workers of the run share.
        fetch: Gets an object of Ray's object store by its reference.

    Attributes:
        seen: Frames read and restored so far, which grows while the worker makes progress.
        restored: Frames restored so far.
        stop: Set it to end a shard early.
    """

    def __init__(self, setup: WorkerSetup, fetch: Callable[[Any], bytes] | None = None) -> None:
        self._setup, self._options, self._fetch = setup, setup.options, fetch
        self._use_threads()
        options = self._options
        loaded = load_chosen(options)
        self._network, self._device = place(
            loaded, device=options.device, precision=options.precision
        )
        self._placed = {str(self._network.dtype).removeprefix("torch."): self._network}
        self._copies: dict[str, str] = {}
        self._folder: TemporaryDirectory[str] | None = None
        self.seen = self.restored = 0
        self.stop = threading.Event()

    def __call__(self, task: Any) -> Any:
        """Do a task of ``vsr.cluster.tasks``."""
        self._use_threads()
        if isinstance(task, ShardTask):
            return self.restore_shard(task)
        if isinstance(task, FilmTask):
            return self.restore_film(task)
        assert isinstance(task, SettingsTask)
        return self.plan(task)

    def close(self) -> None:
        """End the shard that is restored now, and remove copies of films."""
        self.stop.set()
        if self._folder is not None:
            self._folder.cleanup()

    def facts(self) -> WorkerFacts:
        """Facts about this worker for the driver."""
        options = self._options
        host = socket.gethostname()
        return WorkerFacts(
            name=f"{host}:{os.getpid()}",
            host=host,
            fingerprint=take_fingerprint(
                self._network,
                self._device,
                suffix=self._setup.suffix,
                encoder=options.encoder,
                encode_args=options.encode_args,
            ),
            network=identity(self._network),
            budget_bytes=budget_bytes(options.memory, self._device),
            device=str(self._device),
        )

    def plan(self, task: SettingsTask) -> Settings:
        """Step sizes of a film within the least memory of all workers."""
        info = task.info
        return make_plan(
            self._network,
            self._device,
            info.height,
            info.width,
            budget_bytes=task.budget_bytes,
            asked=self._options.asked,
            num_frames=info.num_frames,
            exact=False,
        ).settings

    def restore_film(self, task: FilmTask) -> Summary:
        """Restore a whole film, or until ``stop`` is set.

        Raises:
            NotVisible: This machine does not see it.
        """
        if fingerprint(task.source) != task.source_print:
            raise NotVisible(f"{task.source!r} is not on {socket.gethostname()}")
        return restore(
            task.source, task.target, task.options, on_progress=self._count(), stop=self.stop
        )

    def restore_shard(self, task: ShardTask) -> ShardResult:
        """Restore a shard into segments.

        Raises:
            VSRError: The source, the network or the encoder failed; nothing is left of it.
        """
        started = time.perf_counter()
        source = self._find_source(task.film.storage)
        with self._open_folder(task.film.storage) as (folder, is_shared):
            try:
                result = self._restore(task, source, folder, seek=not names_images(source))
            except SourceDiffers as error:
                result = self._restore(task, source, folder, seek=False)
                result = replace(result, notes=(*result.notes, f"read from its beginning: {error}"))
            result = replace(
                result,
                seconds=time.perf_counter() - started,
                worker=f"{socket.gethostname()}:{os.getpid()}",
                peak_memory_bytes=peak_host_bytes(),
                peak_device_bytes=peak_device_bytes(self._device),
            )
            if is_shared:
                return result
            return self._send(result, folder, task.film.storage)

    def _restore(self, task: ShardTask, source: str, folder: Path, *, seek: bool) -> ShardResult:
        film, shard = task.film, task.shard
        with self._open(source, task, seek=seek) as reader:
            restorer = self._make_restorer(film)
            inputs = InputRecorder(reader)
            writer = ShardWriter(film.plan, folder, film.encoded)
            compared = compare_into(writer, inputs, film.options.compare)
            try:
                summary = run(
                    reader if film.options.compare is None else inputs,
                    restorer,
                    fit_writer(compared, film.output),
                    scenes=ListedScenes(numbers=frozenset(shard.starts), times=()),
                    points=ShardRecorder(restorer, every=film.options.segment, cut=writer.cut),
                    on_progress=self._count(),
                    stop=self.stop,
                )
                if summary.interrupted:
                    raise Stopped("the run was stopped")
                if reader.digest != shard.digest and seek:
                    raise SourceDiffers("its pictures differ from those of the first pass")
                _check(task, writer.paths, summary)
            except BaseException:
                writer.abort()
                raise
            done = _finished(shard, writer, summary)
            other = "pictures decode otherwise each time"
            notes = () if reader.digest == shard.digest else (other,)
            return ShardResult(done=done, corrupt=summary.corrupt, notes=notes, seconds=0)

    def _open(self, source: str, task: ShardTask, *, seek: bool) -> ShardReader:
        """Open the film at the key frame before a shard, or at its beginning."""
        film, shard, options = task.film, task.shard, task.film.options
        images = names_images(source)
        start_s = (shard.first_pts - film.start_pts) * film.time_base if seek else options.start_s
        reader: Reader = open_reader(
            source,
            start_s=start_s,
            end_s=options.end_s,
            frame_rate=options.frame_rate,
            headroom=True,
            hwaccel=options.hwaccel,
            keep_start=options.keep_start,
            deinterlace=options.deinterlace,
            passed=Passed(frames=shard.first if images else 0),
        )
        skipped = 0 if seek or images else shard.first
        return ShardReader(reader, shard, skipped=skipped, on_frames=self._note_read)

    def _make_restorer(self, film: Film) -> Restorer:
        settings, models = film.settings, film.options.scene_models
        return Restorer(
            self._network_of(film),
            chunk=settings.chunk,
            look_ahead=FULL if settings.look_ahead is None else settings.look_ahead,
            tiles=settings.tiles,
            device=str(self._device),
            precision=film.network["precision"],
            changes=networks_for(models, film.options)[1] if models else (),
        )

    def _network_of(self, film: Film) -> Network[Any]:
        """The network in the film's precision.

        Raises:
            OpenError: It is another one.
        """
        precision = film.network["precision"]
        if precision not in self._placed:
            options = self._options
            loaded = load_chosen(options)
            self._placed[precision], _ = place(
                loaded, device=str(self._device), precision=precision
            )
        network = self._placed[precision]
        if identity(network) != film.network:
            raise OpenError(
                f"the weights on {socket.gethostname()} are not those that the run began with; "
                "give all machines the same files"
            )
        return network

    def _find_source(self, storage: Storage) -> str:
        """The film on this machine, brought here where it is not."""
        if not storage.source_print or _is_same(storage.source, storage.source_print):
            return storage.source
        if storage.source not in self._copies:
            if self._folder is None:
                self._folder = TemporaryDirectory(prefix="vsr-worker-", ignore_cleanup_errors=True)
            target = Path(self._folder.name) / f"{len(self._copies)}-{Path(storage.source).name}"
            self._bring(storage, target)
            self._copies[storage.source] = str(target)
        return self._copies[storage.source]

    def _bring(self, storage: Storage, target: Path) -> None:
        if storage.copy is not None:
            with open_shared(storage.copy, "rb") as remote, target.open("wb") as file:
                shutil.copyfileobj(remote, file, COPIED_BYTES)
        elif storage.pieces and self._fetch is not None:
            with target.open("wb") as file:
                for piece in storage.pieces:
                    file.write(self._fetch(piece))
                    self.seen += 1
        else:
            raise NotVisible(
                f"{storage.source!r} is not on {socket.gethostname()}, or has changed since the run"
                " began; put it where all machines see it under the same name, or give --storage"
            )

    @contextmanager
    def _open_folder(self, storage: Storage) -> Iterator[tuple[Path, bool]]:
        """The folder for segments: the journal's if it is seen here, otherwise one on this disk."""
        if token_of(Path(storage.folder)) == storage.token:
            yield Path(storage.folder), True
            return
        with TemporaryDirectory(prefix="vsr-shard-") as folder:
            yield Path(folder), False

    def _send(self, result: ShardResult, folder: Path, storage: Storage) -> ShardResult:
        """Add the segments to a result, or their addresses in the shared storage."""
        paths = [folder / segment.name for segment in result.done.segments]
        if storage.address is None:
            return replace(result, contents=tuple(path.read_bytes() for path in paths))
        addresses = tuple(f"{storage.address.rstrip('/')}/{path.name}" for path in paths)
        for path, address in zip(paths, addresses, strict=True):
            with path.open("rb") as file, open_shared(address, "wb") as remote:
                shutil.copyfileobj(file, remote, COPIED_BYTES)
        return replace(result, addresses=addresses)

    def _use_threads(self) -> None:
        if self._setup.threads is not None:
            torch.set_num_threads(self._setup.threads)

    def _note_read(self, frames: int) -> None:
        self.seen += frames

    def _count(self) -> Callable[[Progress], None]:
        """A progress callback that adds to the frames restored so far."""
        before = 0

        def count(progress: Progress) -> None:
            nonlocal before
            self.restored += progress.frames - before
            self.seen += progress.frames - before
            before = progress.frames

        return count


def _finished(shard: Shard, writer: ShardWriter, summary: Summary) -> FinishedShard:
    return FinishedShard(
        shard=shard.number,
        frames=shard.frames,
        first_pts=shard.first_pts,
        last_pts=shard.last_pts,
        segments=tuple(_kept(path) for path in writer.paths),
        counts={name: getattr(summary, name) for name in COUNTS},
    )


def _check(task: ShardTask, paths: list[Path], summary: Summary) -> None:
    """Check what segments hold against the plan.

    Raises:
        EncodeError: A frame is missing, or at another time.
    """
    film, shard = task.film, task.shard
    found, layout = measure(paths), film.plan.layout
    late = layout.shift_s + layout.lead_s
    wanted = [pts * film.time_base + late for pts in (shard.first_pts, shard.last_pts)]
    near = max(film.time_base, layout.time_base)
    off = any(
        abs(time - other) > near
        for time, other in zip((found.first_s, found.last_s), wanted, strict=True)
    )
    if found.frames != shard.frames or summary.frames_out != shard.frames or off:
        raise EncodeError(
            f"{task.where()} was encoded into {found.frames} frames from "
            f"{float(found.first_s - late):.3f} s to {float(found.last_s - late):.3f} s"
        )


def _kept(path: Path) -> KeptSegment:
    return KeptSegment(name=path.name, size=path.stat().st_size, sha256=sha256_of(path))


def _is_same(source: str, before: dict[str, Any]) -> bool:
    try:
        return fingerprint(source) == before
    except OSError:
        return False
