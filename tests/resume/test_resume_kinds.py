"""Every kind of run resumes between any two steps, with the result of an uninterrupted one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.media import Clip, audio_packets, write_clip, write_images
from tests.networks import engine_of_two
from tests.resume.killing import look, write_footage, write_weights
from tests.resume.power_cut import SIZES, in_parts
from tests.streaming import frames_of, pieces, restorer_of, stream
from tests.streams.encoding import frame_seconds
from tests.streams.oddities import write_interlaced
from tests.streams.test_identity import samples
from vsr.offline.job import restore
from vsr.offline.options import RestoreOptions
from vsr.scenes.state import part


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(
        tmp_path_factory.mktemp("clip") / "in.mp4",
        Clip(num_frames=28, height=48, width=64, audio="aac"),
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "small.safetensors")


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a part": {"start_s": 0.2, "end_s": 1.0},
    "listed scenes": {"scenes": "every 7"},
    "scenes side by side": {"scenes": "every 5", "parallel_scenes": 2, "segment": 5},
    "compared": {"compare": "side"},
    "another size": {"scale": 3.0},
    "whole scenes": {"look_ahead": "full", "scenes": "every 13"},
    "images out": {"suffix": ""},
}


@pytest.mark.parametrize(
    "kind",
    [k if k in ("plain", "images out") else pytest.param(k, marks=pytest.mark.slow) for k in KINDS],
)
def test_a_run_in_parts_equals_one_without(
    kind: str, clip: Path, weights: Path, tmp_path: Path
) -> None:
    options = {"model": str(weights), **KINDS[kind]}
    suffix = options.pop("suffix", ".mkv")
    whole, parts = tmp_path / f"whole{suffix}", tmp_path / f"parts{suffix}"
    restore(str(clip), str(whole), RestoreOptions(**{**SIZES, **options}))
    summary = in_parts(clip, parts, [8, 8], **options)
    assert summary.resumed >= 8
    assert summary.frames_out == summary.frames_in == (20 if kind == "a part" else 28)
    assert_alike(parts, whole)
    assert {path.name for path in tmp_path.iterdir()} == {whole.name, parts.name}


def assert_alike(one: Path, other: Path) -> None:
    if other.is_dir():
        names = sorted(path.name for path in other.iterdir())
        assert sorted(path.name for path in one.iterdir()) == names
        assert all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
    else:
        assert samples(one) == samples(other)
        assert frame_seconds(one) == frame_seconds(other)
        assert audio_packets(one) == audio_packets(other)


def test_sources_that_look_at_their_neighbours_or_lack_times(tmp_path: Path) -> None:
    """Interlaced frames, and a raw stream, whose times are counted from its beginning."""
    interlaced = write_interlaced(tmp_path / "fields.mp4", 24)
    raw = write_clip(tmp_path / "raw.h264", Clip(num_frames=24))
    for source in (interlaced, raw):
        whole, parts = tmp_path / f"{source.stem}.1.mkv", tmp_path / f"{source.stem}.2.mkv"
        restore(str(source), str(whole), RestoreOptions(model="identity", **SIZES))
        in_parts(source, parts, [9, 8], model="identity")
        assert_alike(parts, whole)


def test_images_in_keep_their_names(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 20)
    in_parts(source, tmp_path / "out", [9], model="identity")
    names = sorted(path.name for path in source.iterdir())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


@engine_of_two
def test_a_state_without_the_frames_that_wait_continues_with_them(
    make: Any, tmp_path: Path
) -> None:
    chunks = pieces(torch.rand(12, 3, 10, 14), 2, cuts=[7])
    expected = frames_of(stream(restorer_of(make(), 3, 2), chunks))
    first, second = restorer_of(make(), 3, 2), restorer_of(make(), 1, 0)
    left = [out for chunk in chunks[:4] for out in first.push(chunk)]
    first.save(tmp_path / "state", waiting=False)
    second.load(tmp_path / "state")
    assert second.num_waiting == 0
    passed = sum(map(len, left))
    (rest,) = pieces(torch.cat([chunk.frames for chunk in chunks]), 12, cuts=[7])
    left += second.push(part(rest, passed, 12)) + second.drain()
    assert torch.equal(frames_of(left), expected)


@pytest.mark.slow
def test_footage_with_cuts_continues_in_the_middle_of_a_doubt(
    weights: Path, tmp_path: Path
) -> None:
    """A border after every step: some lie where the marker of scenes holds frames back."""
    source = write_footage(tmp_path / "in.mp4", 45)
    options: dict[str, Any] = {"model": str(weights), "segment": 1}
    whole = restore(
        str(source), str(tmp_path / "whole.mkv"), RestoreOptions(**{**SIZES, **options})
    )
    summary = in_parts(source, tmp_path / "parts.mkv", [4] * 6, **options)
    assert summary.scenes == whole.scenes > 1
    assert look(tmp_path / "parts.mkv") == look(tmp_path / "whole.mkv")
