"""Print how well `vsr assess` orders damage: ``python -m scripts.assessor_figures DATA``.

DATA is the folder that ``vsr train configs/assess.toml`` is given. Whole frames of the videos held
out there are halved and degraded by known amounts, by one kind alone and by several at once, also
by encoders that training did not see. Clean clips of all videos and of some photographs show how
often something is reported that is not there.

T time, H, W size, N samples, S severities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.assessment.assess import Assessment
from vsr.assessment.regression import LEARNT, WEIGHTS, Assessor, load_assessor
from vsr.assessment.samples import (
    MOST_BLUR,
    MOST_ENLARGED,
    MOST_MOTION,
    MOST_NOISE,
    Amounts,
    draw_amounts,
    make_sample,
)
from vsr.assessment.scene import GROUP, SceneAssessment, SceneMeasurements
from vsr.quality import draw
from vsr.streams import open_reader
from vsr.toml_tables import read_toml
from vsr.training.assessor import NOTABLE, AssessorConfig, rank_correlation
from vsr.training.clips import PHOTOGRAPH_SUFFIXES, list_videos, load_photograph
from vsr.training.virtual_camera import CameraMotion, film, plan

CONFIG = Path(__file__).parents[1] / "configs" / "assess.toml"
TELLING = frozenset({"libx264", "mpeg4", "mpeg2video", "libvpx-vp9"})
"""Encoders whose quantisers the decoder tells."""

FRAMES, CLEAN_FRAMES = 8, 16
PHOTOGRAPHS, PHOTOGRAPH_SIDE = 9, 960
FPS = 25


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--assessor", type=click.Path(path_type=Path), default=WEIGHTS)
@click.option("--alone", default=15, show_default=True, help="Samples of each kind and video.")
@click.option("--mixed", default=60, show_default=True, help="Mixed samples of each video.")
def main(data: Path, assessor: Path, alone: int, mixed: int) -> None:
    """Print all figures."""
    loaded = load_assessor(assessor)
    settings = read_toml(AssessorConfig, CONFIG).samples
    encoders = (*settings.encoders, *settings.unseen_encoders)
    rng = torch.Generator().manual_seed(7)
    clips = [_begin(data / settings.videos / name, FRAMES) for name in settings.hold_out]
    for kind in LEARNT:
        drawn = [_one(kind, encoders, rng) for _ in range(alone) for _ in clips]
        _show(f"{kind} alone", clips, drawn, loaded, rng)
    several = [draw_amounts(rng, encoders) for _ in range(mixed) for _ in clips]
    _show("mixed", clips, several, loaded, rng)
    _show_clean(data / settings.videos, data / settings.photographs, loaded)


def _show(
    title: str,
    clips: list[Tensor],
    drawn: list[Amounts],
    assessor: Assessor,
    rng: torch.Generator,
) -> None:
    """Rank correlations, and how often the strongest kind is told; sample i is of clip i."""
    truths, found = [], []
    for i, amounts in enumerate(drawn):
        sample = make_sample(clips[i % len(clips)], amounts, rng)
        truths.append(sample.severities)
        findings = _assessed(sample.frames[2 : 2 + GROUP], assessor).findings
        found.append(torch.tensor([findings[kind].severity for kind in LEARNT]))
    truth_NS, found_NS = torch.stack(truths), torch.stack(found)
    kinds = [kind for kind in LEARNT if title in (f"{kind} alone", "mixed")]
    for kind in kinds:
        i = LEARNT.index(kind)
        click.echo(f"{title:16} {kind:9} {rank_correlation(found_NS[:, i], truth_NS[:, i]):.3f}")
    told = torch.tensor([amounts.codec in TELLING for amounts in drawn])
    shown_NS = found_NS.clone()
    shown_NS[told, 0] = truth_NS[told, 0]
    if "coding" in kinds:
        told_by = rank_correlation(shown_NS[:, 0], truth_NS[:, 0])
        click.echo(f"{title:16} coding with the decoder's quantisers {told_by:.3f}")
    ordered_NS = truth_NS.sort(1, descending=True).values
    strong = ordered_NS[:, 0] > NOTABLE
    for words, chosen in (
        ("strongest over 0.3", strong),
        ("and by 0.2", strong & (ordered_NS[:, 0] - ordered_NS[:, 1] > 0.2)),
    ):
        for source, estimate_NS in (("pixels", found_NS), ("file", shown_NS)):
            right = estimate_NS.argmax(1) == truth_NS.argmax(1)
            share = float(right[chosen].float().mean())
            click.echo(f"{title:16} {words}, from {source}: {share:.1%} of {int(chosen.sum())}")


def _one(kind: str, encoders: tuple[str, ...], rng: torch.Generator) -> Amounts:
    """One kind of damage, from none to the most that counts."""
    amount = draw.between(0.0, 1.0, rng)
    if kind == "coding":
        codec = encoders[draw.index(len(encoders), rng)]
        return Amounts(codec=codec, qp=14 + 30 * amount)
    if kind == "noise":
        return Amounts(noise=MOST_NOISE * amount, grey=draw.chance(0.5, rng))
    if kind == "blur" and draw.chance(0.3, rng):
        return Amounts(motion=MOST_MOTION * amount, angle=draw.between(0.0, math.pi, rng))
    if kind == "blur":
        return Amounts(blur=MOST_BLUR * amount, disc=draw.chance(0.5, rng))
    return Amounts(enlarged=MOST_ENLARGED**amount, smoothly=draw.chance(0.5, rng))


def _show_clean(videos: Path, photographs: Path, assessor: Assessor) -> None:
    count = alarms = 0
    for name, clip in _clean(videos, photographs):
        scene = _assessed(clip, assessor, keeps_detail=True)
        summary = Assessment(source=name, width=0, height=0, scenes=(scene,)).summary()
        count += 1
        if summary != "nothing notable":
            alarms += 1
            click.echo(f"clean            {name}: {summary}")
    click.echo(f"clean            {alarms} of {count} clips with something notable")


def _clean(videos: Path, photographs: Path) -> Iterator[tuple[str, Tensor]]:
    for path in list_videos(videos):
        yield path.name, _begin(path, CLEAN_FRAMES)
    paths = sorted(path for path in photographs.iterdir() if path.suffix in PHOTOGRAPH_SUFFIXES)
    for i, path in enumerate(paths[:: max(1, len(paths) // PHOTOGRAPHS)][:PHOTOGRAPHS]):
        picture = load_photograph(path)
        side = min(PHOTOGRAPH_SIDE, int(min(picture.shape[1:]) / 1.5) // 4 * 4)
        rng = torch.Generator().manual_seed(i)
        way = plan((picture.shape[1], picture.shape[2]), CLEAN_FRAMES, side, CameraMotion(), rng)
        yield f"photograph {i}", _halved(film(picture, way).clamp(0, 1))


def _begin(path: Path, count: int) -> Tensor:
    """The first frames of a video, halved."""
    with open_reader(str(path)) as reader:
        return _halved(next(iter(reader.chunks(count))).frames)


def _halved(frames: Tensor) -> Tensor:
    """Frames at half their size, even sides, (T, 3, H, W) in [0, 1] in whole levels."""
    height, width = (side // 4 * 4 for side in frames.shape[-2:])
    half = F.interpolate(frames[..., :height, :width].float(), scale_factor=0.5, mode="area")
    return half.mul(255).round() / 255


def _assessed(frames: Tensor, assessor: Assessor, *, keeps_detail: bool = False) -> SceneAssessment:
    measurements = SceneMeasurements(assessor, keeps_detail=keeps_detail)
    for i, frame in enumerate(frames):
        measurements.add(frame, i / FPS)
    return measurements.finish([])


if __name__ == "__main__":
    main()
