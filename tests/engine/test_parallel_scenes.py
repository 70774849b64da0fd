"""Scenes of one stream side by side equal one after the other."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.test_restorer_memory import Starving
from tests.networks import RECURRENT, compact, moving_clip
from tests.streaming import (
    assert_equal_but_for_rounding,
    pieces,
    pts_of,
    restorer_of,
    stream,
)
from vsr.engine.batch import BatchRestorer
from vsr.engine.parallel_scenes import ParallelScenes
from vsr.errors import ConfigurationError
from vsr.models.network import Network
from vsr.models.state_tree import named_tensors
from vsr.restorer import Restorer

CUTS = [4, 6, 11, 12, 15]


def lanes_of(network: Network[Any], scenes: int, held: int | None = None) -> ParallelScenes:
    options = {"chunk": 2, "look_ahead": 1, "device": "cpu", "precision": "float32"}
    return ParallelScenes(network, scenes=scenes, held=held, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["compact", "iconvsr", "edvr"])
def test_scenes_in_parallel_equal_scenes_in_a_row(name: str) -> None:
    network, chunks = RECURRENT[name](), pieces(moving_clip(18, 10, 14), 4, cuts=CUTS)
    expected = stream(restorer_of(network, 2, 1), chunks)
    lanes = lanes_of(network, 3)
    left = [out for chunk in chunks for out in lanes.push(chunk)] + lanes.drain()
    assert pts_of(left) == list(range(0, 180, 10))
    assert_equal_but_for_rounding(left, expected)
    assert lanes.counts.scenes == 1 + len(CUTS)


def test_several_scenes_are_stepped_together() -> None:
    network, sizes = compact(), []
    original = network.step

    def step(window: torch.Tensor, *others: Any, **named: Any) -> Any:
        sizes.append(len(window))
        return original(window, *others, **named)

    network.step = step  # type: ignore[method-assign,assignment]
    lanes = lanes_of(network, 3, held=100)
    for chunk in pieces(moving_clip(30, 10, 14), 4, cuts=[10, 20]):
        lanes.push(chunk)
    lanes.drain()
    assert sizes.count(3) >= 4


@pytest.mark.parametrize("held", [1, 6, 12])
def test_no_more_frames_are_held_than_allowed(held: int) -> None:
    lanes = lanes_of(compact(), 3, held=held)
    accepted = left = most = 0
    for chunk in pieces(moving_clip(30, 10, 14), 1, cuts=list(range(5, 30, 5))):
        accepted += len(chunk)
        left += sum(map(len, lanes.push(chunk)))
        most = max(most, accepted - left)
    assert most <= max(held, 3) + 2
    assert left + sum(map(len, lanes.drain())) == 30


def test_it_can_be_used_again_after_the_end() -> None:
    lanes, network = lanes_of(compact(), 2), compact()
    chunks = pieces(moving_clip(6, 10, 14), 3, cuts=[2])
    expected = stream(restorer_of(network, 2, 1), chunks)
    for _ in range(2):
        left = [out for chunk in chunks for out in lanes.push(chunk)] + lanes.drain()
        assert_equal_but_for_rounding(left, expected)


@pytest.mark.parametrize("held", [None, 1])
def test_scenes_learn_from_each_other_what_fits(held: int | None) -> None:
    chunks = pieces(moving_clip(60, 16, 16), 60, cuts=range(0, 60, 10))
    alone = Restorer(Starving(3), chunk=8, look_ahead=4, device="cpu")
    lanes = ParallelScenes(Starving(3), scenes=2, held=held, chunk=8, look_ahead=4, device="cpu")
    assert pts_of(stream(alone, chunks)) == list(range(0, 600, 10))
    assert pts_of(lanes.push(chunks[0]) + lanes.drain()) == list(range(0, 600, 10))
    assert lanes.counts.retries <= alone.counts.retries + 1  # the first time both together
    assert lanes.settings == alone.settings


@pytest.mark.parametrize("size", [(20, 22), (10, 14)])
def test_refused_frames_leave_the_scenes_unchanged(size: tuple[int, int]) -> None:
    lanes, (first, second) = lanes_of(compact(), 2), pieces(moving_clip(4, 10, 14), 2)
    lanes.push(first)
    marked = replace(second, scene_starts=frozenset({0, 1}), frames=torch.zeros(2, 3, *size))
    wrong = replace(marked, pts=(20, 20)) if size == (10, 14) else marked
    with pytest.raises(ConfigurationError):
        lanes.push(wrong)
    assert pts_of(lanes.push(second) + lanes.drain()) == [0, 10, 20, 30]
    assert lanes.counts.scenes == 1


def test_both_can_stand_in_for_each_other() -> None:
    for name in ("push", "drain", "reset", "counts", "settings", "chunk", "network", "device"):
        assert hasattr(Restorer, name) or hasattr(restorer_of(compact(), 1, 0), name)
        assert hasattr(ParallelScenes, name)


class Watched(Network[Any]):
    """Another network; whether the state of a joint step is still in memory can be asked."""

    def __init__(self, network: Network[Any]) -> None:
        super().__init__()
        self.network, self.facts = network, network.facts
        self.joint: list[weakref.ref[torch.UntypedStorage]] = []

    def step(
        self, window_BTCHW: Tensor, state: Any, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, Any]:
        restored, state = self.network.step(window_BTCHW, state, num_keep, ends_scene=ends_scene)
        if len(window_BTCHW) > 1:
            self.joint += [weakref.ref(t.untyped_storage()) for _, t in named_tensors(state)]
        return restored, state


def test_a_kept_scene_does_not_keep_the_others_in_memory() -> None:
    batch = BatchRestorer(Watched(compact()), chunk=2, look_ahead=1, device="cpu")
    assert isinstance(batch.network, Watched)
    restored = batch.push({key: pieces(moving_clip(4, 10, 14), 4)[0] for key in "abc"})
    for chunk, *_ in restored.values():
        assert chunk.frames.untyped_storage().nbytes() == chunk.frames.nbytes
    assert batch.network.joint
    assert all(storage() is None for storage in batch.network.joint)
