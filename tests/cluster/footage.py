"""A film of short scenes, what restores it, and what one machine makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.resume.killing import Result, look, write_footage, write_weights
from vsr.cluster import restore as shared
from vsr.cluster.pool import Alone
from vsr.offline import job
from vsr.offline.options import RestoreOptions

NUM_FRAMES = 40


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A film.

    Attributes:
        source: The film.
        whole: What one machine makes of it.
        options: Options of its restoration.
    """

    source: Path
    whole: Path
    options: RestoreOptions

    @property
    def content(self) -> bytes:
        return self.whole.read_bytes()

    def seen(self) -> Result:
        return look(self.whole)


def make_footage(folder: Path) -> Footage:
    """Write a film, and restore it by one machine."""
    source = write_footage(folder / "in.mp4", NUM_FRAMES)
    options = RestoreOptions(
        model=str(write_weights(folder / "small.safetensors")),
        chunk=5,
        look_ahead=2,
        segment=10,
        scenes="every 10",
        device="cpu",
    )
    whole = folder / "whole.mp4"
    job.restore(str(source), str(whole), options)
    return Footage(source=source, whole=whole, options=options)


@contextmanager
def one_worker(options: RestoreOptions, target: Path) -> Iterator[Alone]:
    """A pool of one worker, in this process."""
    make = partial(shared._make_worker, shared.setup_of(options, str(target)), 0, None)
    with Alone(make, mixed=options.mixed_machines) as pool:
        yield pool
