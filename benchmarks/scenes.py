"""How well cuts are found: ``python -m benchmarks.scenes``.

Precision and recall on generated footage with cuts, fades, dissolves, flashes, fast pans and shaky
cameras, next to ffmpeg's own threshold. A cut counts as found at its frame only; a gradual
transition, anywhere in it, and one that is not found costs nothing: pictures change little in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import click
from torch import Tensor

from benchmarks.scene_footage import Footage, sequences
from vsr.scenes.detector import Detector, reduce_frames
from vsr.streams.decode.scene_score import SceneScore
from vsr.types import Chunk

FIRST_SEED = 100
"""Those below were looked at while the detector's figures were chosen."""

FFMPEG_THRESHOLD = 10.0
"""The default threshold of ``scdet``."""

CHUNK = 16


@click.command()
@click.option("--sequences", "count", default=24, show_default=True)
@click.option("--first-seed", default=FIRST_SEED, show_default=True)
def main(count: int, first_seed: int) -> None:
    """Print precision and recall of the engine's detector and of ffmpeg's."""
    detectors: dict[str, Callable[[Tensor], list[int]]] = {
        "vsr": detect,
        f"ffmpeg, {FFMPEG_THRESHOLD:.0f}": detect_by_ffmpeg,
    }
    counts = {name: Counter[str]() for name in detectors}
    for footage in sequences(first_seed, count):
        for name, detector in detectors.items():
            counts[name] += score(footage, detector(footage.frames))
    for name, counted in counts.items():
        print_row(name, counted)


def detect(frames: Tensor) -> list[int]:
    """Frames that begin scenes, by the engine's detector, fed as a stream."""
    detector = Detector()
    chunks = [
        Chunk(
            frames=frames[i : i + CHUNK],
            pts=tuple(range(i, min(i + CHUNK, len(frames)))),
            time_base=Fraction(1, 25),
        )
        for i in range(0, len(frames), CHUNK)
    ]
    left = [out for chunk in chunks for out in detector.push(chunk)] + detector.drain()
    return [chunk.pts[i] for chunk in left for i in sorted(chunk.scene_starts)]


def detect_by_ffmpeg(frames: Tensor) -> list[int]:
    """Frames whose score is over ffmpeg's threshold."""
    reduced = reduce_frames(frames)
    scdet = SceneScore(*reduced.shape[1:3])
    return [i for i, x in enumerate(reduced) if scdet.compare(x).score >= FFMPEG_THRESHOLD]


def score(footage: Footage, found: list[int]) -> Counter[str]:
    """What was found, missed, and taken for a cut."""
    counted: Counter[str] = Counter()
    counted["cuts"] = len(footage.cuts)
    counted["cuts found"] = len(set(footage.cuts) & set(found))
    wrong = set(found) - set(footage.cuts)
    for kind, spans in footage.gradual.items():
        for first, last in spans:
            inside = {i for i in wrong if first <= i <= last}
            counted[kind] += 1
            counted[f"{kind} found"] += bool(inside)
            wrong -= inside
    for kind, spans in footage.disturbances.items():
        for first, last in spans:
            inside = {i for i in wrong if first <= i <= last + 1}
            counted[kind] += 1
            counted[f"wrong in {kind}"] += len(inside)
            wrong -= inside
    counted["wrong elsewhere"] = len(wrong)
    return counted


def print_row(name: str, counted: Counter[str]) -> None:
    """Precision and recall, and what they come from."""
    wrong = sum(n for kind, n in counted.items() if kind.startswith("wrong"))
    gradual = counted["fade found"] + counted["dissolve found"]
    right = counted["cuts found"] + gradual
    print(
        f"{name}: precision {right / max(1, right + wrong):.3f}, recall of cuts "
        f"{counted['cuts found'] / max(1, counted['cuts']):.3f}",
        *(f"  {kind}: {number}" for kind, number in sorted(counted.items())),
        sep="\n",
    )


if __name__ == "__main__":
    main()
