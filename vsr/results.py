"""What a run tells its caller, while it runs and at its end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        frames: Frames handed to the encoder.
        total: Frames expected; None where the source does not say.
        seconds: Since the first frame was asked for.
        resumed: Frames of an earlier run among them.
    """

    frames: int
    total: int | None
    seconds: float
    resumed: int = 0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did.

    Attributes:
        output: Name of the result; a partial one's differs from the name asked for, and it is empty
            where the run was stopped before the first frame.
        frames_in: Frames decoded.
        frames_out: Frames of the output.
        passed_through: Frames of those that no network restored, only enlarged.
        corrupt: Frames that the source held damaged; what the decoder made of them was restored.
        scenes: Scenes that began, the first included.
        resets: Times the state was discarded: it had diverged, or the tiles changed.
        retries: Steps that were repeated with smaller settings after memory ran out.
        settings: Sizes of the last steps; smaller than planned where there were retries.
        seconds: From the first frame asked for to the closed output.
        fps: Frames of this run per second.
        peak_memory_bytes: Largest resident size of the process.
        peak_device_bytes: Most memory held on a CUDA device during the run.
        interrupted: Whether the run was stopped before the end.
        resumed: Frames of an earlier run among those encoded.
        added: Frames of the output that the encoder's arguments (``-vf fps=50``) added to those
            restored; negative where they left some out.
        size_changes: Times that the picture of the source changed its size; all frames were scaled
            to the first one's.
        skipped: Whether the output was there before, whole, so that nothing was left to resume.
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


def nothing_done(output: str, frames: int = 0, *, skipped: bool = False) -> Summary:
    """Of a run that found its output there; of an earlier one's frames, if they are known."""
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
