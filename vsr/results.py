"""Progress and summary of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_DOING = "restoring"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a run.

    Attributes:
        frames: Frames handed to the encoder.
        total: Expected number of frames; None if the source does not say.
        seconds: Seconds since the first frame was requested.
        resumed: Frames of an earlier run among them.
        workers: Frames per second of each worker of a cluster, by its name.
        doing: Activity of the run, as text.
    """

    frames: int
    total: int | None
    seconds: float
    resumed: int = 0
    workers: Mapping[str, float] = field(default_factory=dict)
    doing: str = DEFAULT_DOING


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Summary of a run.

    Attributes:
        output: Name of the result; it differs from the target if partial, and is empty
            if the run was stopped before the first frame.
        frames_in: Frames decoded.
        frames_out: Frames written to the output.
        passed_through: Frames enlarged without the network.
        corrupt: Damaged frames of the source; the decoder's best effort was restored.
        scenes: Number of scenes.
        resets: Times the state was discarded, after divergence or a change of tiles.
        retries: Steps repeated with smaller settings after memory ran out.
        settings: Last step sizes; smaller than planned after retries.
        seconds: Seconds from the first requested frame to the closed output.
        fps: Frames of this run per second.
        peak_memory_bytes: Peak resident size of the process.
        peak_device_bytes: Peak tensor memory on a CUDA device.
        interrupted: Whether the run was stopped before the end.
        resumed: Frames of an earlier run among those encoded.
        added: Frames that the encoder's arguments (``-vf fps=50``) added to those
            restored; negative if they removed some.
        size_changes: Times that the frame size of the source changed; all frames were scaled
            to the first one's.
        model: Name or file of the model; empty where nothing was restored.
        blank: Frames of a single colour that the network made from pictures, among those looked at.
        guarded: Frames in which a guard has replaced artefacts.
        skipped: Whether the complete output existed already, so that there was nothing to resume.
        workers: Frames per second of each worker of a cluster, by its name.
        faces: Faces restored, each once in every frame that shows it.
        faces_left_alone: Faces found and not restored, each once in every frame, by reason:
            ``small``, ``sharp``, ``turned`` or ``unsure``.
    """

    output: str
    frames_in: int
    frames_out: int
    passed_through: int
    corrupt: int
    scenes: int
    resets: int
    retries: int
    settings: str
    seconds: float
    fps: float
    peak_memory_bytes: int
    peak_device_bytes: int | None
    interrupted: bool
    resumed: int = 0
    added: int = 0
    size_changes: int = 0
    skipped: bool = False
    blank: int = 0
    guarded: int = 0
    model: str = ""
    workers: Mapping[str, float] = field(default_factory=dict)
    faces: int = 0
    faces_left_alone: Mapping[str, int] = field(default_factory=dict)


def nothing_done(output: str, frames: int = 0, *, skipped: bool = False) -> Summary:
    """The summary of a run whose output existed already."""
    return Summary(
        output=output,
        frames_in=frames,
        frames_out=frames,
        passed_through=0,
        corrupt=0,
        scenes=0,
        resets=0,
        retries=0,
        settings="",
        seconds=0.0,
        fps=0.0,
        peak_memory_bytes=0,
        peak_device_bytes=None,
        interrupted=False,
        resumed=frames,
        skipped=skipped,
    )
