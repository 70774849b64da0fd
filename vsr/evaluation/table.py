"""The table of an evaluation: columns, cells, and the lines below it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vsr.evaluation.published import PSNR_OF_CLIPS, published
from vsr.evaluation.results import ClipResult, Evaluation, mean

HEADINGS = {
    "psnr_y": "PSNR-Y",
    "ssim_y": "SSIM-Y",
    "psnr_rgb": "PSNR-RGB",
    "ssim_rgb": "SSIM-RGB",
    "tof": "tOF",
    "warp": "warp 10⁻³",
    "warp_truth": "warp of truth",
    "vmaf": "VMAF",
    "vmaf_neg": "VMAF-NEG",
    "cambi": "CAMBI",
    "niqe": "NIQE",
    "brisque": "BRISQUE",
    "lpips": "LPIPS",
    "dists": "DISTS",
    "raim2026": "RAIM 2026",
    "ntire": "NTIRE",
}
"""Heading of each score; pyiqa's other scores are headed by their own names."""

_DIGITS = {"psnr_y": 3, "psnr_rgb": 3, "warp": 3, "warp_truth": 3}
_DIGITS |= {"vmaf": 2, "vmaf_neg": 2, "cambi": 3, "niqe": 3, "brisque": 2, "raim2026": 3}

FOLDED_FROM = 60
"""Clips from which on tables are folded, and frames are drawn of the first clips only."""

Table = tuple[list[str], list[list[str]]]


def clips_table(evaluation: Evaluation) -> Table:
    """Headings and rows: a row for each clip, then the mean.

    Where both ways were taken, the scores are those of the stream, and two columns follow: the
    whole clip's, and the loss of streaming.
    """
    first = evaluation.ways[0]
    results = evaluation.of_way(first)
    keys = _keys(evaluation, results)
    whole = {result.clip: result.means for result in evaluation.of_way("whole")}
    both = len(evaluation.ways) == 2
    of_clips = PSNR_OF_CLIPS.get((evaluation.title, evaluation.model), {})
    headings = ["clip", "frames", *(heading(key) for key in keys)]
    if both:
        headings += [f"whole {heading(evaluation.headline)}", "loss dB"]
    headings += ["published"] if of_clips else []
    headings += ["frames/s"]
    rows = []
    for result in results:
        row = [result.clip, str(len(result.frames)), *_cells(result.means, keys)]
        if both:
            row += _loss(result.means, whole[result.clip], evaluation.headline)
        row += (
            [f"{of_clips[result.clip]:.2f}" if result.clip in of_clips else ""] if of_clips else []
        )
        rows.append([*row, _rate([result])])
    row = ["mean", str(sum(len(result.frames) for result in results))]
    row += _cells(evaluation.means(first), keys)
    if both:
        row += _loss(evaluation.means(first), evaluation.means("whole"), evaluation.headline)
    row += [f"{mean(list(of_clips.values())):.2f}"] if of_clips else []
    return headings, [*rows, [*row, _rate(results)]]


def published_table(evaluation: Evaluation) -> Table:
    """Headings and rows: this run, then what was published on the same data, best first."""
    channels = evaluation.channels
    figures = published(evaluation.title, evaluation.degradation)
    rows = [
        [
            f"{evaluation.name}, {way}",
            *_cells(evaluation.means(way), _compared(channels)),
            "this run",
        ]
        for way in evaluation.ways
    ]
    ranked = sorted(figures.items(), key=lambda item: -item[1].psnr_db)
    rows += [
        [model, f"{figure.psnr_db:.3f}", f"{figure.ssim:.4f}", figure.source]
        for model, figure in ranked
        if figure.channels == channels
    ]
    return ["network", f"PSNR-{channels}", f"SSIM-{channels}", "source"], rows


def sentence(evaluation: Evaluation) -> str:
    """Summary of the table in one line."""
    made = "made here" if evaluation.made else "as it lies there"
    settings = evaluation.settings
    words = [
        f"{evaluation.title}, {evaluation.degradation} input {made}",
        f"{evaluation.name} {' and '.join(evaluation.ways)}",
    ]
    if "streamed" in evaluation.ways:
        words.append(f"chunk {settings['chunk']}, look-ahead {settings['look_ahead']}")
    if settings["ensemble"]:
        words.append(f"ensemble {'+'.join(settings['ensemble'])}")
    words.append("rounded to 8 bit" if settings["rounded"] else "not rounded")
    words.append(f"border crop {settings['crop']}" if settings["crop"] else "no border crop")
    return "; ".join(words)


def heading(key: str) -> str:
    """Heading of the column of a score."""
    return HEADINGS.get(key, key)


def cell(key: str, value: float | None) -> str:
    """A score as text."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "inf"
    return f"{value:.{_DIGITS.get(key, 4)}f}"


def _keys(evaluation: Evaluation, results: Sequence[ClipResult]) -> list[str]:
    """Scores in the order of columns: those that published tables compare come first."""
    first = _compared(evaluation.channels)
    present = {key: None for result in results for key in result.scores}
    return [*first, *(key for key in present if key not in first)]


def _compared(channels: str) -> list[str]:
    return [f"{kind}_{channels.lower()}" for kind in ("psnr", "ssim")]


def _cells(means: Mapping[str, float], keys: Sequence[str]) -> list[str]:
    return [cell(key, means.get(key)) for key in keys]


def _loss(streamed: Mapping[str, float], whole: Mapping[str, float], headline: str) -> list[str]:
    a, b = streamed[headline], whole[headline]
    # Both may be infinite; adding zero turns -0.0 into 0.0.
    loss = 0.0 if a == b else round(b - a, 3) + 0.0
    return [cell(headline, b), f"{loss:+.3f}"]


def _rate(results: Sequence[ClipResult]) -> str:
    seconds = sum(result.restore_seconds for result in results)
    frames = sum(result.restored_frames for result in results)
    return f"{frames / seconds:.1f}" if seconds else "-"
