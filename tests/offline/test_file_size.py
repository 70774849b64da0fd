"""The size of an output, told before the run."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import Clip, write_clip
from tests.networks import moving_clip
from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Bicubic
from vsr.offline.file_size import FRAMES, Encoding, expected_bytes
from vsr.offline.job import restore
from vsr.offline.output_size import SizeWish, choose_size
from vsr.restorer import Restorer
from vsr.streams import open_reader, open_writer
from vsr.streams.encode.packet_sizes import picture_sizes, sound_rate
from vsr.types import Chunk, StreamInfo

NUM_FRAMES = 4 * FRAMES
HEIGHT, WIDTH = 160, 192


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A texture that moves, larger than the parts that are looked at."""
    path = tmp_path_factory.mktemp("footage") / "in.mp4"
    tick = Fraction(1, 25)
    info = StreamInfo(height=HEIGHT, width=WIDTH, time_base=tick, frame_rate=1 / tick)
    writer = open_writer(str(path), info, height=HEIGHT, width=WIDTH)
    frames = moving_clip(NUM_FRAMES, HEIGHT, WIDTH).clamp(0, 1)
    writer.write(Chunk(frames=frames, pts=tuple(range(NUM_FRAMES)), time_base=tick))
    writer.finish()
    return str(path)


def expected(
    source: str, target: str, *, start_s: float | None = None, fit: int | None = None, **how: object
) -> int | None:
    with open_reader(source, start_s=start_s) as reader:
        info = reader.info
    restorer = Restorer(Bicubic(scale=2), chunk=8)
    output = choose_size(info, 2, SizeWish(fit=fit))
    encoding = Encoding(**how)  # type: ignore[arg-type]
    return expected_bytes(source, target, info, restorer, output, encoding, start_s=start_s)


@pytest.mark.parametrize(
    ("name", "encoder", "encode_args"),
    [
        ("out.mp4", None, ["-preset", "veryfast"]),
        ("out.mkv", "ffv1", []),
        ("out.mkv", "libx265", ["-preset", "ultrafast", "-crf", "30"]),
        ("out/%03d.jpg", None, []),
    ],
)
def test_what_is_told_is_near_what_is_written(
    name: str, encoder: str | None, encode_args: Sequence[str], footage: str, tmp_path: Path
) -> None:
    target = str(tmp_path / name)
    told = expected(footage, target, encoder=encoder, encode_args=encode_args)
    assert list(tmp_path.iterdir()) == []
    Path(target).parent.mkdir(exist_ok=True)
    restore(footage, target, model="bicubic-x2", encoder=encoder, encode_args=encode_args)
    written = sum(path.stat().st_size for path in Path(target).parent.iterdir())
    assert told == pytest.approx(written, rel=0.3)


def test_a_part_and_a_smaller_output_take_less(footage: str) -> None:
    whole = expected(footage, "out.mp4")
    half = expected(footage, "out.mp4", start_s=NUM_FRAMES / 25 / 2)
    reduced = expected(footage, "out.mp4", fit=HEIGHT)
    assert whole is not None
    assert half is not None
    assert reduced is not None
    assert half < 0.7 * whole
    assert reduced < 0.7 * whole


@pytest.mark.parametrize("target", ["null", "-", "rtmp://127.0.0.1/app/key"])
def test_what_leaves_nothing_behind_has_no_size(target: str, footage: str) -> None:
    assert expected(footage, target) is None


def test_an_encoder_that_does_not_work_is_said(footage: str) -> None:
    with pytest.raises(ConfigurationError, match="nothing264"):
        expected(footage, "out.mp4", encoder="nothing264")


def test_sound_counts_by_its_rate(tmp_path: Path) -> None:
    silent = write_clip(tmp_path / "silent.mp4", Clip(num_frames=50))
    heard = write_clip(tmp_path / "heard.mp4", Clip(num_frames=50, audio="aac"))
    assert sound_rate(str(silent)) == 0
    bytes_of_sound = heard.stat().st_size - silent.stat().st_size
    assert 2 * sound_rate(str(heard)) == pytest.approx(bytes_of_sound, rel=0.3)


def test_pictures_that_need_no_other_are_told_apart(tmp_path: Path) -> None:
    options = {"preset": "ultrafast", "g": "10", "sc_threshold": "0"}
    sizes = picture_sizes(
        str(write_clip(tmp_path / "in.mp4", Clip(num_frames=20, options=options)))
    )
    assert (len(sizes.keys), len(sizes.others)) == (2, 18)
