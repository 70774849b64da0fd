"""Options suggested from an assessment, and the assessment of a real film."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Served
from vsr.models.catalogue import AUTO_MODEL
from vsr.web.options import Options
from vsr.web.suggestions import suggest


def assessment(*, height: int = 360, **means: float) -> dict[str, Any]:
    """What ``vsr assess --json`` prints of a film of 16:9, coarsely coded by default."""
    means = {"coding": 0.5, "combing": 0.0, "enlarged": 0.0} | means
    return {
        "width": height * 16 // 9,
        "height": height,
        "means": means,
        "summary": "nothing notable",
    }


def test_an_ordinary_film_gets_the_defaults() -> None:
    assert suggest(assessment()).options == Options()
    assert suggest(assessment()).reasons == ()


def test_a_combed_film_is_deinterlaced() -> None:
    assert suggest(assessment(combing=0.4)).options.deinterlace == "frame"


@pytest.mark.parametrize(
    ("height", "enlarged", "fit"),
    [
        (360, 0.0, None),
        (720, 0.5, 1440),
        (1080, 1.0, 1080),
        (1080, 0.0, None),
        (2160, 0.0, 2160),
        (4320, 0.0, None),
    ],
)
def test_the_size_follows_the_real_pixels_and_screens(
    height: int, enlarged: float, fit: int | None
) -> None:
    assert suggest(assessment(height=height, enlarged=enlarged)).options.fit == fit


def test_every_setting_that_is_not_the_default_has_a_reason() -> None:
    suggestion = suggest(assessment(height=720, combing=1.0, enlarged=0.5))
    assert len(suggestion.reasons) == 2


@pytest.mark.slow
def test_a_film_is_assessed_at_a_moment(served: Served) -> None:
    film = served.films()["first.mp4"]
    answer = served.post(f"/api/films/{film['id']}/suggestion", {"at": 0.1})
    assert answer.status == 200
    assert answer.json["found"]
    assert answer.json["options"]["model"] == AUTO_MODEL
    late = served.post(f"/api/films/{film['id']}/suggestion", {"at": 1000})
    assert late.status == 422
    assert "no frame" in late.json["error"]
