"""Streams in joint steps give the results of each alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

import vsr
from tests.networks import RECURRENT, compact, engine_of_two, moving_clip
from tests.streaming import (
    Maker,
    assert_equal_but_for_rounding,
    frames_of,
    pieces,
    pts_of,
    restorer_of,
    stream,
)
from vsr.engine.batch import BatchRestorer
from vsr.errors import ConfigurationError
from vsr.models.network import Network
from vsr.types import Chunk

recurrent = pytest.mark.parametrize("make", RECURRENT.values(), ids=RECURRENT.keys())


def batch_of(network: Network[Any], chunk: int, look_ahead: int, **options: Any) -> BatchRestorer:
    return BatchRestorer(
        network, chunk=chunk, look_ahead=look_ahead, device="cpu", precision="float32", **options
    )


def together(batch: BatchRestorer, clips: dict[str, list[Chunk]]) -> dict[str, list[Chunk]]:
    """All clips, a chunk of each at a time, as long as each lasts."""
    left: dict[str, list[Chunk]] = {key: [] for key in clips}
    for i in range(max(map(len, clips.values()))):
        now = {key: chunks[i] for key, chunks in clips.items() if i < len(chunks)}
        for key, restored in batch.push(now).items():
            left[str(key)] += restored
        for key, chunks in clips.items():
            if i + 1 == len(chunks):
                left[key] += batch.drain(key)
    return left


class Sizes:
    """Notes how many streams a network is given at once."""

    def __init__(self, network: Network[Any]) -> None:
        self.seen: list[int] = []
        original = network.step

        def noted(window: Tensor, *others: Any, **named: Any) -> Any:
            self.seen.append(len(window))
            return original(window, *others, **named)

        network.step = noted  # type: ignore[method-assign,assignment]


@engine_of_two
def test_streams_stepped_together_equal_each_alone(make: Maker) -> None:
    network = make()
    clips = {str(seed): pieces(moving_clip(6, 18, 22, seed=seed), 3) for seed in range(3)}
    alone = {key: stream(restorer_of(network, 2, 1), chunks) for key, chunks in clips.items()}
    sizes = Sizes(network)
    left = together(batch_of(network, 2, 1), clips)
    for key in clips:
        assert_equal_but_for_rounding(left[key], alone[key])
        assert pts_of(left[key]) == pts_of(alone[key])
    assert 3 in sizes.seen


def test_streams_of_any_length_size_and_beginning_share_a_network() -> None:
    network = compact()
    clips = {
        "short": pieces(moving_clip(3, 18, 22, seed=1), 3),
        "long": pieces(moving_clip(11, 18, 22, seed=2), 3, cuts=[4]),
        "large": pieces(moving_clip(6, 30, 40, seed=3), 4),
    }
    alone = {key: stream(restorer_of(network, 2, 1), chunks) for key, chunks in clips.items()}
    batch = batch_of(network, 2, 1, largest=2)
    left = together(batch, clips)
    for key in clips:
        assert_equal_but_for_rounding(left[key], alone[key])
        assert pts_of(left[key]) == pts_of(alone[key])
    assert batch.keys == ()


def test_no_more_streams_are_stepped_together_than_allowed() -> None:
    network = compact()
    sizes = Sizes(network)
    clips = {str(seed): pieces(moving_clip(4, 18, 22, seed=seed), 4) for seed in range(5)}
    together(batch_of(network, 2, 0, largest=2), clips)
    assert max(sizes.seen) == 2


class Roomy(Network[Any]):
    """Another network, that fails where a window holds more streams, frames or pixels than fit."""

    def __init__(
        self, network: Network[Any], *, streams: int = 99, frames: int = 99, area: int = 10**9
    ) -> None:
        super().__init__()
        self.network, self.facts = network, network.facts
        self.streams, self.frames, self.area = streams, frames, area
        self.refused: list[int] = []

    def step(
        self, window_BTCHW: Tensor, state: Any, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, Any]:
        streams, frames, _, height, width = window_BTCHW.shape
        if streams > self.streams or frames > self.frames or height * width > self.area:
            self.refused.append(streams if streams > self.streams else frames)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.network.step(window_BTCHW, state, num_keep, ends_scene=ends_scene)


def roomy(chunk: int, look_ahead: int, **room: int) -> tuple[BatchRestorer, Roomy]:
    """A batch, and its network, whose room can be changed."""
    batch = batch_of(Roomy(compact(), **room), chunk, look_ahead)
    assert isinstance(batch.network, Roomy)
    return batch, batch.network


def test_streams_that_do_not_fit_together_are_stepped_one_by_one() -> None:
    batch, _ = roomy(2, 1, streams=1)
    clips = {str(seed): pieces(moving_clip(6, 18, 22, seed=seed), 3) for seed in range(2)}
    left = together(batch, clips)
    assert all(pts_of(left[key]) == list(range(0, 60, 10)) for key in clips)


def test_as_many_streams_as_fit_are_stepped_together_from_then_on() -> None:
    batch, network = roomy(2, 0, streams=3)
    clips = {str(seed): pieces(moving_clip(8, 18, 22, seed=seed), 2) for seed in range(6)}
    left = together(batch, clips)
    assert all(pts_of(left[key]) == list(range(0, 80, 10)) for key in clips)
    assert network.refused == [6]
    assert batch.settings_at((18, 22)) == batch.settings


def test_streams_learn_from_each_other_what_fits_and_from_their_size_alone() -> None:
    batch, network = roomy(8, 4, frames=3)
    clip, larger = moving_clip(24, 18, 22), moving_clip(24, 20, 24)
    left = together(batch, {"a": pieces(clip, 12), "b": pieces(clip, 12)})
    assert all(pts_of(left[key]) == list(range(0, 240, 10)) for key in "ab")
    # Both with chunk 8 and look-ahead 4, one with them, one with 4 and 2; 2 and 1 fit.
    assert network.refused == [12, 12, 6]
    batch.push({"later": pieces(clip, 12)[0]})
    assert len(network.refused) == 3
    assert (batch.settings_of("later").chunk, batch.settings_of("later").look_ahead) == (2, 1)
    network.frames = 12
    batch.push({"larger": pieces(larger, 12)[0]})
    assert batch.settings_of("larger") == batch.settings


def test_one_stream_can_be_given_more_again_when_memory_has_run_out() -> None:
    batch, network = roomy(4, 0, frames=3)
    batch.push({"a": pieces(moving_clip(4, 18, 22), 4)[0]})
    assert batch.settings_of("a").chunk == 2
    network.frames = 12
    batch.change("a", chunk=8)
    left = batch.push({"a": pieces(moving_clip(12, 18, 22), 4)[1]})
    assert not left
    assert batch.settings_of("a").chunk == 8


def test_streams_with_a_past_continue_in_the_tiles_that_another_one_needed() -> None:
    (batch, network), clip = roomy(1, 0), moving_clip(3, 130, 40)
    batch.push({"a": pieces(clip, 1)[0], "b": pieces(clip, 1)[0]})
    network.area = 100 * 40
    left = batch.push({"a": pieces(clip, 1)[1], "b": pieces(clip, 1)[1]})
    assert batch.settings_of("a").tiles == batch.settings_of("b").tiles == (2, 1)
    assert network.refused == [1, 1]  # both together, and one of them
    torch.testing.assert_close(left["b"][0].frames, left["a"][0].frames, atol=1e-4, rtol=0)


@pytest.mark.parametrize("wrong", ["size", "pts", "time base", "type"])
def test_a_push_that_is_refused_takes_nothing_of_any_stream(wrong: str) -> None:
    batch, (good, good_too) = batch_of(compact(), 4, 2), pieces(moving_clip(2, 18, 22), 1)
    batch.push({"a": good, "b": good})
    bad = {
        "size": replace(good_too, frames=torch.zeros(1, 3, 20, 22)),
        "pts": replace(good_too, pts=good.pts),
        "time base": replace(good_too, time_base=Fraction(1, 1000)),
        "type": replace(good_too, frames=torch.zeros(1, 3, 18, 22, dtype=torch.uint8)),
    }[wrong]
    with pytest.raises(ConfigurationError):
        batch.push({"a": good_too, "new": good, "b": bad})
    assert batch.keys == ("a", "b")
    assert (batch.num_waiting("a"), batch.num_waiting("b")) == (1, 1)


def test_a_first_chunk_that_is_refused_begins_no_stream() -> None:
    batch, (chunk,) = batch_of(compact(), 4, 2), pieces(moving_clip(2, 18, 22), 2)
    for take in (lambda bad: batch.push({"a": bad}), lambda bad: batch.pass_through("a", bad)):
        with pytest.raises(ConfigurationError, match="pts 0 comes after 10"):
            take(replace(chunk, pts=(10, 0)))
    assert batch.keys == ()


def test_one_stream_that_diverges_leaves_the_others_alone() -> None:
    network = compact()
    original, calls = network.step, [0]

    def step(window: Tensor, *others: Any, **named: Any) -> Any:
        restored, state = original(window, *others, **named)
        calls[0] += 1
        if calls[0] == 2 and len(window) == 2:
            state.feat_BKHW[1] = torch.nan
        return restored, state

    clips = {str(seed): pieces(moving_clip(8, 18, 22, seed=seed), 8) for seed in range(2)}
    alone = stream(restorer_of(network, 2, 1), clips["0"])
    network.step = step  # type: ignore[method-assign,assignment]
    batch = batch_of(network, 2, 1)
    left = batch.push({key: chunks[0] for key, chunks in clips.items()})
    assert [batch.counts_of(key).resets for key in "01"] == [0, 1]
    assert_equal_but_for_rounding(left["0"], alone[: len(left["0"])])
    assert frames_of(left["1"]).isfinite().all()


def test_one_stream_can_change_its_sizes_and_pass_frames_through() -> None:
    batch = batch_of(compact(), 4, 2)
    clip = pieces(moving_clip(8, 18, 22), 4)
    batch.push({"a": clip[0], "b": clip[0]})
    batch.change("a", chunk=1, look_ahead=0)
    left = batch.push({"a": clip[1], "b": clip[1]})
    assert [pts for chunk in left["a"] for pts in chunk.pts] == list(range(0, 80, 10))
    passed = batch.pass_through("b", pieces(moving_clip(12, 18, 22), 8)[1])
    assert pts_of(left["b"]) + pts_of(passed) == list(range(0, 120, 10))
    assert (batch.counts_of("a").passed_through, batch.counts_of("b").passed_through) == (0, 8)


def test_both_restorers_are_public() -> None:
    assert vsr.BatchRestorer is BatchRestorer
    assert vsr.Restorer is not None
