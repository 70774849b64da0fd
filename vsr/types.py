"""Types shared by all packages: descriptions of streams, chunks, readers and writers.

Inside the project pixels are RGB, (T, 3, H, W), in [0, 1]; time is an integer pts and a
``Fraction`` time base, because adding seconds rounds twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol, Self

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Colour tags of a stream, in ffmpeg's names; None for a missing tag."""

    matrix: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    range: str | None = None
    chroma_location: str | None = None


@dataclass(frozen=True, kw_only=True)
class OtherStream:
    """A stream that is copied without decoding.

    Attributes:
        index: Position in the source's container.
        kind: ``audio``, ``subtitle``, ``attachment``, ``data``, ``cover`` or ``video``.
        codec: ffmpeg's name of the codec.
        language: ISO 639 code, if the container has one.
        dispositions: ffmpeg's names: ``default``, ``forced``, ``comment`` …
        template: PyAV's stream, from which a writer takes its parameters; valid while the reader
            is open.
    """

    index: int
    kind: str
    codec: str
    language: str | None = None
    dispositions: tuple[str, ...] = ()
    template: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Mastering:
    """HDR10 metadata: the mastering display and the content light levels.

    Attributes:
        chromaticities: x and y of red, green, blue and white, eight numbers; empty if unknown.
        luminance: Minimum and maximum of the display in cd/m²; empty if unknown.
        light_levels: MaxCLL and MaxFALL in cd/m²; empty if unknown.
    """

    chromaticities: tuple[Fraction, ...] = ()
    luminance: tuple[Fraction, ...] = ()
    light_levels: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """Description of a video stream, known before its first frame.

    Attributes:
        height: Rows, after rotation has been applied.
        width: Columns, after rotation has been applied.
        time_base: Seconds per unit of pts.
        start_pts: The stream's first pts; the seconds of a trim count from it.
        shift_s: Seconds that a writer adds to all times, so that an output of a source whose times
            begin below zero, or at a broadcast's clock, begins at zero.
        frame_rate: Average frames per second; None if the container does not say.
        num_frames: Expected number of frames; None if the container does not say.
        colour: The source's colour tags.
        mastering: The source's HDR10 metadata.
        bit_depth: Bits per component of the source.
        pixel_format: ffmpeg's name of the source's pixel format.
        rotation: Degrees counter-clockwise that were applied to the frames: 0, 90, 180 or 270.
        sample_aspect_ratio: Width of a pixel over its height.
        index: Position in the source's container.
        dispositions: ffmpeg's names: ``default``, ``original`` …
        frame_data: Kinds of data within the frames that are no samples, by PyAV's names.
        others: Streams that are not decoded.
    """

    height: int
    width: int
    time_base: Fraction
    start_pts: int = 0
    shift_s: Fraction = Fraction(0)
    frame_rate: Fraction | None = None
    num_frames: int | None = None
    colour: Colour = field(default_factory=Colour)
    mastering: Mastering = field(default_factory=Mastering)
    bit_depth: int = 8
    pixel_format: str = "rgb24"
    rotation: int = 0
    sample_aspect_ratio: Fraction = Fraction(1)
    index: int = 0
    dispositions: tuple[str, ...] = ()
    frame_data: frozenset[str] = frozenset()
    others: tuple[OtherStream, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """Consecutive frames of one stream.

    Attributes:
        frames: (T, 3, H, W), RGB in [0, 1], on the producer's device. A reader opened
            with headroom keeps values beyond black and white.
        pts: T integers, increasing.
        time_base: Seconds per unit of pts.
        scene_starts: Positions in this chunk, 0 <= i < T, at which a new scene begins; the first
            frame of a stream starts one whether it is marked or not.
        guarded: (T, H, W), uint8, on the CPU: where the faithful of two results is shown, by a
            guard or by region, 0 to 255. None from a network that makes one.
    """

    frames: Tensor
    pts: tuple[int, ...]
    time_base: Fraction
    scene_starts: frozenset[int] = frozenset()
    guarded: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True, kw_only=True)
class Passed:
    """Input frames and packets that a previous run has already processed.

    Attributes:
        frames: Number of frames, counted from the first wanted one.
        packets: Number of copied packets, in the order of ``Reader.take_packets``.
    """

    frames: int = 0
    packets: int = 0


NOTHING = Passed()


class Reader(Protocol):
    """A source of frames in presentation order. Used by one thread; any may close it."""

    @property
    def info(self) -> StreamInfo: ...

    @property
    def notes(self) -> Sequence[str]:
        """Assumptions and deviations worth a message, one sentence each."""
        ...

    @property
    def corrupt_frames(self) -> int:
        """Number of frames so far that failed to decode or were damaged."""
        ...

    @property
    def size_changes(self) -> int:
        """Number of changes of the frame size so far; frames are scaled to the first size."""
        ...

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield chunks of ``size`` frames; the last may be shorter. Can be called once.

        Raises:
            ConfigurationError: Chunks of no frames.
        """
        ...

    def take_packets(self) -> Sequence[Any]:
        """Take the copied packets read since the last call, in file order."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class Writer(Protocol):
    """A sink for frames and copied packets. Used by one thread."""

    @property
    def notes(self) -> Sequence[str]:
        """Deviations worth a message, one sentence each."""
        ...

    @property
    def added_frames(self) -> int:
        """Frames that the sink's arguments added, or removed if negative, once finished."""
        ...

    def write(self, chunk: Chunk) -> None:
        """Append frames in order. Values beyond [0, 1] are kept as far as the sink can."""
        ...

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Append packets of the copied streams."""
        ...

    def finish(self, *, partial: bool = False) -> str:
        """Flush, wait for the sink and return the name of the result.

        Args:
            partial: The stream was interrupted: the result is closed and playable, but a file goes
                to ``NAME.partial.EXT``, never to its final name.
        """
        ...

    def abort(self) -> None:
        """Stop at once and remove what was written; never raises."""
        ...
