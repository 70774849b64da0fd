"""Restored in pieces equals restored at once, and nothing is computed twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.networks import ALL, RECURRENT, engine_of_two, moving_clip
from tests.streaming import Maker, frames_of, pieces, pts_of, restorer_of, stream, whole_clip
from vsr.models.architectures.basicvsr import BasicVSR
from vsr.models.network import Network
from vsr.restorer import FULL

recurrent = pytest.mark.parametrize("make", RECURRENT.values(), ids=RECURRENT.keys())
every = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())

CHUNKS = (1, 2, 5, 8)
LOOK_AHEADS = (0, 1, 4, FULL)


def lengths(chunk: int) -> list[int]:
    """One frame, and every kind of last chunk up to three chunks and a frame."""
    around = {1, 2, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk + 1, 3 * chunk}
    return sorted({n for n in around if n > 0} | {3 * chunk + 1})


def assert_exact(network: Network[Any], chunk: int, num_frames: int) -> None:
    clip = moving_clip(num_frames, 18, 22)
    streamed = frames_of(stream(restorer_of(network, chunk, FULL), pieces(clip, 3)))
    torch.testing.assert_close(streamed, whole_clip(network, clip), atol=1e-5, rtol=0)


@every
@pytest.mark.parametrize(("chunk", "num_frames"), [(1, 3), (3, 8)])
def test_a_look_ahead_to_the_end_equals_the_whole_clip(
    make: Maker, chunk: int, num_frames: int
) -> None:
    assert_exact(make(), chunk, num_frames)


def test_a_look_ahead_as_long_as_the_clip_is_one_to_the_end() -> None:
    network, clip = RECURRENT["basicvsr"](), moving_clip(8, 18, 22)
    streamed = frames_of(stream(restorer_of(network, 3, len(clip)), pieces(clip, 3)))
    torch.testing.assert_close(streamed, whole_clip(network, clip), atol=1e-5, rtol=0)


@pytest.mark.slow
@recurrent
@pytest.mark.parametrize("chunk", CHUNKS)
def test_every_chunk_and_length_equals_the_whole_clip(make: Maker, chunk: int) -> None:
    network = make()
    for num_frames in lengths(chunk):
        assert_exact(network, chunk, num_frames)


def first_window(network: Network[Any], clip: Tensor, chunk: int, look_ahead: int) -> Tensor:
    """The first chunk as the network gives it when it sees the look-ahead and no more."""
    seen = clip[: chunk + look_ahead]
    with torch.inference_mode():
        num_keep = min(chunk, len(seen))
        return network.step(seen[None], None, num_keep, ends_scene=len(seen) == len(clip))[0][0]


@pytest.mark.parametrize(
    ("make", "look_ahead"), [*((make, 3) for make in ALL.values()), (ALL["compact"], 0)]
)
def test_the_first_step_sees_its_look_ahead_and_no_more(make: Maker, look_ahead: int) -> None:
    network, clip = make(), moving_clip(7, 18, 22)
    streamed = frames_of(stream(restorer_of(network, 2, look_ahead), pieces(clip, 4)))
    expected = first_window(network, clip, 2, look_ahead)
    torch.testing.assert_close(streamed[: len(expected)], expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("look_ahead", LOOK_AHEADS)
def test_any_look_ahead_restores_every_frame_once_however_frames_arrive(
    chunk: int, look_ahead: int | str
) -> None:
    """What a step is given is the engine's matter, whatever the network."""
    network = RECURRENT["compact"]()
    for num_frames in (1, chunk, 2 * chunk + 1, 3 * chunk + 1):
        clip = moving_clip(num_frames, 18, 22)
        results = [
            stream(restorer_of(network, chunk, look_ahead), pieces(clip, size)) for size in (1, 4)
        ]
        assert pts_of(results[0]) == list(range(0, 10 * num_frames, 10))
        assert torch.equal(*(frames_of(result) for result in results))
        if isinstance(look_ahead, int):
            expected = first_window(network, clip, chunk, look_ahead)
            streamed = frames_of(results[0])[: len(expected)]
            torch.testing.assert_close(streamed, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("chunk", "look_ahead"), [(1, 0), (3, 1), (2, 3)])
def test_a_short_look_ahead_costs_the_backward_branch_its_later_frames_and_nothing_else(
    chunk: int, look_ahead: int
) -> None:
    network, clip = RECURRENT["basicvsr"](), moving_clip(7, 18, 22)
    streamed = frames_of(stream(restorer_of(network, chunk, look_ahead), pieces(clip, 4)))
    for start in range(0, 7, chunk):
        expected = whole_clip(network, clip[: start + chunk + look_ahead])
        frames = slice(start, start + chunk)
        torch.testing.assert_close(streamed[frames], expected[frames], atol=1e-5, rtol=0)


@pytest.mark.parametrize("look_ahead", [2, 4])
def test_half_a_window_is_all_the_look_ahead_that_edvr_needs(look_ahead: int) -> None:
    network, clip = RECURRENT["edvr"](), moving_clip(11, 18, 22)
    streamed = frames_of(stream(restorer_of(network, 3, look_ahead), pieces(clip, 4)))
    torch.testing.assert_close(streamed, whole_clip(network, clip), atol=1e-5, rtol=0)


@engine_of_two
def test_sizes_that_change_between_steps_cost_no_frame(make: Maker) -> None:
    network, clip = make(), moving_clip(24, 18, 22)
    restorer = restorer_of(network, 4, 6)
    left = []
    sizes = [(4, 6), (1, 0), (2, 0), (6, 3), (1, 1), (3, 24)]
    for chunk, (size, look_ahead) in zip(pieces(clip, 4), sizes, strict=True):
        restorer.change(chunk=size, look_ahead=look_ahead)
        left += restorer.push(chunk)
    left += restorer.drain()
    assert pts_of(left) == list(range(0, 240, 10))


def test_sizes_that_change_leave_the_forward_branch_exact() -> None:
    torch.manual_seed(0)
    network, clip = BasicVSR(num_feat=8, num_block=2), moving_clip(24, 18, 22)
    restorer = restorer_of(network, 4, 6)
    left = restorer.push(pieces(clip, 16)[0])
    restorer.change(chunk=1, look_ahead=0)
    left += restorer.push(pieces(clip, 4)[4])
    restorer.change(chunk=3, look_ahead=FULL)
    left += restorer.push(pieces(clip, 4)[5]) + restorer.drain()
    torch.testing.assert_close(
        frames_of(left)[-3:], whole_clip(network, clip)[-3:], atol=1e-5, rtol=0
    )


class Seen:
    """Counts the frames, by content, that a method is given."""

    def __init__(self, module: Any, method: str) -> None:
        self.frames: Counter[int] = Counter()
        original = getattr(module, method)

        def counted(first: Tensor, *others: Any) -> Any:
            self.frames.update(hash(frame.numpy().tobytes()) for frame in first)
            return original(first, *others)

        setattr(module, method, counted)


class Pairs:
    """Counts the pairs of frames whose flow is estimated, separately for each direction."""

    def __init__(self, flow: Any) -> None:
        self.number = 0
        original = flow.between

        def counted(reference: list[Tensor], neighbour: list[Tensor]) -> Any:
            self.number += len(reference[0])
            return original(reference, neighbour)

        flow.between = counted


@pytest.mark.parametrize(
    "look_ahead", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, FULL))]
)
@pytest.mark.parametrize("name", RECURRENT)
def test_each_pair_of_frames_has_its_flow_estimated_once(name: str, look_ahead: int | str) -> None:
    network = RECURRENT[name]()
    flows = [Pairs(m) for m in network.modules() if hasattr(m, "between")]
    if not flows:
        pytest.skip(f"{name} estimates no flow")
    stream(restorer_of(network, 3, look_ahead), pieces(moving_clip(11, 16, 16), 2))
    assert [pairs.number for pairs in flows] == [2 * 10] * len(flows)  # ten pairs, two directions


@pytest.mark.parametrize(
    "look_ahead", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, FULL))]
)
@pytest.mark.parametrize("name", RECURRENT)
def test_each_frame_has_its_pyramid_of_features_computed_once(
    name: str, look_ahead: int | str
) -> None:
    network = RECURRENT[name]()
    extractors = [Seen(m, "features") for m in feature_networks(network)]
    if not extractors:
        pytest.skip(f"{name} has no pyramids of features")
    stream(restorer_of(network, 3, look_ahead), pieces(moving_clip(11, 16, 16), 2))
    assert all(set(seen.frames.values()) == {1} for seen in extractors)


def feature_networks(network: Network[Any]) -> list[nn.Module]:
    return [module for module in network.modules() if hasattr(module, "features")]
