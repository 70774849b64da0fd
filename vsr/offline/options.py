"""The options of one restoration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr.engine.memory_plan import RequestedSettings
from vsr.models.catalogue import AUTO_MODEL
from vsr.offline.comparison_video import Mode
from vsr.offline.output_size import RequestedSize
from vsr.resume import SEGMENT_FRAMES
from vsr.scenes import AUTO, OFF
from vsr.streams.decode.deinterlace import Mode as Deinterlacing

_LEAVES_OUTPUT = frozenset(
    {"memory", "device", "precision", "overwrite", "hwaccel", "in_process", "resume"}
    | {"cluster", "devices", "worker_cores", "mixed_machines", "storage", "scene_models"}
)
"""Options that may differ between an interrupted run and the one that resumes it."""

VIVID = 0.5
"""Fidelity under which artefacts are replaced unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class SceneModel:
    """The model that restores the scenes from a time on.

    Attributes:
        start_s: Seconds of pts; the first of several holds from the beginning, whatever its value.
        model: See ``load_network``.
        fidelity: See ``load_network``.
        reasons: The findings that it was chosen by, as text.
    """

    start_s: float
    model: str
    fidelity: float | None = None
    reasons: str = ""


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """Options of ``restore``, ``estimate`` and ``preview``.

    Attributes:
        model: See ``load_network``; ``auto`` to choose it for each scene by ``configs/auto.toml``,
            or the name of such a table.
        scene_models: The models that ``auto`` has chosen; empty before it has.
        weights: See ``load_network``.
        fidelity: See ``load_network``.
        faces: Restore faces, too, by this network: a name of ``FACE_RESTORERS`` or a checkpoint;
            ``fidelity`` is how faithful they stay (0.5 unless given). None for no faces.
        face_detector: Find them by this network: a name of ``FACE_DETECTORS`` or a checkpoint of
            facexlib's RetinaFace; None for MTCNN.
        guard_artifacts: Show a faithful network's result where that of the model has artefacts;
            None for where ``fidelity`` is under ``VIVID``.
        strength_map: A picture of the strength of restoration by region, white for full;
            ``auto`` for a map of each frame by how coarsely its regions were coded, ``off`` for
            fully everywhere.
        steady: See ``load_network``.
        skip_still: See ``load_network``.
        show_map: Another target, which shows where the guard or the map shows the faithful result;
            None for none.
        chunk: See ``Restorer``; None for the size that suits the network and fits into memory.
        look_ahead: See ``Restorer``; chosen in the same way.
        tiles: See ``Restorer``; chosen in the same way.
        memory: Memory budget, such as ``4G`` or ``75%`` of the free memory; None for 80 %.
        scenes: ``auto`` to find cuts, ``off``, ``every N``, or a file that lists them.
        parallel_scenes: Number of scenes in one joint step.
        device: See ``Restorer``.
        precision: See ``Restorer``.
        encoder: ffmpeg's name of a video encoder; None for the usual one of the container.
        encode_args: Further arguments for ffmpeg's output.
        start_s: Start of the restored part, in seconds after the first frame.
        end_s: End of the restored part (exclusive), in seconds after the first frame.
        frame_rate: Frames per second of images; None for 25. A video has its own.
        overwrite: Replace a target that exists.
        scale: Output size over input size; ``scale``, ``size`` or ``fit`` resample the output once.
        size: Rows and columns of the output.
        fit: Pixels of the output's shorter side.
        hwaccel: See ``open_reader``.
        in_process: See ``open_writer``.
        keep_start: See ``open_reader``.
        deinterlace: See ``open_reader``.
        compare: Write a comparison with the input; None for the result alone.
        resume: Continue an interrupted run with the same options, if there is one; a target that
            exists without a journal is complete and skipped.
        cluster: Address of a Ray cluster whose workers share the work: ``local``, ``auto``,
            ``HOST:PORT`` or ``ray://HOST:PORT``; None for this process.
        devices: Devices of this machine that share the work, such as ``cuda:0``.
        worker_cores: Cores of a worker without a GPU; None for four, or all of a smaller machine.
        mixed_machines: Use machines whose arithmetic gives other bits, too.
        storage: fsspec address of a folder that all machines of the cluster reach, for the source
            and for segments; None if they see the files of this one, or for Ray's object store.
        segment: Maximum number of frames lost by an interruption; a
            longer run keeps a journal beside the target. 0 disables it.
    """

    model: str = AUTO_MODEL
    scene_models: tuple[SceneModel, ...] = ()
    weights: str | Path | None = None
    fidelity: float | None = None
    faces: str | Path | None = None
    face_detector: str | Path | None = None
    guard_artifacts: bool | None = None
    strength_map: str = OFF
    steady: bool = False
    skip_still: bool = False
    show_map: str | None = None
    chunk: int | None = None
    look_ahead: int | str | None = None
    tiles: tuple[int, int] | None = None
    memory: str | None = None
    scenes: str = AUTO
    parallel_scenes: int = 1
    device: str = "auto"
    precision: str = "auto"
    encoder: str | None = None
    encode_args: Sequence[str] = ()
    start_s: float | None = None
    end_s: float | None = None
    frame_rate: Fraction | None = None
    overwrite: bool = False
    scale: float | None = None
    size: tuple[int, int] | None = None
    fit: int | None = None
    hwaccel: str | None = None
    in_process: bool = False
    keep_start: bool = False
    deinterlace: Deinterlacing = "auto"
    compare: Mode | None = None
    resume: bool = False
    cluster: str | None = None
    devices: tuple[str, ...] = ()
    worker_cores: int | None = None
    mixed_machines: bool = False
    storage: str | None = None
    segment: int = SEGMENT_FRAMES

    @property
    def asked(self) -> RequestedSettings:
        """The step sizes set by the user."""
        return RequestedSettings(chunk=self.chunk, look_ahead=self.look_ahead, tiles=self.tiles)

    @property
    def output_size(self) -> RequestedSize:
        """The requested output size."""
        return RequestedSize(scale=self.scale, size=self.size, fit=self.fit)

    @property
    def says_size(self) -> bool:
        """Whether a size of the output is requested."""
        return self.output_size != RequestedSize()

    def given(self) -> set[str]:
        """Names of the options that differ from their defaults."""
        return {f.name for f in fields(self) if getattr(self, f.name) != f.default}

    def recorded(self) -> dict[str, Any]:
        """Options stored in the journal: a resumed run must have the same."""
        names = (f.name for f in fields(self) if f.name not in _LEAVES_OUTPUT)
        return {name: getattr(self, name) for name in names}


DEFAULTS = RestoreOptions()
"""Those of ``vsr restore`` without any option."""
