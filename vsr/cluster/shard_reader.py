"""Reading one shard of a film."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vsr.cluster.scan import FrameDigest
from vsr.cluster.shards import Shard, combined
from vsr.errors import VSRError
from vsr.offline.forwarding_reader import ForwardingReader
from vsr.scenes.state import part
from vsr.types import Chunk, Reader


class SourceDiffers(VSRError):
    """A shard's frames are not those that the first pass over the film has seen."""


class ShardReader(ForwardingReader):
    """Reads the frames of a shard, and checks that they are those of the plan.

    Args:
        reader: A reader of the film; closed with this one.
        shard: The shard.
        skipped: Frames that come before the shard's first one.
        on_frames: Called with the number of frames after each piece that was read.

    Attributes:
        digest: Digest of the frames, once all were read.
    """

    def __init__(
        self, reader: Reader, shard: Shard, *, skipped: int, on_frames: Callable[[int], None]
    ) -> None:
        super().__init__(reader)
        self._shard, self._skipped = shard, skipped
        self._on_frames = on_frames
        self.digest = ""

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield the shard's frames.

        Raises:
            SourceDiffers: Frames are missing, or come at other times.
        """
        shard, skip, place = self._shard, self._skipped, 0
        digests = _SceneDigests(shard)
        for read in self._reader.chunks(size):
            self._reader.take_packets()
            self._on_frames(len(read))
            early = min(skip, len(read))
            skip -= early
            chunk = part(read, early, min(len(read), early + shard.frames - place))
            if not len(chunk):
                continue
            self._check(place, chunk)
            digests.add(chunk, place)
            place += len(chunk)
            yield chunk
            if place == shard.frames:
                break
        if place < shard.frames:
            raise SourceDiffers(f"the source has {place} frames of {shard.frames} in this shard")
        self.digest = digests.value()

    def take_packets(self) -> Sequence[Any]:
        self._reader.take_packets()
        return ()

    def _check(self, place: int, chunk: Chunk) -> None:
        shard = self._shard
        last = place + len(chunk) == shard.frames
        if place == 0 and chunk.pts[0] != shard.first_pts:
            raise SourceDiffers(f"a frame at {chunk.pts[0]} came in place of {shard.first_pts}")
        if last and chunk.pts[-1] != shard.last_pts:
            raise SourceDiffers(f"a frame at {chunk.pts[-1]} came in place of {shard.last_pts}")


class _SceneDigests:
    """Digests of a shard's scenes, as the first pass over the film has taken them."""

    def __init__(self, shard: Shard) -> None:
        self._starts = frozenset(shard.starts[1:])
        self._digest, self._done = FrameDigest(), list[str]()

    def add(self, chunk: Chunk, place: int) -> None:
        """Add frames, the first of which is at a position of the shard."""
        cuts = [i for i in range(len(chunk)) if place + i in self._starts]
        for first, end in zip([0, *cuts], [*cuts, len(chunk)], strict=True):
            if first in cuts:
                self._end_scene()
            self._digest.add(chunk, first, end)

    def value(self) -> str:
        """The digest of all of them."""
        self._end_scene()
        return combined(self._done)

    def _end_scene(self) -> None:
        self._done.append(self._digest.value())
        self._digest = FrameDigest()
