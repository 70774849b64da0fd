"""An evaluation as one page of HTML: nothing is loaded from elsewhere, nothing runs in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from html import escape
from pathlib import Path

from vsr.errors import OpenError
from vsr.evaluation.html import Series, facts, image, line_chart, page, table
from vsr.evaluation.pictures import VIEWS
from vsr.evaluation.results import ClipResult, Evaluation, to_json
from vsr.evaluation.table import (
    FOLDED_FROM,
    cell,
    clips_table,
    heading,
    published_table,
    sentence,
)
from vsr.files import written_whole


def write_report(evaluation: Evaluation, folder: Path) -> Path:
    """Write ``index.html`` and ``results.json``; returns the page.

    Raises:
        OpenError: The folder cannot be written to.
    """
    target = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OpenError(
            f"'{folder}' cannot be written to ({error.strerror}); give another folder to --report"
        ) from error
    with written_whole(folder / "results.json") as part:
        part.write_text(json.dumps(to_json(evaluation)), encoding="utf-8")
    with written_whole(target) as part:
        part.write_text(render(evaluation), encoding="utf-8")
    return target


def render(evaluation: Evaluation) -> str:
    """The page."""
    title = f"{evaluation.name} on {evaluation.title}"
    sections = (
        _head(evaluation, title),
        _scores(evaluation),
        _published(evaluation),
        _curves(evaluation),
        _pictures(evaluation),
        _run(evaluation),
        _repeat(evaluation),
    )
    return page(title, sections)


def _head(evaluation: Evaluation, title: str) -> str:
    means = evaluation.means(evaluation.ways[0])
    keys = [evaluation.headline, evaluation.headline.replace("psnr", "ssim")]
    figures = [(heading(key), cell(key, means[key])) for key in keys]
    if evaluation.loss_db is not None:
        figures.append(("lost by streaming", f"{round(evaluation.loss_db, 3) + 0.0:+.3f} dB"))
    shown = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in figures)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in evaluation.notes)
    return (
        f"<h1>{escape(title)}</h1>\n<p class=quiet>{escape(sentence(evaluation))}</p>\n"
        f'<dl class="figures">{shown}</dl>\n{notes}'
    )


def _scores(evaluation: Evaluation) -> str:
    headings, rows = clips_table(evaluation)
    shown = table((headings, rows), last="mean")
    if len(rows) > FOLDED_FROM:
        folded = f"<details><summary>All {len(rows) - 1} clips</summary>{shown}</details>"
        shown = table((headings, rows[-1:]), last="mean") + folded
    return f"<h2>Scores</h2>\n{shown}"


def _published(evaluation: Evaluation) -> str:
    headings, rows = published_table(evaluation)
    if len(rows) == len(evaluation.ways):
        text = f"No figures of the networks in the catalogue are known on {evaluation.degradation}."
        return f"<h2>Next to published figures</h2>\n<p class=quiet>{escape(text)}</p>"
    own = len(evaluation.ways)
    return f"<h2>Next to published figures</h2>\n{table((headings, rows), first=own, text=(3,))}"


def _curves(evaluation: Evaluation) -> str:
    """PSNR of every frame, and what streaming loses on each, a chart for each clip."""
    name, key = heading(evaluation.headline), evaluation.headline
    psnr, loss = [], []
    for result in evaluation.of_way(evaluation.ways[0])[:FOLDED_FROM]:
        series = {other.way: other.scores[key] for other in _of_clip(evaluation, result)}
        psnr.append(_chart(result, series, f"{name} of every frame"))
        if len(series) == 2:
            loss.append(
                _chart(result, {"loss": _losses(series)}, "Lost by streaming on every frame")
            )
    keys = "".join(
        f'<span class="key-label"><span class="key line-{number}"></span>{escape(way)}</span>'
        for number, way in enumerate(evaluation.ways)
    )
    shown = (
        f"<h2>{name} of every frame, dB</h2>\n<p class=quiet>{keys}</p>\n"
        f'<div class="grid-of-charts">{"".join(psnr)}</div>'
    )
    if loss:
        shown += (
            "<h2>Lost by streaming on every frame, dB</h2>\n<p class=quiet>The whole clip's "
            f"{name} less the stream's: steps and teeth lie where chunks end.</p>\n"
            f'<div class="grid-of-charts">{"".join(loss)}</div>'
        )
    return shown


def _chart(result: ClipResult, series: Series, what: str) -> str:
    chart = line_chart(series, names=result.frames, unit="dB", label=f"{what} of {result.clip}")
    return f"<figure>{chart}<figcaption>{escape(result.clip)}</figcaption></figure>"


def _losses(series: Series) -> list[float | None]:
    """Whole less streamed; None where either is not finite."""
    pairs = zip(series["whole"], series["streamed"], strict=True)
    return [
        a - b if a is not None and b is not None and math.isfinite(a - b) else None
        for a, b in pairs
    ]


def _pictures(evaluation: Evaluation) -> str:
    """Details side by side, and a line of pixels over time, of the clips that have them."""
    first = evaluation.ways[0]
    shown = [result for result in evaluation.of_way(first) if result.pictures]
    if not shown:
        return ""
    parts = [
        "<h2>Pictures</h2>\n<p class=quiet>A detail of the middle frame, where bicubic enlargement "
        "is furthest from the ground truth; below it one line of its pixels over time, the first "
        "frame on top. Steady lines are steady motion, ragged ones flicker.</p>"
    ]
    for result in shown:
        views = [
            ("input", result.pictures, "input"),
            *((f"restored, {r.way}", r.pictures, "restored") for r in _of_clip(evaluation, result)),
            ("ground truth", result.pictures, "truth"),
        ]
        parts.append(f"<h3>{escape(result.clip)}</h3>")
        for kind in ("detail", "profile"):
            images = "".join(
                image(pictures[f"{kind}_{view}"], f"{name}, {kind} of {result.clip}", name, kind)
                for name, pictures, view in views
                if view in VIEWS and pictures
            )
            parts.append(f'<div class="views">{images}</div>')
    return "\n".join(parts)


def _run(evaluation: Evaluation) -> str:
    """Time and memory."""
    headings = ["clip", "way", "size", "frames", "network s", "scoring s", "frames/s", "peak MiB"]
    rows = [
        [
            result.clip,
            result.way,
            f"{result.width}x{result.height}",
            str(result.restored_frames),
            f"{result.restore_seconds:.2f}",
            f"{result.score_seconds:.2f}",
            f"{result.fps:.2f}",
            f"{(result.peak_device_bytes or result.peak_host_bytes) / 2**20:.0f}",
        ]
        for result in evaluation.results
    ]
    text = (
        f"{evaluation.seconds:.1f} s in all"
        + (f", {evaluation.reused} results kept from before" if evaluation.reused else "")
        + ". Scoring runs beside the network, so that the times overlap and, on a CPU, lengthen "
        "each other; the peak is that of the process up to the end of the clip, or, on a GPU, "
        "of its memory during the clip."
    )
    shown = table((headings, rows), text=(1,))
    if len(rows) > FOLDED_FROM:
        shown = f"<details><summary>All {len(rows)} results</summary>{shown}</details>"
    return f"<h2>Time and memory</h2>\n<p class=quiet>{escape(text)}</p>\n{shown}"


def _repeat(evaluation: Evaluation) -> str:
    """Everything needed to get the same figures again."""
    origin = dict(evaluation.origin)
    versions = origin.pop("versions")
    command = origin.pop("command")
    headings = ["clip", "frames", "ground truth, SHA-256", "input, SHA-256"]
    rows = [
        [
            result.clip,
            f"{result.frames[0]} to {result.frames[-1]}",
            result.truth_checksum,
            result.input_checksum or "made from it",
        ]
        for result in evaluation.of_way(evaluation.ways[0])
    ]
    return (
        f"<h2>To repeat it</h2>\n<pre>{escape(command)}</pre>\n"
        f"<h3>Settings</h3>\n{facts(evaluation.settings)}\n"
        f"<h3>Origin</h3>\n{facts(origin)}\n<h3>Versions</h3>\n{facts(versions)}\n"
        f"<details><summary>Checksums of the data</summary>\n"
        "<p class=quiet>First 16 digits, over names and SHA-256 sums of a clip's files.</p>"
        f"{table((headings, rows), text=(1, 2, 3))}</details>"
    )


def _of_clip(evaluation: Evaluation, result: ClipResult) -> Iterable[ClipResult]:
    return (other for other in evaluation.results if other.clip == result.clip)
