"""Networks that restore only what changes, and show again what stands still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.networks import basicvsr, compact, edvr, moving_clip, srvgg
from tests.streaming import frames_of, pieces, stream
from vsr.errors import ConfigurationError
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.models.still import CELL, DEVIATION, LARGEST, SEEN, SHOWN, Still, StillState
from vsr.restorer import Restorer
from vsr.streams import open_reader

CHUNK, LOOK_AHEAD = 4, 2
MOVING = (slice(64, 96), slice(96, 144))
"""Rows and columns of ``talk`` where something moves."""


def talk(num_frames: int = 12) -> Tensor:
    """(T, 3, 160, 240): a slide, and a small picture of somebody who moves."""
    slide_CHW = moving_clip(1, 160, 240, seed=3)[0]
    frames_TCHW = slide_CHW.repeat(num_frames, 1, 1, 1)
    frames_TCHW[..., MOVING[0], MOVING[1]] = moving_clip(num_frames, 32, 48)
    return frames_TCHW


class Watched:
    """Records how many pixels of frames a network is given."""

    def __init__(self, network: Network[Any]) -> None:
        self.pixels: list[int] = []
        self._step = network.step
        network.step = self  # type: ignore[method-assign,assignment]

    def __call__(self, window_BTCHW: Tensor, *args: Any) -> Any:
        self.pixels.append(window_BTCHW.shape[-2] * window_BTCHW.shape[-1])
        return self._step(window_BTCHW, *args)


@torch.inference_mode()
def streamed(network: Network[Any], clip_TCHW: Tensor) -> Tensor:
    """A clip restored in steps of ``CHUNK`` frames."""
    restored: list[Tensor] = []
    state = None
    for start in range(0, len(clip_TCHW), CHUNK):
        window = clip_TCHW[None, start : start + CHUNK + LOOK_AHEAD]
        num_keep = min(CHUNK, len(clip_TCHW) - start)
        frames, state = network.step(window, state, num_keep)
        restored.append(frames[0])
    return torch.cat(restored)


def trained() -> Network[Any]:
    """Untrained networks go on changing what stands still."""
    return load_network("compact-x4")


def psnr(one: Tensor, other: Tensor) -> float:
    return -10 * float((one - other).square().mean().log10())


def in_pixels(part: slice, scale: int, more: int = 0) -> slice:
    return slice(scale * (part.start - more), scale * (part.stop + more))


@pytest.mark.parametrize("make", [trained, srvgg], ids=["recurrent", "single frame"])
def test_only_what_moves_is_restored(make: Callable[[], Network[Any]]) -> None:
    clip, whole = talk(), streamed(make(), talk())
    network = make()
    watched, scale = Watched(network), network.facts.scale
    skipping = streamed(Still(network), clip)
    around = (32 + 2 * (SHOWN + SEEN)) * (48 + 2 * (SHOWN + SEEN))
    assert watched.pixels == [160 * 240, around, around]
    assert skipping.shape == whole.shape
    rows, columns = (in_pixels(part, scale) for part in MOVING)
    assert psnr(skipping[..., rows, columns], whole[..., rows, columns]) > 50
    shown = skipping.clone()
    shown[..., in_pixels(MOVING[0], scale, SHOWN), in_pixels(MOVING[1], scale, SHOWN)] = 0
    assert (shown[CHUNK:] == shown[CHUNK - 1]).all(), "what stands still is shown as it was"


def test_two_things_that_move_are_two_boxes() -> None:
    clip = talk()
    clip[..., 0:16, 0:16] = moving_clip(len(clip), 16, 16)
    network = compact()
    watched = Watched(network)
    streamed(Still(network), clip)
    corner = (16 + SHOWN + SEEN) ** 2
    assert sorted(watched.pixels[1:3])[0] == corner
    assert len(watched.pixels) == 1 + 2 * 2


def test_nothing_is_computed_where_nothing_changes() -> None:
    clip = talk(1).repeat(12, 1, 1, 1)
    network = compact()
    watched = Watched(network)
    restored = streamed(Still(network), clip)
    assert len(watched.pixels) == 1
    assert (restored[CHUNK:] == restored[CHUNK - 1]).all()


def test_where_all_moves_it_is_the_network() -> None:
    clip = moving_clip(12, 64, 96)
    assert torch.equal(streamed(Still(compact()), clip), streamed(compact(), clip))


@pytest.mark.parametrize(
    ("change", "cells"),
    [
        (0.9 * DEVIATION, 0),
        (1.1 * DEVIATION, 1),
        (0.9 * LARGEST, 0),
        (1.1 * LARGEST, 1),
    ],
)
def test_what_counts_as_a_change(change: float, cells: int) -> None:
    """A whole cell by little, or one pixel by much."""
    clip = talk(1).repeat(2 * CHUNK, 1, 1, 1)
    rows = columns = slice(CELL, 2 * CELL if change < 2 * DEVIATION else CELL + 1)
    clip[CHUNK + 1 :, :, rows, columns] += change
    network = compact()
    watched = Watched(network)
    streamed(Still(network), clip)
    assert len(watched.pixels) == 1 + cells


def test_a_slow_change_is_seen_once_it_is_large_enough() -> None:
    fade = torch.linspace(0, 4 * DEVIATION, 40).view(-1, 1, 1, 1)
    clip = talk(1).repeat(40, 1, 1, 1) + fade
    network = trained()
    watched = Watched(network)
    restored = streamed(Still(network), clip)
    assert 1 < len(watched.pixels) < 10
    error = restored - streamed(trained(), clip)
    assert float(error.square().mean((1, 2, 3)).max()) < (1.5 * DEVIATION) ** 2


def test_what_begins_to_move_in_the_look_ahead_moves_on() -> None:
    """The flows of the look-ahead are of the place where it moves."""
    clip = talk(1).repeat(16, 1, 1, 1)
    clip[CHUNK + 1 :, :, MOVING[0], MOVING[1]] = moving_clip(15 - CHUNK, 32, 48)
    assert psnr(streamed(Still(trained()), clip), streamed(trained(), clip)) > 45


def test_basicvsr_is_given_the_parts_that_change() -> None:
    network = basicvsr()
    watched = Watched(network)
    restored = streamed(Still(network), talk()[..., :155, :231])
    around = (32 + 2 * (SHOWN + SEEN)) * (48 + 2 * (SHOWN + SEEN))
    assert watched.pixels[0] == 155 * 231
    assert max(watched.pixels[1:]) <= around
    assert restored.shape == (12, 3, 4 * 155, 4 * 231)


@pytest.mark.parametrize("size", [(155, 231), (162, 245), (20, 24), (7, 9), (1, 231)])
def test_frames_of_any_size(size: tuple[int, int]) -> None:
    clip = talk()[..., : size[0], : size[1]]
    assert psnr(streamed(Still(trained()), clip), streamed(trained(), clip)) > 45


def test_a_state_survives_a_gap() -> None:
    network = Still(trained())
    clip = talk(16)
    with torch.inference_mode():
        _, state = network.step(clip[None, :6], None, 4)
        after, _ = network.step(clip[None, 8:14], state.after_gap(), 4)
    assert isinstance(state, StillState)
    assert psnr(after[0], streamed(trained(), clip)[8:12]) > 40


def test_a_saved_stream_continues_bit_for_bit(tmp_path: Path) -> None:
    chunks = pieces(talk(16), 4)
    whole = Restorer(Still(compact()), chunk=CHUNK, look_ahead=LOOK_AHEAD, device="cpu")
    expected = frames_of(stream(whole, chunks))
    first, second = (
        Restorer(Still(compact()), chunk=CHUNK, look_ahead=LOOK_AHEAD, device="cpu")
        for _ in range(2)
    )
    left = [one for chunk in chunks[:3] for one in first.push(chunk)]
    first.save(tmp_path / "state.safetensors")
    second.load(tmp_path / "state.safetensors")
    left += [*second.push(chunks[3]), *second.drain()]
    assert torch.equal(frames_of(left), expected)


def test_int8_skips_alike() -> None:
    network = load_network("compact-x4", skip_still=True)
    placed, _ = place(network, device="cpu", precision="int8")
    assert placed.dtype == torch.int8
    clip = talk()
    assert psnr(streamed(placed, clip), streamed(network, clip)) > 40


def test_it_excludes_what_needs_the_whole_frame() -> None:
    with pytest.raises(ConfigurationError, match="excludes a guard, a strength map and steadiness"):
        load_network("compact-x4-video", skip_still=True, steady=True)
    with pytest.raises(ConfigurationError, match="excludes a guard, a strength map and steadiness"):
        load_network("compact-x4-video", skip_still=True, guard_artifacts=True)


def test_a_network_that_cannot_skip_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="edvr cannot skip what stands still"):
        Still(edvr())


def test_restore_and_live_take_it(vsr: Run, tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.mp4", Clip(num_frames=12)), tmp_path / "out.mkv"
    options = ("-m", "compact-x4", "--chunk", "5", "--device", "cpu", "--skip-still")
    assert vsr("restore", source, target, *options).code == 0
    with open_reader(str(target)) as reader:
        assert sum(len(chunk.frames) for chunk in reader.chunks(8)) == 12
    words = ("--skip-still", "--guard-artifacts")
    refused = vsr("live", source, tmp_path / "out.m3u8", "-m", "compact-x4-video", *words)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "leave them or --skip-still out" in refused.err
