"""Options of a restoration that the page offers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from vsr.models.catalogue import AUTO_MODEL, DEFAULT_MODEL, FACE_MODELS, MODELS, weights_path
from vsr.models.checkpoints.cache import is_cached
from vsr.models.checkpoints.face_zoo import DEFAULT_FACES, DETECTOR
from vsr.models.checkpoints.model import Model
from vsr.web.errors import RequestError

HEIGHTS = (480, 720, 1080, 1440, 2160)
"""Target sizes: pixels of the shorter side."""

DEINTERLACING = ("auto", "off", "frame")
"""Choices of ``--deinterlace`` but ``field``, whose two frames from one cannot be compared."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of ``vsr restore``, by their names there.

    Attributes:
        model: One of ``offered_models``, or ``auto``.
        fidelity: 0 to 1, for models with two sets of weights, and for faces; None for the
            published mix, and the default of faces.
        fit: Pixels of the output's shorter side; None for the model's output size.
        deinterlace: One of ``DEINTERLACING``.
        faces: Whether faces are restored, too.
    """

    model: str = AUTO_MODEL
    fidelity: float | None = None
    fit: int | None = None
    deinterlace: Literal["auto", "off", "frame"] = "auto"
    faces: bool = False

    def words(self) -> list[str]:
        """The options as words of the command line."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "faces"}
        words = [
            word
            for name, value in given.items()
            if value not in {None, "auto"}
            for word in (f"--{name}", str(value))
        ]
        return [*words, "--faces"] if self.faces else words


def offered_models() -> list[dict[str, Any]]:
    """The automatic choice, and the models whose weights are available here."""
    names = sorted(filter(is_here, MODELS), key=lambda name: name != DEFAULT_MODEL)
    summary = "the one that fits the film, the size and how coarsely it was coded"
    return [
        {"name": AUTO_MODEL, "summary": summary, "scale": None, "fidelity": None},
        *map(_offered, names),
    ]


def _offered(name: str) -> dict[str, Any]:
    model = MODELS[name]
    return {
        "name": name,
        "summary": model.summary,
        "scale": model.scale,
        "fidelity": _published_fidelity(model),
    }


def is_here(model: str) -> bool:
    """Whether a model can be used without pulling or naming weights."""
    path = weights_path(model)
    return not MODELS[model].needs_weights and (path is None or path.exists())


def missing_for_faces() -> list[str]:
    """Names of the models that have to be pulled before faces can be restored."""
    needed = (DEFAULT_FACES, DETECTOR)
    return [name for name in needed if not any(map(is_cached, FACE_MODELS[name].releases))]


def parse_options(given: object) -> Options:
    """Check the options that a page sent.

    Raises:
        RequestError: An unknown option, or a value that is not offered.
    """
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise RequestError("options are an object of names and values")
    if unknown := set(given) - {f.name for f in fields(Options)}:
        raise RequestError(f"unknown options: {', '.join(sorted(unknown))}")
    options = Options(**given)
    if not isinstance(options.model, str) or options.model not in {AUTO_MODEL, *MODELS}:
        raise RequestError(f"the model {options.model!r} is unknown; `vsr models` lists them")
    if options.model != AUTO_MODEL and not is_here(options.model):
        raise RequestError(f"{options.model} is not here; `vsr models pull {options.model}` first")
    if options.fidelity is not None and not _within(options.fidelity, 0, 1):
        raise RequestError(f"fidelity is a number from 0 to 1, not {options.fidelity!r}")
    if options.fit is not None and options.fit not in HEIGHTS:
        raise RequestError(f"the size {options.fit!r} is not offered; choose one of {HEIGHTS}")
    if options.deinterlace not in DEINTERLACING:
        raise RequestError(f"deinterlacing is one of {', '.join(DEINTERLACING)}")
    if not isinstance(options.faces, bool):
        raise RequestError(f"faces is true or false, not {options.faces!r}")
    if options.faces and (missing := missing_for_faces()):
        pulls = " and ".join(f"`vsr models pull {name}`" for name in missing)
        raise RequestError(f"faces cannot be restored yet; {pulls} first")
    return options


def _published_fidelity(model: Model) -> float | None:
    """The mix of weights as published; None for a model that has only one set of them here."""
    return model.fidelity if model.faithful and is_here(model.faithful) else None


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
