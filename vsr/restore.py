"""Restore one file: what ``vsr restore`` does, as a function."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from vsr.models.catalogue import DEFAULT_MODEL, load_network
from vsr.pipeline import Progress, Summary, run
from vsr.restorer import Restorer
from vsr.streams import open_reader, open_writer

log = logging.getLogger(__name__)


def restore(
    source: str,
    target: str,
    *,
    model: str = DEFAULT_MODEL,
    weights: str | Path | None = None,
    chunk: int | None = None,
    look_ahead: int | str | None = None,
    device: str = "auto",
    precision: str = "auto",
    encoder: str | None = None,
    encode_args: Sequence[str] = (),
    start_s: float | None = None,
    end_s: float | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore a video or a folder of images.

    Args:
        source: A file, an address, a folder of images or a pattern like ``frames/%06d.png``.
        target: The same kinds, or ``null`` to throw the frames away.
        model: As for ``load_network``.
        weights: As for ``load_network``.
        chunk: As for ``Restorer``.
        look_ahead: As for ``Restorer``.
        device: As for ``Restorer``.
        precision: As for ``Restorer``.
        encoder: ffmpeg's name of a video encoder; None for the usual one of the container.
        encode_args: Further arguments for ffmpeg's output.
        start_s: First moment to restore, in seconds after the first frame.
        end_s: First moment not to restore, likewise.
        overwrite: Replace a target that exists.
        on_progress: Called after every step.
        stop: Set it to end early with a playable partial result.

    Returns:
        What was done.

    Raises:
        VSRError: One line about what went wrong; nothing is left under the target's name.
    """
    network = load_network(model, weights)
    restorer = Restorer(
        network, chunk=chunk, look_ahead=look_ahead, device=device, precision=precision
    )
    with open_reader(source, start_s=start_s, end_s=end_s) as reader:
        scale = network.facts.scale
        writer = open_writer(
            target,
            reader.info,
            height=reader.info.height * scale,
            width=reader.info.width * scale,
            encoder=encoder,
            encode_args=encode_args,
            source=source,
            start_s=start_s,
            end_s=end_s,
            overwrite=overwrite,
        )
        for note in (*reader.notes, *writer.notes):
            log.warning("%s", note)
        return run(reader, restorer, writer, on_progress=on_progress, stop=stop)
