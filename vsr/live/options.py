"""What can be asked of a live stream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vsr.live.timing.quality_controller import Policy

DEFAULT_LATENCY_S = 0.8


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """One stream.

    Attributes:
        name: What it is called in logs and figures.
        source: A file or an address.
        target: A file or an address.
        record: A file that gets a copy of the output; None for none.
        listen: Wait at ``source`` for a publisher, instead of connecting.
        latency_s: From the arrival of a frame until it leaves encoded.
        on_overload: What gives way.
        retries: Attempts in a row that may fail, of source and sink; None for endless.
        slate: A picture that is shown while the source is gone; None for the last frame.
        encoder: ffmpeg's name of an encoder.
        encode_args: Further arguments for it.
        overwrite: Replace files that exist.
    """

    source: str
    target: str
    name: str = "live"
    record: str | None = None
    listen: bool = False
    latency_s: float = DEFAULT_LATENCY_S
    on_overload: Policy = "degrade"
    retries: int | None = None
    slate: Path | None = None
    encoder: str | None = None
    encode_args: tuple[str, ...] = ()
    overwrite: bool = False

    @property
    def targets(self) -> list[str]:
        """All that is written, the target first."""
        return [self.target, *([self.record] if self.record else [])]
