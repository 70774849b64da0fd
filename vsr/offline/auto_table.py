"""The table of ``--model auto``: from the severities of a scene to the model that restores it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import vsr.configs
from vsr.assessment.scene import KINDS, SceneAssessment
from vsr.errors import ConfigurationError
from vsr.models.catalogue import AUTO_MODEL, MODELS
from vsr.toml_tables import read_toml

SUFFIX = ".toml"

TABLE = Path(vsr.configs.__path__[0]) / "auto.toml"
"""The table that ``auto`` means."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The model that restores matching scenes.

    Attributes:
        model: A name of the catalogue.
        fidelity: See ``load_network``.
        below: Severities by kind that a scene is under.
        above: Severities by kind that a scene is over.
        confidence: Least confidence by kind.
    """

    model: str
    fidelity: float | None = None
    below: dict[str, float] = field(default_factory=dict)
    above: dict[str, float] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)

    @property
    def restores(self) -> tuple[str, float | None]:
        """Model and fidelity."""
        return self.model, self.fidelity

    @property
    def is_for_all(self) -> bool:
        """Whether it fits every scene."""
        return not (self.below or self.above or self.confidence)

    def fits(self, scene: SceneAssessment, slack: float = 0.0) -> bool:
        """Whether a scene fits; ``slack`` widens all limits, or narrows them where negative."""
        found = scene.findings
        return (
            all(found[kind].severity < most + slack for kind, most in self.below.items())
            and all(found[kind].severity > least - slack for kind, least in self.above.items())
            and all(found[kind].confidence >= least for kind, least in self.confidence.items())
        )

    def reasons(self, scene: SceneAssessment) -> str:
        """The findings that it depends on, as text; empty for a row that fits all scenes."""
        kinds = dict.fromkeys([*self.below, *self.above])
        return ", ".join(f"{kind} {scene.findings[kind].severity:.2f}" for kind in kinds)


@dataclass(frozen=True, kw_only=True)
class AutoTable:
    """Rows in order.

    Attributes:
        row: The first one that fits is taken.
        hold: How far a severity has to pass a limit before a later scene gets another row.
    """

    row: tuple[Row, ...]
    hold: float = 0.0

    def of_scale(self, scale: int) -> tuple[Row, ...]:
        """The rows whose model has a scale, up to the first that fits all scenes."""
        rows = [row for row in self.row if MODELS[row.model].scale == scale]
        last = next((i for i, row in enumerate(rows) if row.is_for_all), len(rows))
        return tuple(rows[: last + 1])


def names_table(model: str) -> bool:
    """Whether a value of ``--model`` names a table instead of a model."""
    return model == AUTO_MODEL or model.endswith(SUFFIX)


def read_table(model: str) -> AutoTable:
    """Read the table that a value of ``--model`` names.

    Raises:
        ConfigurationError: See ``read_toml``; an unknown model or kind of damage, or no row for
            all scenes of a scale.
    """
    path = TABLE if model == AUTO_MODEL else Path(model)
    table = read_toml(AutoTable, path)
    for row in table.row:
        _check(row, str(path))
    for scale in {MODELS[row.model].scale for row in table.row}:
        if scale is None or not table.of_scale(scale)[-1].is_for_all:
            raise ConfigurationError(
                f"'{path}' has no row for all scenes that are enlarged x{scale}; add one without "
                "conditions behind the others"
            )
    return table


def _check(row: Row, where: str) -> None:
    entry = MODELS.get(row.model)
    if entry is None or entry.needs_weights or entry.scale is None:
        usable = [n for n, known in MODELS.items() if known.scale and not known.needs_weights]
        raise ConfigurationError(
            f"{where}: model {row.model!r} is unknown, or comes without weights; give one of "
            f"{', '.join(usable)}"
        )
    if row.fidelity is not None and not entry.faithful:
        raise ConfigurationError(f"{where}: {row.model} has one end; leave its fidelity out")
    if unknown := sorted({*row.below, *row.above, *row.confidence} - {*KINDS}):
        raise ConfigurationError(
            f"{where}: {unknown[0]!r} is no kind of damage; known are {', '.join(KINDS)}"
        )


def choose_rows(rows: Sequence[Row], scenes: Iterable[SceneAssessment], hold: float) -> list[Row]:
    """The row of each scene: the first that fits, with hysteresis.

    A scene too short to be measured keeps the row of the one before. For the row of the scene
    before limits are wider by ``hold``, for all others narrower.

    Args:
        rows: In order; the last fits all scenes.
        scenes: In order.
        hold: As in ``AutoTable``.
    """
    chosen: list[Row] = []
    for scene in scenes:
        before = chosen[-1] if chosen else None
        if before is not None and not is_measured(scene):
            chosen.append(before)
        else:
            chosen.append(next(row for row in rows if row.fits(scene, _slack(row, before, hold))))
    return chosen


def is_measured(scene: SceneAssessment) -> bool:
    """Whether a scene is long enough, and its frames large enough, to be measured."""
    return scene.findings["noise"].confidence > 0


def _slack(row: Row, before: Row | None, hold: float) -> float:
    if before is None:
        return 0.0
    return hold if row.restores == before.restores else -hold
