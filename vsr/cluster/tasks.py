"""Messages between the driver and its workers, without frames."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr.cluster.fingerprint import Fingerprint
from vsr.cluster.shards import Shard
from vsr.engine.settings import Settings
from vsr.errors import VSRError
from vsr.offline.options import RestoreOptions
from vsr.offline.output_size import OutputSize
from vsr.resume.journal import NAME, FinishedShard
from vsr.streams.encode.plan import EncodingPlan
from vsr.types import StreamInfo

COUNTS = ("scenes", "passed_through", "resets", "retries", "blank", "guarded")
"""Counts of a summary that add up over shards."""


class NotVisible(VSRError):
    """A worker does not see a film or its target's folder."""


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """Setup shared by all workers of a run.

    Attributes:
        options: Options of the run.
        suffix: Suffix of an output, which the fingerprint encodes.
        threads: Cores of a worker; None for as many as torch takes.
        devices: A device of each worker; empty for the options' one.
    """

    options: RestoreOptions
    suffix: str = ".mkv"
    threads: int | None = None
    devices: tuple[str, ...] = ()

    def of_worker(self, number: int) -> WorkerSetup:
        """The setup of one worker, on its own device."""
        if not self.devices:
            return self
        device = self.devices[number % len(self.devices)]
        return replace(self, options=replace(self.options, device=device))


@dataclass(frozen=True, kw_only=True)
class WorkerFacts:
    """Facts that a worker reports about itself.

    Attributes:
        name: Host and process.
        host: Host alone.
        fingerprint: Fingerprint of the worker's arithmetic.
        network: Identity of the network, see ``identity``.
        budget_bytes: Memory that a run may take there.
        device: Device of its network.
    """

    name: str
    host: str
    fingerprint: Fingerprint
    network: dict[str, str]
    budget_bytes: int
    device: str


@dataclass(frozen=True, kw_only=True)
class SettingsTask:
    """Plan the step sizes of a film.

    Attributes:
        info: Description of the film.
        budget_bytes: The least memory of all workers.
    """

    info: StreamInfo
    budget_bytes: int

    @property
    def title(self) -> str:
        return "plan"


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Where a film and its segments are.

    Attributes:
        source: See ``restore``.
        source_print: Fingerprint of the source, see ``compatibility.fingerprint``; empty for an
            address.
        folder: Folder of the journal.
        token: Digest of the journal's header, by which a worker knows that it sees the folder.
        address: fsspec address of a folder that all machines reach; None without one.
        copy: The source below that address.
        pieces: References to the source's bytes in Ray's object store.
    """

    source: str
    source_print: dict[str, Any]
    folder: str
    token: str
    address: str | None = None
    copy: str | None = None
    pieces: Sequence[Any] = ()


@dataclass(frozen=True, kw_only=True)
class Film:
    """Settings shared by the shards of one film.

    Attributes:
        storage: Location of the film and its segments.
        options: Options of the run.
        settings: Step sizes.
        network: Identity of the network, see ``identity``.
        plan: How frames become segments, without sound.
        encoded: Rows and columns of the frames that are encoded.
        output: The output's size.
        time_base: Time base of the frames.
        start_pts: Pts of the source's first frame.
    """

    storage: Storage
    options: RestoreOptions
    settings: Settings
    network: dict[str, str]
    plan: EncodingPlan
    encoded: tuple[int, int]
    output: OutputSize
    time_base: Fraction
    start_pts: int


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """Restore a shard."""

    film: Film
    shard: Shard
    of: int

    @property
    def title(self) -> str:
        name = Path(self.film.storage.source).name
        return f"{name}: shard {self.shard.number + 1} of {self.of}"

    def where(self) -> str:
        """Frames and times of the shard in the film, for messages."""
        film, shard = self.film, self.shard
        first, last = (
            float((pts - film.start_pts) * film.time_base)
            for pts in (shard.first_pts, shard.last_pts)
        )
        frames = f"frames {shard.first} to {shard.first + shard.frames - 1}"
        return f"{self.title} ({frames}, {first:.2f} s to {last:.2f} s)"


@dataclass(frozen=True, kw_only=True)
class FilmTask:
    """Restore a film as a whole: one that is too short for shards."""

    source: str
    target: str
    source_print: dict[str, Any]
    options: RestoreOptions

    @property
    def title(self) -> str:
        return Path(self.source).name


@dataclass(frozen=True, kw_only=True)
class ShardResult:
    """A restored shard.

    Attributes:
        done: For the journal; its segments are in the journal's folder, or in ``contents``.
        contents: Bytes of the segments, where the worker does not see the folder.
        addresses: fsspec addresses of the segments, where the worker does not see the folder.
        corrupt: Damaged frames of the source.
        notes: Differences from what was asked for or is usual, a sentence each.
        seconds: Duration of the restoration.
        worker: Name of the worker.
        peak_memory_bytes: Peak memory of the worker's process.
        peak_device_bytes: Peak memory of the worker's CUDA device.
    """

    done: FinishedShard
    contents: tuple[bytes, ...] = ()
    addresses: tuple[str, ...] = ()
    corrupt: int = 0
    notes: tuple[str, ...] = ()
    seconds: float
    worker: str = ""
    peak_memory_bytes: int = 0
    peak_device_bytes: int | None = None


def token_of(folder: Path) -> str:
    """Digest of the header of the journal in a folder; empty without one."""
    try:
        with (folder / NAME).open("rb") as file:
            return hashlib.sha256(file.readline()).hexdigest()
    except OSError:
        return ""
