"""One stream through one network: frames in, restored frames out, state kept in between.

    frames   0 1 2 3 4 5 6 7 8 9 10 11 ...
    step 1   [------ keep ------][ look-ahead ]          state: features at 7, flows of 8 to 11
    step 2                    8  [------ keep ------][ look-ahead ]

The forward branch continues from the state. The backward branch starts at the end of the window:
it misses only the frames after the look-ahead. Nothing crosses the start of a scene.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vsr.engine.networks_in_time import NetworkChange, NetworksInTime
from vsr.engine.settings import FULL, Settings, settings_for
from vsr.engine.step import restore_ready
from vsr.engine.stream import Counts, Stream
from vsr.engine.stream_checkpoint import load_stream, save_stream
from vsr.engine.window import Step
from vsr.models.network import Network
from vsr.models.placement import place, precision_among_others
from vsr.types import Chunk

__all__ = ["FULL", "Restorer"]


class Restorer:
    """Restores one stream. Not thread-safe; any number of restorers may share one network.

    Args:
        network: Any network; it is copied only if it has to change its device or precision.
        chunk: Frames restored per step; None for the network's default.
        look_ahead: Future frames that a step sees, ``"full"`` for all up to the end of
            the scene; None for the network's default. Latency is chunk + look-ahead frames.
        tiles: Rows and columns of tiles for frames that do not fit into memory at once.
        device: ``"auto"`` (CUDA where there is one), or a torch device.
        precision: ``"auto"``, ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"int8"``.
        changes: Networks of the same scale that restore later scenes in place of the first; of all
            of them, one without an int8 form has the device's own precision where ``precision``
            is int8.

    Raises:
        ConfigurationError: A chunk under 1, a negative look-ahead, an unknown device or precision,
            or a network of another scale among the changes.
    """

    def __init__(
        self,
        network: Network[Any],
        *,
        chunk: int | None = None,
        look_ahead: int | str | None = None,
        tiles: tuple[int, int] = (1, 1),
        device: str = "auto",
        precision: str = "auto",
        changes: Sequence[NetworkChange] = (),
    ) -> None:
        settings = settings_for(network.facts, chunk=chunk, look_ahead=look_ahead, tiles=tiles)
        wanted = precision_among_others(network, precision) if changes else precision
        self.network, self.device = place(network, device=device, precision=wanted)
        placed = {id(network): self.network}
        for change in changes:
            if id(change.network) not in placed:
                wanted = precision_among_others(change.network, precision)
                there, _ = place(change.network, device=device, precision=wanted)
                placed[id(change.network)] = there
        here = [replace(change, network=placed[id(change.network)]) for change in changes]
        self._networks = NetworksInTime(self.network, here)
        self._stream = Stream(self._networks.facts, settings, self.device)

    @property
    def settings(self) -> Settings:
        """Sizes of the next step; smaller than asked for once memory has run out."""
        return self._stream.settings

    @property
    def changes(self) -> tuple[NetworkChange, ...]:
        """The networks of later scenes, placed."""
        return self._networks.changes

    @property
    def chunk(self) -> int:
        """Frames restored per step."""
        return self.settings.chunk

    @property
    def look_ahead(self) -> int | None:
        """Future frames that a step sees; None for the rest of the scene."""
        return self.settings.look_ahead

    @property
    def counts(self) -> Counts:
        """Counts of scenes, frames passed through, resets and retries so far."""
        return self._stream.counts

    @property
    def passed_through(self) -> int:
        """Number of frames enlarged without the network."""
        return self.counts.passed_through

    @property
    def num_waiting(self) -> int:
        """Number of frames pushed and not yet emitted."""
        return len(self._stream.timeline.frames)

    def change(self, *, chunk: int | None = None, look_ahead: int | str | None = None) -> None:
        """Change the step sizes from the next step on; the state is kept.

        Args:
            chunk: See the class; None keeps it.
            look_ahead: See the class; None keeps it.

        Raises:
            ConfigurationError: See the class; nothing has changed.
        """
        self._stream.settings = self.settings.changed(chunk=chunk, look_ahead=look_ahead)

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Push frames and return those that could be restored, in chunks of at most ``chunk``.

        Args:
            chunk: Frames of any number, float, on any device; all of one size and time base until
                ``drain``. They may be kept without a copy: do not change them until
                they have been restored.

        Returns:
            Frames on the restorer's device; on CUDA they may still be in the making, as usual
            there: only work given to the device before sees them unfinished. ``identity`` may
            return the frames themselves: copy what you want to write to.

        Raises:
            ConfigurationError: Frames that are not float, not (T, 3, H, W) with T pts, or of
                another size than those before; pts that do not increase, or are in another time
                base; the stream is as it was.
        """
        return list(self.iter_push(chunk))

    def iter_push(self, chunk: Chunk) -> Iterator[Chunk]:
        """As ``push``, but each step is taken only when its chunk is requested.

        With a look-ahead to the end of a scene all its frames become ready at once, and restored
        ones are large. The next frames may be pushed only when the iterator has ended.
        """
        self._stream.push(chunk)
        yield from restore_ready(self._network_for, self._stream)

    def pass_through(self, chunk: Chunk) -> list[Chunk]:
        """Push frames and return them and all waiting ones, enlarged without the network.

        Used when the network cannot keep up. The state is kept as far as the network can
        continue across the gap, so that restoration resumes from it.

        Args:
            chunk: See ``push``.
        """
        self._stream.push(chunk)
        return self._stream.pass_through()

    def drain(self) -> list[Chunk]:
        """Restore the waiting frames at the end of a stream; the next push starts another scene."""
        return list(self.iter_drain())

    def iter_drain(self) -> Iterator[Chunk]:
        """As ``drain``, step by step like ``iter_push``."""
        self._stream.end()
        yield from restore_ready(self._network_for, self._stream)
        self._stream.reopen()

    def reset(self) -> None:
        """Discard the stream, including waiting frames and counts."""
        self._stream.reset()

    def save(self, path: str | Path, *, waiting: bool = True) -> None:
        """Save the stream: state, waiting frames, settings and counts.

        Args:
            path: A file, replaced as a whole once the new one is complete: safetensors.
            waiting: Include waiting frames; otherwise they have to be pushed again after
                ``load``, with their marks.

        Raises:
            OpenError: The file cannot be written; an existing file is unchanged.
        """
        save_stream(Path(path), self._stream, self._networks.current, waiting=waiting)

    def load(self, path: str | Path) -> None:
        """Continue where ``save`` was called, bit for bit on the same kind of machine.

        Args:
            path: A file written by ``save``, on this machine or another.

        Raises:
            CheckpointError: A file that is missing, damaged, or of another network, other weights
                or another precision; the restorer is unchanged.
        """
        saved = load_stream(Path(path), self._stream, self._networks.all)
        self._networks.current = saved

    def _network_for(self, step: Step) -> Network[Any]:
        """The network of a step, which changes only at the start of a scene."""
        if step.starts_scene:
            timeline = self._stream.timeline
            assert timeline.accepted is not None
            self._networks.change(timeline.frames[0].pts * timeline.accepted.time_base)
        return self._networks.current
