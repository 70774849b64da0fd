"""Assessment of one scene: measured frame by frame, and on a few windows of consecutive frames.

T time, H, W size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.assessment.features import colour_noise
from vsr.assessment.regression import LEARNT, Assessor
from vsr.assessment.samples import coding_severity

GROUP = 4
"""Consecutive frames that are measured together."""

GROUP_EVERY, MOST_GROUPS = 40, 4
"""Frames from one group to the next, and how many a scene has at most."""

LEAST_SIDE = 64
"""Frames with a shorter side are too small to be measured."""

WINDOW = 256
"""Side of the windows that are measured, in pixels: that of the training samples."""

ROOM = 1.5
"""Side of a frame over that of a window from which on two windows lie along it."""

STILL = 0.2 / 255
"""Mean difference of pixels under which a frame repeats the one before it: a hand-held camera that
stands still moves them by more, a repeated frame is coded with nearly none."""

UNSURE = 0.45
"""Severity of coding that is read from the pixels of clean footage: that of nine in ten clips that
were never coded is less, and that of films coded at H.264's quantiser 28 is more."""

SMALL_SIDE = 36
"""Rows and columns, at least, that a frame is reduced to, or picked from it, for its brightness."""

CADENCE = 5
"""Frames after which the pattern of film at 24 frames in video of 60 fields repeats."""

LEAST_GROUPS, BY_CHANCE = 6, 0.25
"""Groups of so many frames that are needed to tell the pattern from chance, and the share of them
that has it by chance: interlaced clips had up to 0.22."""

LEAST_UNEVEN = 0.1
"""Logarithm of one field's change over the other's that a repeated field shows at least."""

MOST_COLOUR_NOISE = 8.0
"""Standard deviation of noise in Cb and Cr, in levels of 8 bits, that counts as severity 1."""

MEASURED = ("colour_noise", "combing", "telecine", "banding", "flicker", "frozen", "exposure")
"""Severities that are computed from the frames directly."""

KINDS = (*LEARNT, *MEASURED)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Severity of one kind of damage, and the confidence in it, both 0 to 1."""

    severity: float
    confidence: float


@dataclass(frozen=True, kw_only=True)
class SceneAssessment:
    """Degradations found in one scene.

    Attributes:
        start_s: Time of its first frame in seconds.
        end_s: Time of its last frame.
        frames: Number of frames.
        findings: By kind of damage, all of ``KINDS``.
        qp: Mean quantiser in H.264's scale; None where the codec does not tell.
    """

    start_s: float
    end_s: float
    frames: int
    findings: dict[str, Finding]
    qp: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class WorstWindow:
    """The measured window of a scene with the most severe damage.

    Attributes:
        kind: The kind of damage, one of ``LEARNT``.
        severity: Its severity there, 0 to 1.
        pixels: Its first frame, (3, h, w), uint8.
    """

    kind: str
    severity: float
    pixels: Tensor


@dataclass
class SceneMeasurements:
    """Measurements of one scene while its frames come.

    Attributes:
        assessor: What looks at the windows.
        times: Seconds of each frame.
        described: What the assessor is told of each window of each group.
        colour_noise: Noise in the colours of each window, in levels.
        combing: Combing of each group.
        banding: Banding of each group.
        luma: Mean luma of each frame.
        bright: Brightness of each frame that a hundredth of it passes.
        burnt: Share of white pixels of each frame.
        changes: Mean difference of each frame's two fields from those of the frame before.
        keeps_detail: Whether the file's own coding can have taken nothing away: damage by coding
            is older then, less likely, and has to be plain to see.
    """

    assessor: Assessor
    times: list[float] = field(default_factory=list)
    described: list[Tensor] = field(default_factory=list)
    colour_noise: list[float] = field(default_factory=list)
    combing: list[float] = field(default_factory=list)
    banding: list[float] = field(default_factory=list)
    luma: list[float] = field(default_factory=list)
    bright: list[float] = field(default_factory=list)
    burnt: list[float] = field(default_factory=list)
    changes: list[tuple[float, float]] = field(default_factory=list)
    keeps_detail: bool = False
    shown: list[Tensor] | None = None
    _last: Tensor | None = None
    _group: list[Tensor] = field(default_factory=list)

    def add(self, frame: Tensor, time_s: float) -> None:
        """Measure the next frame, (3, H, W) in [0, 1]."""
        factor = max(1, min(frame.shape[-2:]) // SMALL_SIDE)
        self.luma.append(float(F.avg_pool2d(frame, factor).mean()))
        # Single pixels: small lights at night would be lost in means.
        picked = frame[:, ::factor, ::factor].mean(0).flatten()
        self.bright.append(float(picked.topk(max(1, len(picked) // 100)).values[-1]))
        self.burnt.append(float((picked > 0.98).float().mean()))
        rows = frame.shape[1] // 2 * 2
        fields = frame[1, :rows, ::2].view(rows // 2, 2, -1)
        if self._last is not None:
            top, bottom = (fields - self._last).abs().mean((0, 2)).tolist()
            self.changes.append((top, bottom))
        self._last = fields
        place = len(self.times) % GROUP_EVERY
        self.times.append(time_s)
        if (
            min(frame.shape[-2:]) >= LEAST_SIDE
            and place < GROUP
            and len(self.combing) < MOST_GROUPS
        ):
            self._group.append(frame)
            if len(self._group) == GROUP:
                self._measure_group()

    def finish(self, qps: list[float]) -> SceneAssessment:
        """The assessment of the whole scene."""
        if len(self._group) > 1 and not self.described:
            self._measure_group()
        findings = self._learnt()
        qp = sum(qps) / len(qps) if qps else None
        if qp is None and self.keeps_detail:
            findings["coding"] = _doubted(findings["coding"])
        elif qp is not None:
            findings["coding"] = Finding(severity=round(coding_severity(qp), 3), confidence=1.0)
        return SceneAssessment(
            start_s=self.times[0],
            end_s=self.times[-1],
            frames=len(self.times),
            findings=findings | self._measured(),
            qp=None if qp is None else round(qp, 1),
        )

    def worst_window(self) -> WorstWindow | None:
        """The window that looks worst; None where none was kept."""
        if not self.shown:
            return None
        severity_NS = self.assessor.estimate(torch.stack(self.described)).severity
        number, kind = divmod(int(severity_NS.argmax()), len(LEARNT))
        return WorstWindow(
            kind=LEARNT[kind],
            severity=float(severity_NS[number, kind]),
            pixels=self.shown[number],
        )

    def _measure_group(self) -> None:
        group, self._group = torch.stack(self._group), []
        luma = group.mean(1) * 255
        self.combing.append(combing(luma))
        self.banding.append(banding(luma[0]))
        parts = windows(group)
        with torch.inference_mode():
            self.described += [self.assessor.describe(window) for window in parts]
        self.colour_noise += [colour_noise(window[0]) for window in parts]
        if self.shown is not None:
            self.shown += [window[0].mul(255).round().byte() for window in parts]

    def _learnt(self) -> dict[str, Finding]:
        if not self.described:  # a scene of one frame, or of tiny ones
            return {kind: Finding(severity=0.0, confidence=0.0) for kind in LEARNT}
        estimate = self.assessor.estimate(torch.stack(self.described))
        severity, confidence = estimate.severity.mean(0), estimate.confidence.mean(0)
        return {
            kind: Finding(severity=round(float(s), 3), confidence=round(float(c), 3))
            for kind, s, c in zip(LEARNT, severity, confidence, strict=True)
        }

    def _measured(self) -> dict[str, Finding]:
        count = len(self.times)
        repeats = sum(max(change) < STILL for change in self.changes)
        still = repeats == count - 1  # nothing moves: no frame is missing
        values = {
            "colour_noise": _mean(self.colour_noise) / MOST_COLOUR_NOISE,
            "combing": _mean(self.combing),
            "telecine": telecine(self.changes),
            "banding": _mean(self.banding),
            "flicker": flicker(self.luma),
            "frozen": 0.0 if still else repeats / (count - 1),
            "exposure": max(_mean(self.burnt), _darkness(_mean(self.bright))),
        }
        sure = 1.0 if count > 1 else 0.0
        return {
            kind: Finding(severity=round(min(1.0, value), 3), confidence=sure)
            for kind, value in values.items()
        }


def windows(group: Tensor) -> list[Tensor]:
    """Windows of a group, (T, 3, H, W): one where frames are little larger, else two along a side.

    Where there are two along both sides, a fifth lies in the middle.
    """
    height, width = group.shape[-2:]
    rows, columns = min(WINDOW, height), min(WINDOW, width)
    across = (0.5,) if width < ROOM * columns else (0.2, 0.8)
    down = (0.5,) if height < ROOM * rows else (0.2, 0.8)
    places = [*product(down, across)]
    if len(places) == 4:
        places.append((0.5, 0.5))
    tops = [(int(y * (height - rows)), int(x * (width - columns))) for y, x in places]
    return [group[..., y : y + rows, x : x + columns] for y, x in tops]


def combing(luma: Tensor) -> float:
    """Share of the moving blocks whose odd and even rows belong to different times; (T, H, W)."""
    moving = (luma[1:] - luma[:-1]).abs()
    middle, above, below = luma[1:, 2:-2], luma[1:, 1:-3], luma[1:, 3:-1]
    comb = ((middle - above) * (middle - below)).clamp(min=0).sqrt()
    same = (luma[1:, :-4] - middle).abs() + (luma[1:, 4:] - middle).abs()
    blocks = F.avg_pool2d(torch.stack((moving[:, 2:-2], comb, same), 1), 16)
    moves = blocks[:, 0] > 6
    combed = moves & (blocks[:, 1] > 4) & (blocks[:, 1] > blocks[:, 2])
    return float(combed.sum() / moves.sum()) if int(moves.sum()) > 8 else 0.0


def banding(luma: Tensor) -> float:
    """Share of the frame that is a smooth slope in steps of one or two levels; (H, W)."""
    levels = luma.round()
    across = (levels[:, 1:] - levels[:, :-1]).abs()[:-1]
    down = (levels[1:] - levels[:-1]).abs()[:, :-1]
    flat = ((across == 0) & (down == 0)).float()[None, None]
    steps = ((across > 0) | (down > 0)).float()[None, None]
    high = torch.maximum(across, down)[None, None]
    area = F.avg_pool2d(flat, 32) > 0.85
    stepped = (F.avg_pool2d(steps, 32) > 0.01) & (F.max_pool2d(high, 32) <= 2)
    return float((area & stepped).float().mean())


def telecine(changes: Sequence[tuple[float, float]]) -> float:
    """Share of the groups of five frames with the pattern of film in interlaced video.

    One of the five repeats one field of the frame before, and two frames later one repeats the
    other field: there the two fields' changes differ most.

    Args:
        changes: Mean difference of each frame's two fields from those of the frame before.
    """
    groups = len(changes) // CADENCE
    if groups < LEAST_GROUPS:
        return 0.0
    fields = torch.tensor(changes[: groups * CADENCE]).clamp(min=1e-5)
    first, second = fields.log().view(groups, CADENCE, 2).unbind(2)
    uneven = first - second
    apart = (uneven.argmax(1) - uneven.argmin(1)) % CADENCE
    clear = uneven.abs().amax(1) > LEAST_UNEVEN
    fitting = [
        clear & (apart == way) & (uneven.argmax(1) == place)
        for way in (2, CADENCE - 2)
        for place in range(CADENCE)
    ]
    share = float(torch.stack(fitting).float().mean(1).max())
    return max(0.0, share - BY_CHANCE) / (1 - BY_CHANCE)


def flicker(luma: list[float]) -> float:
    """How far frames are brighter or darker than both their neighbours; 10 levels are 1."""
    if len(luma) < 3:
        return 0.0
    values = torch.tensor(luma)
    off = values[1:-1] - (values[2:] + values[:-2]) / 2
    return min(1.0, float(off.abs().mean()) * 255 / 10)


def _doubted(coding: Finding) -> Finding:
    """A finding from pixels, less the level of clean footage."""
    severity = max(0.0, coding.severity - UNSURE) / (1 - UNSURE)
    return replace(coding, severity=round(severity, 3))


def _darkness(bright: float) -> float:
    """0 where the brightest hundredth begins at 0.2, 1 for black."""
    return max(0.0, 1 - bright / 0.2)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
