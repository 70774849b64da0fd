"""Restore one file: what ``vsr restore`` does, as a function."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vsr.comparing import InputMemory, Mode, compare_into, comparison_size
from vsr.engine.lanes import ParallelScenes
from vsr.engine.plan import Asked, Plan, make_plan, require
from vsr.engine.settings import FULL
from vsr.forecast import Forecast, expected_fps
from vsr.memory import budget_bytes
from vsr.models.catalogue import DEFAULT_MODEL, load_network
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.output_size import SizeWish, choose_size, fit_writer
from vsr.pipeline import run
from vsr.restorer import Restorer
from vsr.scenes import AUTO, scene_marker
from vsr.streams import open_reader, open_writer
from vsr.summary import Progress, Summary
from vsr.types import StreamInfo

log = logging.getLogger(__name__)


def restore(
    source: str,
    target: str,
    *,
    model: str = DEFAULT_MODEL,
    weights: str | Path | None = None,
    chunk: int | None = None,
    look_ahead: int | str | None = None,
    tiles: tuple[int, int] | None = None,
    memory: str | None = None,
    scenes: str = AUTO,
    parallel_scenes: int = 1,
    device: str = "auto",
    precision: str = "auto",
    encoder: str | None = None,
    encode_args: Sequence[str] = (),
    start_s: float | None = None,
    end_s: float | None = None,
    overwrite: bool = False,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    fit: int | None = None,
    hwaccel: str | None = None,
    in_process: bool = False,
    compare: Mode | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Summary:
    """Restore a video or a folder of images.

    Args:
        source: A file, an address, a folder of images or a pattern like ``frames/%06d.png``.
        target: The same kinds, or ``null`` to throw the frames away; ``-`` means a pipe in both.
        model: As for ``load_network``.
        weights: As for ``load_network``.
        chunk: As for ``Restorer``; None for what suits the network and fits into memory.
        look_ahead: As for ``Restorer``, likewise.
        tiles: As for ``Restorer``, likewise.
        memory: What the run may take, ``4G`` or ``75%`` of what is free; None for 80 %.
        scenes: ``auto`` to find cuts, ``off``, ``every N``, or a file that lists them.
        parallel_scenes: Scenes stepped together.
        device: As for ``Restorer``.
        precision: As for ``Restorer``.
        encoder: ffmpeg's name of a video encoder; None for the usual one of the container.
        encode_args: Further arguments for ffmpeg's output.
        start_s: First moment to restore, in seconds after the first frame.
        end_s: First moment not to restore, likewise.
        overwrite: Replace a target that exists.
        scale: Output over input size; with it, ``size`` or ``fit`` the output is resampled once.
        size: Rows and columns of the output.
        fit: Pixels of the output's shorter side.
        hwaccel: As for ``open_reader``.
        in_process: As for ``open_writer``.
        compare: Write a comparison with the input instead: ``side`` by side, or ``split``.
        on_progress: Called after every step.
        stop: Set it to end early with a playable partial result.

    Returns:
        What was done.

    Raises:
        VSRError: One line about what went wrong; nothing is left under the target's name.
    """
    network = load_network(model, weights)
    asked = Asked(chunk=chunk, look_ahead=look_ahead, tiles=tiles)
    with open_reader(
        source, start_s=start_s, end_s=end_s, headroom=True, hwaccel=hwaccel
    ) as reader:
        marker = scene_marker(scenes, reader.info)
        restorer, _ = make_restorer(
            network,
            reader.info,
            asked=asked,
            memory=memory,
            parallel_scenes=parallel_scenes,
            device=device,
            precision=precision,
        )
        wish = SizeWish(scale=scale, size=size, fit=fit)
        output = choose_size(reader.info, network.facts.scale, wish)
        inputs = InputMemory(reader)
        height, width = comparison_size(compare, output.height, output.width)
        writer = open_writer(
            target,
            replace(reader.info, sample_aspect_ratio=output.sample_aspect_ratio),
            height=height,
            width=width,
            encoder=encoder,
            encode_args=encode_args,
            source=source,
            start_s=start_s,
            end_s=end_s,
            overwrite=overwrite,
            in_process=in_process,
        )
        for note in (*reader.notes, *writer.notes):
            log.warning("%s", note)
        writer = compare_into(writer, inputs, compare)
        writer = fit_writer(writer, output)
        source_frames = reader if compare is None else inputs
        return run(
            source_frames, restorer, writer, scenes=marker, on_progress=on_progress, stop=stop
        )


def foresee(
    source: str,
    target: str,
    *,
    model: str = DEFAULT_MODEL,
    weights: str | Path | None = None,
    chunk: int | None = None,
    look_ahead: int | str | None = None,
    tiles: tuple[int, int] | None = None,
    memory: str | None = None,
    scenes: str = AUTO,
    parallel_scenes: int = 1,
    device: str = "auto",
    precision: str = "auto",
    start_s: float | None = None,
    end_s: float | None = None,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    fit: int | None = None,
    **_: Any,
) -> Forecast:
    """Say what ``restore`` would do, which takes the same arguments; nothing is written."""
    network = load_network(model, weights)
    asked = Asked(chunk=chunk, look_ahead=look_ahead, tiles=tiles)
    with open_reader(source, start_s=start_s, end_s=end_s) as reader:
        info = reader.info
        scene_marker(scenes, info)
    restorer, plan = make_restorer(
        network,
        info,
        asked=asked,
        memory=memory,
        parallel_scenes=parallel_scenes,
        device=device,
        precision=precision,
        exact=True,
    )
    fps = expected_fps(restorer, info)
    output = choose_size(info, network.facts.scale, SizeWish(scale=scale, size=size, fit=fit))
    return Forecast(
        model=network.facts.name,
        device=str(restorer.device),
        precision=str(restorer.network.dtype).removeprefix("torch."),
        source=source,
        target=target,
        input_size=(info.width, info.height),
        output_size=(output.width, output.height),
        frames=info.num_frames,
        settings=plan.settings,
        memory_bytes=plan.memory_bytes,
        budget_bytes=plan.budget_bytes,
        fps=fps,
        seconds=None if info.num_frames is None else info.num_frames / fps,
    )


def make_restorer(
    network: Network[Any],
    info: StreamInfo,
    *,
    asked: Asked,
    memory: str | None = None,
    parallel_scenes: int = 1,
    device: str = "auto",
    precision: str = "auto",
    exact: bool = False,
) -> tuple[Restorer | ParallelScenes, Plan]:
    """A restorer whose sizes fit into memory, and the plan they come from.

    Args:
        network: Any.
        info: Of what it will restore.
        asked: Sizes that are fixed.
        memory: As for ``restore``.
        parallel_scenes: As for ``restore``.
        device: As for ``restore``.
        precision: As for ``restore``.
        exact: Reckon the memory even where a look shows that it suffices.

    Raises:
        ConfigurationError: Sizes, memory, a device or a precision that cannot be.
        MemoryLimitError: Memory was given, and nothing that was left free fits into it.
    """
    placed, where = place(network, device=device, precision=precision)
    plan = make_plan(
        placed,
        where,
        info.height,
        info.width,
        budget_bytes=budget_bytes(memory, where),
        asked=asked,
        scenes=parallel_scenes,
        exact=exact,
    )
    if memory is not None:
        require(plan, network.facts.name, info.height, info.width)
    elif not plan.fits:
        log.warning(
            "about %d MiB will be needed, %d MiB are free; --memory, a smaller chunk or tiles help",
            plan.memory_bytes >> 20,
            plan.budget_bytes >> 20,
        )
    log.info("%s, at most about %d MiB", plan.settings, plan.memory_bytes >> 20)
    sizes = plan.settings
    options: dict[str, Any] = {
        "chunk": sizes.chunk,
        "look_ahead": FULL if sizes.look_ahead is None else sizes.look_ahead,
        "tiles": sizes.tiles,
        "device": str(where),
        "precision": str(placed.dtype).removeprefix("torch."),
    }
    if parallel_scenes == 1:
        return Restorer(placed, **options), plan
    return ParallelScenes(placed, scenes=parallel_scenes, **options), plan
