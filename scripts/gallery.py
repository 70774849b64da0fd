"""Make the sheets of docs/gallery.md: ``python -m scripts.gallery SAMPLES``.

SAMPLES is a folder with ``box.mp4``, ``vtest.avi`` and ``tree.avi`` of OpenCV's documentation
(Apache-2.0 and BSD-3-Clause). Debian has them:

    apt-get download opencv-doc && dpkg-deb -x opencv-doc_*.deb x
    cd x/usr/share/doc/opencv-doc && gunzip opencv4/html/box.mp4.gz
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from PIL import Image, ImageDraw

from vsr import RestoreOptions, restore
from vsr.models.catalogue import MODELS
from vsr.offline.degrade import degrade
from vsr.quality.presets import PRESETS
from vsr.streams.ffmpeg.process import find_ffmpeg

FRAMES = 24
LABEL_PX = 18
LOSSLESS = ("-c:v", "ffv1", "-pix_fmt", "yuv420p")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One sheet: the same part of a picture, restored in several ways.

    Attributes:
        name: Name of the picture.
        film: Name of the sample.
        start: Its first frame.
        reduced: Factor by which the film is reduced. Where it is not the model's scale, there is no
            truth to compare with.
        coded: Arguments of ffmpeg for the encoder.
        model: Model that restores it.
        fidelities: Fidelities shown; None for a model that has one set of weights.
        part: Left, top, width and height of the shown part, in pixels of the result.
        zoom: Size of a pixel on the sheet.
    """

    name: str
    film: str
    start: int
    reduced: int
    coded: tuple[str, ...]
    model: str
    part: tuple[int, int, int, int]
    zoom: int = 2
    fidelities: tuple[float | None, ...] = (None,)

    @property
    def scale(self) -> int:
        """Size of the result over that of the input."""
        scale = MODELS[self.model].scale
        assert scale is not None
        return scale


ENDS = (1.0, 0.7, 0.0)
"""The faithful end, the default, and the vivid end."""

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf")
SHEETS = (
    Sheet(
        name="box_x2",
        film="box.mp4",
        start=100,
        reduced=2,
        coded=(*X264, "27"),
        model="compact-x2-video",
        part=(285, 70, 180, 140),
    ),
    Sheet(
        name="box_x4",
        film="box.mp4",
        start=100,
        reduced=4,
        coded=(*X264, "26"),
        model="compact-x4-video",
        fidelities=ENDS,
        part=(285, 70, 180, 140),
    ),
    Sheet(
        name="street_x2",
        film="vtest.avi",
        start=40,
        reduced=2,
        coded=("-c:v", "mpeg4", "-q:v", "7"),
        model="compact-x2-video",
        part=(400, 20, 180, 140),
    ),
    Sheet(
        name="tree_x4",
        film="tree.avi",
        start=30,
        reduced=1,
        coded=(),
        model="compact-x4-video",
        fidelities=ENDS,
        part=(560, 330, 180, 140),
    ),
    Sheet(
        name="box_x1",
        film="box.mp4",
        start=100,
        reduced=1,
        coded=("-c:v", "mpeg4", "-q:v", "10"),
        model="unet-x1-video",
        part=(285, 70, 180, 140),
    ),
)


@click.command()
@click.argument("samples", type=click.Path(path_type=Path, exists=True))
@click.option("--out", default="docs/gallery", type=click.Path(path_type=Path), show_default=True)
@click.option("--only", multiple=True, type=click.Choice([*(s.name for s in SHEETS), "presets"]))
def main(samples: Path, out: Path, only: tuple[str, ...]) -> None:
    """Make the sheets of SAMPLES."""
    out.mkdir(parents=True, exist_ok=True)
    makers = {sheet.name: partial(make, sheet) for sheet in SHEETS} | {"presets": make_presets}
    for name in only or makers:
        with TemporaryDirectory() as folder:
            makers[name](samples, Path(folder), out / f"{name}.jpg")
        click.echo(out / f"{name}.jpg")


def make(sheet: Sheet, samples: Path, folder: Path, target: Path) -> None:
    """Degrade, restore, and put the parts side by side."""
    truth, source = _truth(sheet, samples, folder), folder / "source.mkv"
    coded = sheet.coded or LOSSLESS
    reduced = f"scale=iw/{sheet.reduced}:ih/{sheet.reduced}:flags=area"
    _ffmpeg("-i", truth, "-vf", reduced, "-an", *coded, "-pix_fmt", "yuv420p", source)
    enlarged = f"scale=iw*{sheet.scale}:ih*{sheet.scale}:flags="
    shown = {"input": _frame(source, f"{enlarged}neighbor")}
    if sheet.scale > 1:
        shown["Lanczos"] = _frame(source, f"{enlarged}lanczos")
    for fidelity in sheet.fidelities:
        label = sheet.model if fidelity is None else f"{sheet.model}, fidelity {fidelity:g}"
        restored = folder / f"{label}.mkv"
        options = RestoreOptions(
            model=sheet.model, fidelity=fidelity, guard_artifacts=False, encoder="ffv1"
        )
        restore(str(source), str(restored), options)
        shown[label] = _frame(restored, "null")
    if sheet.reduced == sheet.scale:
        shown["before it was degraded"] = _frame(truth, "null")
    _joined(shown, sheet).save(target, quality=88)


def make_presets(samples: Path, folder: Path, target: Path) -> None:
    """What each preset of ``vsr degrade`` does to the box, side by side."""
    sheet = SHEETS[0]
    truth = _truth(sheet, samples, folder)
    shown = {"before": _frame(truth, "null")}
    for preset in PRESETS:
        degrade(str(truth), str(folder / f"{preset}.mkv"), preset=preset)
        shown[preset] = _frame(folder / f"{preset}.mkv", "null")
    _joined(shown, sheet).save(target, quality=88)


def _truth(sheet: Sheet, samples: Path, folder: Path) -> Path:
    """The part of the film that is shown, lossless."""
    truth = folder / "truth.mkv"
    cut = f"trim=start_frame={sheet.start}:end_frame={sheet.start + FRAMES},setpts=PTS-STARTPTS"
    _ffmpeg("-i", samples / sheet.film, "-vf", cut, "-an", *LOSSLESS, truth)
    return truth


def _ffmpeg(*words: str | Path) -> None:
    subprocess.run([find_ffmpeg(), "-v", "error", "-y", *map(str, words)], check=True)


def _frame(video: Path, how: str) -> Image.Image:
    """The frame in the middle."""
    picture = video.with_suffix(f".{abs(hash(how))}.png")
    _ffmpeg("-i", video, "-vf", f"select=eq(n\\,{FRAMES // 2}),{how}", "-frames:v", "1", picture)
    return Image.open(picture).convert("RGB")


def _joined(shown: dict[str, Image.Image], sheet: Sheet) -> Image.Image:
    left, top, width, height = sheet.part
    size = (width * sheet.zoom, height * sheet.zoom)
    joined = Image.new("RGB", (len(shown) * size[0], size[1] + LABEL_PX), "white")
    draw = ImageDraw.Draw(joined)
    for place, (label, picture) in enumerate(shown.items()):
        part = picture.crop((left, top, left + width, top + height))
        joined.paste(part.resize(size, Image.Resampling.NEAREST), (place * size[0], LABEL_PX))
        draw.text((place * size[0] + 4, 3), label, fill="black")
    return joined


if __name__ == "__main__":
    main()
