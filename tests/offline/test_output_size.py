"""The size of the output: asked for in three ways, reached in one step, never out of shape."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import Clip, read_numbers, write_clip
from vsr.errors import ConfigurationError
from vsr.offline.estimate import estimate
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.offline.output_size import RequestedSize, choose_size
from vsr.streams import open_reader
from vsr.types import StreamInfo

PAL = StreamInfo(
    height=576, width=720, time_base=Fraction(1, 25), sample_aspect_ratio=Fraction(64, 45)
)


@pytest.mark.parametrize(
    ("wish", "size", "aspect"),
    [
        (RequestedSize(), (2304, 2880), Fraction(64, 45)),
        (RequestedSize(scale=2), (1152, 1440), Fraction(64, 45)),
        (RequestedSize(scale=1), (576, 720), Fraction(64, 45)),
        (RequestedSize(scale=1.5), (864, 1080), Fraction(64, 45)),
        (RequestedSize(size=(1080, 1920)), (1080, 1920), Fraction(1)),
        (RequestedSize(fit=1080), (1080, 1350), Fraction(64, 45)),
    ],
)
def test_a_picture_keeps_its_shape(
    wish: RequestedSize, size: tuple[int, int], aspect: Fraction
) -> None:
    chosen = choose_size(PAL, 4, wish)
    assert (chosen.height, chosen.width) == size
    assert abs(chosen.sample_aspect_ratio - aspect) < Fraction(1, 500)
    assert chosen.resampled == (size != (2304, 2880))


def test_an_upright_picture_fits_by_its_width() -> None:
    tall = StreamInfo(height=640, width=360, time_base=Fraction(1, 25))
    chosen = choose_size(tall, 4, RequestedSize(fit=1080))
    assert (chosen.height, chosen.width) == (1920, 1080)


@pytest.mark.parametrize(
    "wish",
    [
        RequestedSize(scale=2, fit=1080),
        RequestedSize(scale=0.001),
        RequestedSize(scale=-1),
        RequestedSize(scale=0),
        RequestedSize(scale=math.nan),
        RequestedSize(scale=math.inf),
        RequestedSize(scale=1e300),
        RequestedSize(size=(0, 100)),
        RequestedSize(fit=100_000),
    ],
)
def test_impossible_wishes_are_refused(wish: RequestedSize) -> None:
    with pytest.raises(ConfigurationError, match="give"):
        choose_size(PAL, 4, wish)


@pytest.mark.parametrize(
    ("options", "size"),
    [({"scale": 2.0}, (144, 192)), ({"size": (100, 100)}, (100, 100)), ({"fit": 36}, (36, 48))],
)
def test_the_output_has_the_size_asked_for(
    tmp_path: Path, options: dict[str, object], size: tuple[int, int]
) -> None:
    source = str(write_clip(tmp_path / "in.mp4", Clip(num_frames=9, audio="aac")))
    target = str(tmp_path / "out.mp4")
    restore(source, target, RestoreOptions(model="bicubic-x4", **options))  # type: ignore[arg-type]
    with open_reader(target) as reader:
        assert (reader.info.height, reader.info.width) == size
        assert [n for c in reader.chunks(4) for n in read_numbers(c.frames)] == list(range(9))
        shape = reader.info.sample_aspect_ratio * Fraction(size[1], size[0])
        assert abs(shape - Fraction(96, 72)) < Fraction(1, 50)
    estimated = estimate(source, target, RestoreOptions(model="bicubic-x4", **options))  # type: ignore[arg-type]
    assert estimated.output_size == (size[1], size[0])


def test_the_networks_own_size_is_not_resampled(tmp_path: Path) -> None:
    source = str(write_clip(tmp_path / "in.mp4", Clip(num_frames=4)))
    for name, scale in {"plain": None, "asked": 4.0}.items():
        restore(source, str(tmp_path / name), RestoreOptions(model="bicubic-x4", scale=scale))
    for image in (tmp_path / "plain").iterdir():
        assert image.read_bytes() == (tmp_path / "asked" / image.name).read_bytes()
