"""An assessment as one page of HTML, with pictures of the windows that look worst."""

from __future__ import annotations

import base64
import heapq
import io
import itertools
from html import escape
from pathlib import Path

from PIL import Image

from vsr.assessment.assess import NOTABLE, WORDS, Assessment
from vsr.assessment.scene import KINDS, SceneAssessment, WorstWindow
from vsr.evaluation.html import image, page, table
from vsr.evaluation.table import FOLDED_FROM
from vsr.files import written_whole

MOST_PICTURES = 12


class WorstWindows:
    """Keeps the worst windows of an assessment, at most one a scene, where damage is notable."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, int, SceneAssessment, WorstWindow]] = []
        self._numbers = itertools.count()

    def add(self, scene: SceneAssessment, window: WorstWindow) -> None:
        """Take the window of the next scene."""
        if window.severity < NOTABLE:
            return
        entry = (window.severity, -next(self._numbers), scene, window)
        heapq.heappush(self._kept, entry)
        if len(self._kept) > MOST_PICTURES:
            heapq.heappop(self._kept)

    @property
    def worst_first(self) -> list[tuple[SceneAssessment, WorstWindow]]:
        """Scenes and their windows."""
        return [(scene, window) for _, _, scene, window in sorted(self._kept, reverse=True)]


def write_page(assessment: Assessment, windows: WorstWindows, path: Path) -> None:
    """Write the page.

    Raises:
        OpenError: The file cannot be written.
    """
    with written_whole(path) as part:
        part.write_text(render(assessment, windows), encoding="utf-8")


def render(assessment: Assessment, windows: WorstWindows) -> str:
    """The page."""
    title = f"What ails {Path(assessment.source).name}"
    return page(title, [_head(assessment, title), _pictures(windows), _scenes(assessment)])


def _head(assessment: Assessment, title: str) -> str:
    means = "".join(
        f"<div><dt>{escape(kind)}</dt><dd>{assessment.severity(kind):.2f}</dd></div>"
        for kind in KINDS
    )
    count = len(assessment.scenes)
    scenes = "one scene" if count == 1 else f"{count} scenes"
    size = f"{assessment.width}x{assessment.height}, {scenes}"
    return (
        f"<h1>{escape(title)}</h1>\n<p>{escape(assessment.summary())}</p>\n"
        f"<p class=quiet>{size}. Severities from 0 to 1, the mean of all frames:</p>\n"
        f'<dl class="figures">{means}</dl>'
    )


def _pictures(windows: WorstWindows) -> str:
    shown = "".join(_picture(scene, window) for scene, window in windows.worst_first)
    if not shown:
        return ""
    return (
        "<h2>What looks worst</h2>\n<p class=quiet>The worst of the measured windows of a scene, "
        f'by what its pixels show.</p>\n<div class="windows">{shown}</div>'
    )


def _picture(scene: SceneAssessment, window: WorstWindow) -> str:
    file = io.BytesIO()
    Image.fromarray(window.pixels.permute(1, 2, 0).numpy()).save(file, "PNG")
    caption = f"{scene.start_s:.2f} s: {WORDS[window.kind]}, {window.severity:.2f}"
    return image(base64.b64encode(file.getvalue()).decode(), caption, caption, "window")


def _scenes(assessment: Assessment) -> str:
    headings = ["from s", "frames", "QP", *KINDS]
    rows = [
        [
            f"{scene.start_s:.2f}",
            str(scene.frames),
            "-" if scene.qp is None else f"{scene.qp:.0f}",
            *(f"{scene.findings[kind].severity:.2f}" for kind in KINDS),
        ]
        for scene in assessment.scenes
    ]
    shown = table((headings, rows))
    if len(rows) > FOLDED_FROM:
        shown = f"<details><summary>All {len(rows)} scenes</summary>{shown}</details>"
    return f"<h2>Scenes</h2>\n{shown}"
