"""Streams stepped together give what each gives alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import vsr
from tests.networks import RECURRENT, compact, moving_clip
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


@recurrent
def test_streams_stepped_together_equal_each_alone(make: Maker) -> None:
    network = make()
    clips = {str(seed): pieces(moving_clip(8, 18, 22, seed=seed), 3) for seed in range(3)}
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


def test_streams_that_do_not_fit_together_are_stepped_one_by_one() -> None:
    network = compact()
    original = network.step

    def step(window: Tensor, *others: Any, **named: Any) -> Any:
        if len(window) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(window, *others, **named)

    network.step = step  # type: ignore[method-assign,assignment]
    clips = {str(seed): pieces(moving_clip(6, 18, 22, seed=seed), 3) for seed in range(2)}
    batch = batch_of(network, 2, 1)
    left = together(batch, clips)
    assert all(pts_of(left[key]) == list(range(0, 60, 10)) for key in clips)


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
