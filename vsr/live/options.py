"""Options of a live stream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vsr.address import is_address
from vsr.errors import ConfigurationError
from vsr.live.limits import MAX_PIXELS
from vsr.live.output.recording import Segments
from vsr.live.timing.quality_controller import Policy
from vsr.streams.names.formats import PLAYLISTS, suffix_of
from vsr.streams.names.trust import Trust

DEFAULT_LATENCY_S = 0.8


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """Options of one live stream.

    Attributes:
        name: Name in logs and figures.
        source: A file or an address.
        target: A file or an address.
        fallback: A file or an address that takes the place of the source while that is lost; a file
            is repeated. None for none.
        record: A file for a copy of the output; None for none.
        record_segment_s: Seconds of each file of the record, named after its beginning; None for
            one file.
        record_age_s: Seconds for which such files are kept; None for ever.
        record_bytes: Maximum size of all of them in bytes; None for any.
        listen: Wait at ``source`` for a publisher instead of connecting.
        latency_s: Seconds from the arrival of a frame until it is emitted, encoded.
        on_overload: Policy under overload.
        retries: Consecutive failures allowed for source and sink; None for unlimited.
        slate: A picture shown while the source is lost; None for the last frame.
        encoder: ffmpeg's name of an encoder.
        encode_args: Further arguments for it.
        ca_file: Authorities that certificates are verified by; None for the system's.
        insecure: Verify no certificate.
        max_pixels: Width times height of the source's frames at most.
        overwrite: Replace files that exist.
    """

    source: str
    target: str
    name: str = "live"
    fallback: str | None = None
    record: str | None = None
    record_segment_s: float | None = None
    record_age_s: float | None = None
    record_bytes: int | None = None
    listen: bool = False
    latency_s: float = DEFAULT_LATENCY_S
    on_overload: Policy = "degrade"
    retries: int | None = None
    slate: Path | None = None
    encoder: str | None = None
    encode_args: tuple[str, ...] = ()
    overwrite: bool = False
    ca_file: Path | None = None
    insecure: bool = False
    max_pixels: int = MAX_PIXELS

    @property
    def trust(self) -> Trust:
        """The certificates of source and sinks that are accepted."""
        return Trust(ca_file=self.ca_file, insecure=self.insecure)

    @property
    def sources(self) -> list[str]:
        """All inputs, the source first."""
        return [self.source, *([self.fallback] if self.fallback else [])]

    @property
    def segments(self) -> Segments | None:
        """How the record is cut; None for one file.

        Raises:
            ConfigurationError: Options of a record in segments without such a record.
        """
        if self.record_segment_s is None:
            if self.record_age_s is not None or self.record_bytes is not None:
                raise ConfigurationError(
                    "old files of a record are removed where it has segments; give "
                    "--record-segment 10m"
                )
            return None
        if self.record is None or is_address(self.record) or suffix_of(self.record) in PLAYLISTS:
            raise ConfigurationError("segments are a record's; give --record FILE")
        return Segments(
            length_s=self.record_segment_s,
            most_age_s=self.record_age_s,
            most_bytes=self.record_bytes,
        )

    @property
    def targets(self) -> list[str]:
        """All outputs, the target first."""
        return [self.target, *([self.record] if self.record else [])]
