"""The networks of a run: the named one, or one for each scene by a table."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vsr.address import is_address
from vsr.assessment.assess import Assessment, assess
from vsr.assessment.scene import SceneAssessment
from vsr.engine.networks_in_time import NetworkChange
from vsr.errors import ConfigurationError, VSRError
from vsr.models.catalogue import MODELS, VIDEO_MODELS, fitting_model
from vsr.models.loading import has_two_ends, is_for_clean, load_network
from vsr.models.network import Network
from vsr.offline.auto_table import AutoTable, Row, choose_rows, names_table, read_table
from vsr.offline.options import VIVID, RestoreOptions, SceneModel
from vsr.offline.output_size import choose_size
from vsr.results import Progress
from vsr.scenes import AUTO, OFF
from vsr.streams.decode.image_reader import read_image
from vsr.streams.names.container import PIPE
from vsr.types import StreamInfo

log = logging.getLogger(__name__)

MODELS_KEY = "models"
"""Key of a journal's header."""

EARLY_S = Fraction(1, 20)
"""Time by which a scene may start earlier than assessed: deinterlacing moves cuts by a field."""


def named_network(options: RestoreOptions) -> Network[Any] | None:
    """The network that the options name; None where the source decides.

    Raises:
        ConfigurationError, CheckpointError, NotPulled: See ``load_network``.
        DecodeError: The picture of a strength map cannot be read.
    """
    if not names_table(options.model):
        return load_chosen(options)
    if options.weights is not None:
        return load_chosen(replace(options, model=str(options.weights), weights=None))
    return None


def load_chosen(options: RestoreOptions) -> Network[Any]:
    """The network of options whose model is not ``auto``; errors as for ``load_network``."""
    return load_network(
        options.model,
        options.weights,
        fidelity=_fidelity(options),
        guard_artifacts=guards(options),
        strength=_strength(options.strength_map),
        steady=options.steady,
        skip_still=options.skip_still,
    )


def _strength(strength_map: str) -> Tensor | Literal["auto"] | None:
    """Strength for ``load_network``: of a picture its brightness, (1, H, W) in [0, 1]."""
    if strength_map == OFF:
        return None
    if strength_map == AUTO:
        return "auto"
    return read_image(Path(strength_map)).mean(0, keepdim=True)


def guards(options: RestoreOptions) -> bool:
    """Whether artefacts of the network are replaced."""
    if options.guard_artifacts is None:
        fidelity = _fidelity(options)
        return fidelity is not None and fidelity < VIVID and options.strength_map == OFF
    return options.guard_artifacts


def choose_models(
    source: str,
    options: RestoreOptions,
    info: StreamInfo,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> tuple[SceneModel, ...]:
    """The models that restore a source: from its beginning, and from each change on.

    Args:
        source: What is restored; assessed where it can be read twice and the choice depends on it.
        options: Options of the run.
        info: The source's first facts.
        on_progress: Called while it is assessed.
        stop: Set it to end early.

    Returns:
        Empty after ``stop``.

    Raises:
        ConfigurationError: See ``read_table``, or the table has no row for the scale.
    """
    if options.scene_models:
        return options.scene_models
    if not names_table(options.model) or options.weights is not None:
        name = options.model if not names_table(options.model) else str(options.weights)
        return (SceneModel(start_s=0.0, model=name, fidelity=options.fidelity),)
    table = read_table(options.model)
    rows = _rows(table, options, info)
    if options.fidelity is not None:
        rows = _with_fidelity(rows, options.fidelity)
    usual = (_scene_model(rows[-1]),)
    if len(rows) == 1 or source == PIPE or is_address(source) or not Path(source).exists():
        return usual
    try:
        scenes = _assess(source, options, on_progress, stop).scenes
    except VSRError as error:
        log.debug("'%s' was not assessed: %s", source, error)
        return usual
    if stop is not None and stop.is_set():
        return ()
    chosen = choose_rows(rows, scenes, table.hold)
    if options.parallel_scenes > 1:
        chosen = [_most_frequent(chosen, scenes)] * len(scenes)
    return _changes(chosen, scenes) or usual


def _with_fidelity(rows: Sequence[Row], fidelity: float) -> tuple[Row, ...]:
    """The rows whose models have two ends, if there are any, with the wanted fidelity."""
    able = [row for row in rows if has_two_ends(row.model, None)]
    return tuple(replace(row, fidelity=fidelity) for row in able or rows)


def header_models(models: Sequence[SceneModel]) -> dict[str, Any]:
    """The models of a run, for a journal's header."""
    return {MODELS_KEY: [asdict(scene) for scene in models]}


def kept_models(header: Mapping[str, Any] | None) -> tuple[SceneModel, ...]:
    """The models in a journal's header; empty without one."""
    kept = () if header is None else header.get(MODELS_KEY, ())
    return tuple(SceneModel(**facts) for facts in kept)


def named(models: Sequence[SceneModel]) -> str:
    """The names of models, each once."""
    return ", ".join(dict.fromkeys(scene.model for scene in models))


def with_models(options: RestoreOptions, models: Sequence[SceneModel]) -> RestoreOptions:
    """Options with the models that a table has chosen; their model is the first."""
    return replace(
        options,
        model=models[0].model,
        fidelity=models[0].fidelity,
        weights=None,
        scene_models=tuple(models),
    )


def models_at(
    models: Sequence[SceneModel], info: StreamInfo, moment_s: float
) -> tuple[SceneModel, ...]:
    """The model of one frame, given in seconds after the source's first one."""
    time_s = float(info.start_pts * info.time_base) + moment_s
    passed = [scene for scene in models if scene.start_s <= time_s]
    return (passed[-1] if passed else models[0],)


def lines(models: Sequence[SceneModel], info: StreamInfo) -> list[str]:
    """A line for the beginning and for each change; none where nothing changes."""
    if len(models) == 1:
        return []
    begin_s = float(info.start_pts * info.time_base)
    return [
        f"{scene.model} from {scene.start_s - begin_s:.2f} s on"
        + (f" ({scene.reasons})" if scene.reasons else "")
        for scene in models
    ]


def networks_for(
    models: Sequence[SceneModel], options: RestoreOptions
) -> tuple[Network[Any], tuple[NetworkChange, ...]]:
    """The first network of a run, and its changes; errors as for ``named_network``.

    Args:
        models: Result of ``choose_models``.
        options: Options of the run.
    """
    loaded: dict[tuple[str, float | None], Network[Any]] = {}
    for scene in models:
        key = scene.model, scene.fidelity
        if key not in loaded:
            chosen = replace(options, model=scene.model, fidelity=scene.fidelity)
            if chosen.strength_map == AUTO and is_for_clean(scene.model):
                chosen = replace(chosen, strength_map=OFF)
            loaded[key] = load_chosen(chosen)
    networks = [loaded[scene.model, scene.fidelity] for scene in models]
    changes = [
        NetworkChange(at_s=Fraction(scene.start_s) - EARLY_S, network=network)
        for scene, network in zip(models[1:], networks[1:], strict=True)
    ]
    return networks[0], tuple(changes)


def _assess(
    source: str,
    options: RestoreOptions,
    on_progress: Callable[[Progress], None],
    stop: threading.Event | None,
) -> Assessment:
    return assess(
        source,
        start_s=options.start_s,
        end_s=options.end_s,
        frame_rate=options.frame_rate,
        scenes=options.scenes,
        on_progress=on_progress,
        stop=stop,
    )


def _rows(table: AutoTable, options: RestoreOptions, info: StreamInfo) -> tuple[Row, ...]:
    """The rows for the scale that fits the source and the wanted size."""
    scale = MODELS[_fitting(info, options)].scale
    assert scale is not None
    if rows := table.of_scale(scale):
        return rows
    raise ConfigurationError(
        f"'{options.model}' has no row whose model enlarges x{scale}; add one, or give --scale"
    )


def _changes(rows: Sequence[Row], scenes: Sequence[SceneAssessment]) -> tuple[SceneModel, ...]:
    """The first row, and each that differs from the one before."""
    before = [None, *rows]
    return tuple(
        _scene_model(row, scene)
        for row, scene, last in zip(rows, scenes, before, strict=False)
        if last is None or row.restores != last.restores
    )


def _scene_model(row: Row, scene: SceneAssessment | None = None) -> SceneModel:
    return SceneModel(
        start_s=0.0 if scene is None else scene.start_s,
        model=row.model,
        fidelity=row.fidelity,
        reasons="" if scene is None else row.reasons(scene),
    )


def _most_frequent(rows: Sequence[Row], scenes: Sequence[SceneAssessment]) -> Row:
    """The row of most frames: scenes that are restored at once have one network."""
    frames: Counter[int] = Counter()
    for row, scene in zip(rows, scenes, strict=True):
        frames[id(row)] += scene.frames
    return max(rows, key=lambda row: frames[id(row)])


def _fidelity(options: RestoreOptions) -> float | None:
    """The fidelity of the network; with faces, one that a network does not have is theirs alone."""
    if options.faces is not None and not has_two_ends(options.model, options.weights):
        return None
    return options.fidelity


def _fitting(info: StreamInfo, options: RestoreOptions) -> str:
    if not options.says_size:
        return fitting_model(info.height, info.width)
    size = choose_size(info, max(VIDEO_MODELS), options.output_size)
    wanted = max(size.height / info.height, size.width / info.width)
    return fitting_model(info.height, info.width, wanted)
