"""Results as values and as JSON.

An infinite PSNR, of frames that are equal, is the text "inf" in JSON; a frame that has no score of
a kind has null.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vsr.errors import OpenError

Scores = dict[str, list[float | None]]
"""Scores of each frame, by key of ``headings``."""


@dataclass(frozen=True, kw_only=True)
class ClipResult:
    """Scores of one clip in one mode.

    Attributes:
        clip: Name of the clip.
        way: ``streamed`` or ``whole``.
        frames: Names of the frames that were scored.
        height: Rows of the ground truth.
        width: Columns of the ground truth.
        scores: Scores of every frame, by name.
        restore_seconds: Time in the network, while earlier frames were scored in parallel.
        score_seconds: Time of scoring.
        restored_frames: Number of restored frames; several passes over a frame count once.
        passed_through: Frames that were only enlarged, not restored.
        peak_host_bytes: Largest resident size of the process so far.
        peak_device_bytes: Most memory held on a CUDA device while the clip was restored.
        truth_checksum: Checksum of the ground truth's files.
        input_checksum: Checksum of the input's files; None where it was made from the ground truth.
        pictures: PNG files in base64, see ``PictureTaker.finish``.
    """

    clip: str
    way: str
    frames: tuple[str, ...]
    height: int
    width: int
    scores: Scores
    restore_seconds: float
    score_seconds: float
    restored_frames: int
    passed_through: int
    peak_host_bytes: int
    peak_device_bytes: int | None
    truth_checksum: str
    input_checksum: str | None
    pictures: dict[str, str] = field(default_factory=dict)

    @property
    def means(self) -> dict[str, float]:
        """Mean of each score over the frames that have it."""
        return {key: mean(values) for key, values in self.scores.items() if _known(values)}

    @property
    def fps(self) -> float:
        """Frames per second of the network."""
        return self.restored_frames / self.restore_seconds if self.restore_seconds else math.inf


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores of a data set in one or two modes.

    Attributes:
        title: Title of the data set.
        channels: Channels that published figures compare: ``RGB`` or ``Y``.
        degradation: Degradation of the input.
        made: Whether the input was made from the ground truth here.
        model: The model as given by the user.
        ways: ``streamed``, ``whole`` or both.
        results: Each clip in each way; clips in the data set's order.
        notes: What is missing or unusual, a sentence each.
        settings: All settings, by name.
        origin: Versions, machine, checksums.
        seconds: Time from the first clip to the last, without reused results.
        reused: Number of results of an earlier run.
    """

    title: str
    channels: str
    degradation: str
    made: bool
    model: str
    ways: tuple[str, ...]
    results: tuple[ClipResult, ...]
    notes: tuple[str, ...]
    settings: dict[str, Any]
    origin: dict[str, Any]
    seconds: float
    reused: int

    @property
    def name(self) -> str:
        """The model, without the folder where it is a file."""
        return Path(self.model).name

    def of_way(self, way: str) -> list[ClipResult]:
        """The results of one way."""
        return [result for result in self.results if result.way == way]

    def means(self, way: str) -> dict[str, float]:
        """Mean over clips of the means over frames."""
        clips = [result.means for result in self.of_way(way)]
        keys = dict.fromkeys(key for clip in clips for key in clip)
        return {key: mean([clip.get(key) for clip in clips]) for key in keys}

    @property
    def headline(self) -> str:
        """The key of the score that published tables compare."""
        return f"psnr_{self.channels.lower()}"

    @property
    def loss_db(self) -> float | None:
        """PSNR loss of streaming against the whole clip in dB; None unless both were measured."""
        if len(self.ways) < 2:
            return None
        whole, streamed = (self.means(way)[self.headline] for way in ("whole", "streamed"))
        return 0.0 if whole == streamed else whole - streamed


def mean(values: Sequence[float | None]) -> float:
    """Mean of the existing values."""
    known = _known(values)
    return math.fsum(known) / len(known)


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON has it, with means, without pictures."""
    facts = asdict(evaluation) | {
        "means": {way: evaluation.means(way) for way in evaluation.ways},
        "loss_db": evaluation.loss_db,
    }
    for result, described in zip(evaluation.results, facts["results"], strict=True):
        described.pop("pictures")
        described["means"] = result.means
    plain: dict[str, Any] = _without_infinity(facts)
    return plain


class ResultStore:
    """Results of clips in a folder, so that an interrupted run can resume.

    Args:
        folder: Folder of the results; created with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, clip: str, way: str, fingerprint: str) -> ClipResult | None:
        """The result of a clip; None if it is not here, or belongs to other settings or files."""
        try:
            kept = json.loads(self._path(clip, way).read_text(encoding="utf-8"))
            if kept["fingerprint"] != fingerprint:
                return None
            return ClipResult(**_with_infinity(kept["result"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, result: ClipResult, fingerprint: str) -> None:
        """Write a result; a file under its final name is always whole.

        Raises:
            OpenError: It cannot be written.
        """
        path = self._path(result.clip, result.way)
        content = {"fingerprint": fingerprint, "result": _without_infinity(asdict(result))}
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(content), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise OpenError(
                f"'{path}' cannot be written ({error.strerror}); give a folder with room"
            ) from error

    def _path(self, clip: str, way: str) -> Path:
        return self._folder / way / f"{clip.replace('/', '__')}.json"


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _without_infinity(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Mapping):
        return {key: _without_infinity(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinity(item) for item in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _with_infinity(result: dict[str, Any]) -> dict[str, Any]:
    """A clip's result from its JSON."""
    scores = {
        key: [float(value) if isinstance(value, str) else value for value in values]
        for key, values in result["scores"].items()
    }
    return result | {"scores": scores, "frames": tuple(result["frames"])}
