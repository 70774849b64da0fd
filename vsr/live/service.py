"""``vsr live`` as a function."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from vsr.engine.batch import BatchRestorer
from vsr.extras import needs_web
from vsr.faces.loading import FaceNetworks, load_faces
from vsr.live.check import Finding, check_stream
from vsr.live.monitor.figures import Figures
from vsr.live.monitor.status_line import status_line
from vsr.live.monitor.watchdog import watchdog
from vsr.live.options import StreamOptions
from vsr.live.shared_network import NetworkShare, SharedNetwork
from vsr.live.stream import LiveStream
from vsr.live.streams_file import read_streams
from vsr.live.supervisor import Make, run_all
from vsr.live.targets import check_targets
from vsr.live.timing.latency_plan import BUSY, Stopped
from vsr.models.checkpoints.face_zoo import DETECTOR
from vsr.models.face_loading import check_pulled
from vsr.models.loading import has_two_ends, load_network
from vsr.models.network import Network
from vsr.models.placement import resolve_device
from vsr.restorer import Restorer


def run_live(
    source: str | None,
    target: str | None,
    streams: Path | None = None,
    *,
    model: str,
    weights: str | None = None,
    fidelity: float | None = None,
    guard_artifacts: bool = False,
    steady: bool = False,
    skip_still: bool = False,
    faces: str | None = None,
    face_detector: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    status: str | None = None,
    status_token: Path | None = None,
    stop: threading.Event,
    quiet: bool = False,
    say: Callable[[str], None],
    **options: Any,
) -> Sequence[Figures]:
    """Restore one running stream, or several, until they end or ``stop`` is set.

    Args:
        source: Source of a single stream.
        target: Target of a single stream.
        streams: A file that describes several streams instead.
        model: See ``load_network``.
        weights: See ``load_network``.
        fidelity: See ``load_network``.
        guard_artifacts: See ``load_network``.
        steady: See ``load_network``.
        skip_still: See ``load_network``.
        faces: Model that restores faces where there is time, as for ``load_face_network``;
            ``fidelity`` is how faithful they stay. None for no faces.
        face_detector: Model that finds them; None for MTCNN.
        device: See ``Restorer``.
        precision: See ``Restorer``.
        status: Address and port of the status server; None for none.
        status_token: A file with the secret that the status server asks for.
        stop: Set it to end all streams in order.
        quiet: Show no status line.
        say: Called with messages about the choices made.
        options: Fields of ``StreamOptions``; defaults for several streams.

    Returns:
        The final figures of every stream.

    Raises:
        VSRError: The error that ended the only stream, or an error at the start.
    """
    wanted = _wanted(source, target, streams, options)
    network, face_networks = _networks(
        model,
        weights,
        fidelity,
        faces,
        face_detector,
        device,
        guard_artifacts=guard_artifacts,
        steady=steady,
        skip_still=skip_still,
    )
    figures = [Figures(name=one.name) for one in wanted]
    makers = _makers(wanted, figures, network, face_networks, device, precision, say)
    running = [make() for make in makers]
    with ExitStack() as around:
        if status is not None:
            with needs_web("--status"):
                from vsr.live.monitor.http import serve_status
            address = around.enter_context(serve_status(status, figures, status_token))
            say(f"figures at {address}")
        around.enter_context(watchdog(figures))
        around.enter_context(status_line(figures, hidden=quiet))
        if len(running) == 1:
            running[0].run(stop)
        else:
            run_all(list(zip(running, makers, strict=True)), stop)
    return figures


def check_live(
    source: str | None,
    target: str | None,
    streams: Path | None = None,
    *,
    model: str,
    weights: str | None = None,
    fidelity: float | None = None,
    guard_artifacts: bool = False,
    steady: bool = False,
    skip_still: bool = False,
    faces: str | None = None,
    face_detector: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    stop: threading.Event,
    **options: Any,
) -> Iterator[tuple[str, Finding]]:
    """Try a run of ``run_live`` for some seconds and report; arguments as there.

    Yields:
        The name of a stream, and a finding about it.

    Raises:
        VSRError: Nothing could be tried.
    """
    wanted = _wanted(source, target, streams, options)
    network, face_networks = _networks(
        model,
        weights,
        fidelity,
        faces,
        face_detector,
        device,
        guard_artifacts=guard_artifacts,
        steady=steady,
        skip_still=skip_still,
    )
    restorer = Restorer(network, device=device, precision=precision)
    work = 0.0
    with suppress(Stopped):
        for one in wanted:
            for finding in check_stream(one, restorer, stop, face_networks):
                work += finding.work
                yield one.name, finding
    if len(wanted) > 1 and not stop.is_set():
        text = f"all streams together take {work:.0%} of the time; at most {BUSY:.0%} are free"
        yield "all", Finding(what="speed", works=work <= BUSY, text=text)


def _wanted(
    source: str | None, target: str | None, streams: Path | None, options: dict[str, Any]
) -> Sequence[StreamOptions]:
    """The streams that are asked for, checked against each other."""
    given = StreamOptions(source=source or "", target=target or "", **options)
    wanted = [given] if streams is None else read_streams(streams, given)
    check_targets(wanted)
    return wanted


def _networks(
    model: str,
    weights: str | None,
    fidelity: float | None,
    faces: str | None,
    face_detector: str | Path | None,
    device: str,
    *,
    guard_artifacts: bool,
    steady: bool,
    skip_still: bool,
) -> tuple[Network[Any], FaceNetworks | None]:
    """The network of whole frames, and those for faces if they are asked for."""
    load = partial(
        load_network,
        model,
        weights,
        guard_artifacts=guard_artifacts,
        steady=steady,
        skip_still=skip_still,
    )
    if faces is None:
        return load(fidelity=fidelity), None
    check_pulled(faces, face_detector or DETECTOR)
    own = fidelity if has_two_ends(model, weights) else None
    network = load(fidelity=own)
    return network, load_faces(faces, fidelity, resolve_device(device), face_detector)


def _makers(
    wanted: Sequence[StreamOptions],
    figures: Sequence[Figures],
    network: Network[Any],
    faces: FaceNetworks | None,
    device: str,
    precision: str,
    say: Callable[[str], None],
) -> list[Make]:
    """Functions that make each stream, also again: with a restorer of its own or a share of one."""
    if len(wanted) == 1:
        alone = Restorer(network, device=device, precision=precision)
        return [partial(LiveStream, wanted[0], alone, figures[0], faces=faces, say=say)]
    batch = BatchRestorer(network, device=device, precision=precision, largest=len(wanted))
    shared = SharedNetwork(batch)

    def make(options: StreamOptions, kept: Figures) -> LiveStream:
        share = NetworkShare(shared, options.name)
        share.discard()  # what a run that failed has left
        kept.state = "failed"  # what stands where it cannot be begun
        stream = LiveStream(options, share, kept, faces=faces, say=say)
        kept.state = "connecting"
        return stream

    return [partial(make, one, kept) for one, kept in zip(wanted, figures, strict=True)]
