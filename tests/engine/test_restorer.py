"""The engine's contract: exact, separate, lossless in time, bounded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.networks import ALL, RECURRENT, compact, engine_of_two, moving_clip
from tests.streaming import Maker, frames_of, pieces, pts_of, restorer_of, stream
from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Identity
from vsr.models.architectures.basicvsr import BasicVSR
from vsr.models.network import Network
from vsr.models.ops.imresize import imresize
from vsr.restorer import FULL, Restorer
from vsr.types import Chunk

recurrent = pytest.mark.parametrize("make", RECURRENT.values(), ids=RECURRENT.keys())
every = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())


@pytest.mark.parametrize("name", sorted(RECURRENT.keys() - {"by_quality"}))
def test_state_survives_a_chunk_boundary(name: str) -> None:
    # by_quality restores noise such as this fully, whatever came before: see test_regions.
    network, clip = RECURRENT[name](), moving_clip(4, 10, 14)
    streamed = frames_of(stream(restorer_of(network, 2, 0), pieces(clip, 2)))
    with torch.inference_mode():
        independent = network(clip[None, 2:])[0]
    assert (streamed[2:] - independent).abs().max() > 1e-3


@pytest.mark.parametrize("look_ahead", [0, 2])
def test_results_do_not_depend_on_the_chunks_pushed(look_ahead: int) -> None:
    network, clip = compact(), moving_clip(11, 10, 14)
    results = [
        frames_of(stream(restorer_of(network, 3, look_ahead), pieces(clip, size)))
        for size in (1, 4, 11)
    ]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@recurrent
def test_scenes_in_one_stream_equal_separate_clips(make: Maker) -> None:
    network, clip = make(), moving_clip(9, 10, 14)
    together = stream(restorer_of(network, 3, 2), pieces(clip, 4, cuts=[5]))
    separately = [
        frames_of(stream(restorer_of(network, 3, 2), pieces(part, 4)))
        for part in (clip[:5], clip[5:])
    ]
    assert torch.equal(frames_of(together), torch.cat(separately))
    starts = [c.pts[i] for c in together for i in sorted(c.scene_starts)]
    assert starts == [50]


@engine_of_two
def test_interleaved_streams_equal_each_alone(make: Maker) -> None:
    network = make()
    clips = [moving_clip(7, 10, 14, seed=s) for s in (1, 2)]
    alone = [frames_of(stream(restorer_of(network, 2, 1), pieces(c, 3))) for c in clips]
    restorers = [restorer_of(network, 2, 1) for _ in clips]
    mixed: list[list[Chunk]] = [[], []]
    for chunks in zip(*(pieces(c, 3) for c in clips), strict=True):
        for out, restorer, chunk in zip(mixed, restorers, chunks, strict=True):
            out.extend(restorer.push(chunk))
    for out, restorer, expected in zip(mixed, restorers, alone, strict=True):
        out.extend(restorer.drain())
        assert torch.equal(frames_of(out), expected)


@pytest.mark.parametrize(
    ("make", "look_ahead"), [*((make, 3) for make in ALL.values()), (compact, 0), (compact, FULL)]
)
def test_every_frame_leaves_once_in_order_with_its_pts(make: Maker, look_ahead: int | str) -> None:
    clip = moving_clip(10, 8, 8)
    left = stream(restorer_of(make(), 4, look_ahead), pieces(clip, 3, cuts=[6]))
    assert pts_of(left) == list(range(0, 100, 10))
    assert all(len(chunk.frames) == len(chunk) for chunk in left)


def test_no_more_frames_wait_than_a_chunk_and_its_look_ahead() -> None:
    restorer = restorer_of(compact(), 3, 2)
    waiting = []
    for chunk in pieces(moving_clip(40, 16, 16), 1):
        restorer.push(chunk)
        waiting.append(restorer.num_waiting)
    assert max(waiting) == 4


def test_one_network_serves_restorers_of_two_precisions() -> None:
    network, clip = compact(), moving_clip(4, 16, 16)
    exact = frames_of(stream(restorer_of(network, 2, 1), pieces(clip, 2)))
    low = Restorer(network, chunk=2, look_ahead=1, device="cpu", precision="bfloat16")
    rough = frames_of(stream(low, pieces(clip, 2)))
    assert network.dtype == torch.float32
    assert 0 < (exact - rough).abs().max() < 0.5


def test_another_error_of_the_network_is_not_taken_for_a_lack_of_memory() -> None:
    class Failing(Identity):
        def step(self, *_: Any, **__: Any) -> tuple[Tensor, None]:
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        restorer_of(Failing(), 2, 0).push(pieces(moving_clip(2, 16, 16), 2)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"chunk": 0},
        {"look_ahead": -1},
        {"look_ahead": "all"},
        {"look_ahead": 1.5},
        {"device": "gpu"},
        {"device": "cuda:99"},
        {"precision": "half"},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Restorer(compact(), **options)


@pytest.mark.gpu
@recurrent
def test_cuda_agrees_with_the_cpu(make: Maker) -> None:
    network, clip = make(), moving_clip(7, 10, 14)
    cpu = frames_of(stream(restorer_of(network, 3, 2), pieces(clip, 3)))
    restorer = Restorer(network, chunk=3, look_ahead=2, device="cuda", precision="float32")
    cuda = frames_of(stream(restorer, pieces(clip, 3)))
    torch.testing.assert_close(cuda.cpu(), cpu, atol=1e-3, rtol=0)


def test_frames_that_are_passed_through_leave_at_once_in_order_and_are_counted() -> None:
    restorer, chunks = restorer_of(compact(), 4, 2), pieces(moving_clip(15, 10, 14), 5)
    left = restorer.push(chunks[0]) + restorer.pass_through(chunks[1])
    assert pts_of(left) == list(range(0, 100, 10))
    assert restorer.num_waiting == 0
    left += restorer.push(chunks[2]) + restorer.drain()
    assert pts_of(left) == list(range(0, 150, 10))
    assert restorer.passed_through == 10
    assert restorer.counts.scenes == 1
    expected = imresize(chunks[1].frames, 4)
    torch.testing.assert_close(frames_of(left)[5:10], expected, atol=1e-6, rtol=0)


def after_three_frames_passed_through(network: Network[Any], clip: Tensor) -> Tensor:
    """The first frame that is restored behind them."""
    restorer = restorer_of(network, 1, 0)
    restorer.push(pieces(clip, 6)[0])
    restorer.pass_through(pieces(clip, 3)[2])
    return frames_of(restorer.push(pieces(clip, 3)[3]))[:1]


def test_restoring_resumes_from_the_state_before_the_frames_passed_through() -> None:
    torch.manual_seed(0)
    network, still = BasicVSR(num_feat=8, num_block=2), moving_clip(1, 10, 14)
    clip = still.expand(12, -1, -1, -1)
    streamed = frames_of(stream(restorer_of(network, 1, 0), pieces(clip, 3)))
    resumed = after_three_frames_passed_through(network, clip)
    # Without motion the frame behind the gap is the seventh to the state, as if there were no gap.
    torch.testing.assert_close(resumed[0], streamed[6], atol=1e-5, rtol=0)
    assert (resumed[0] - streamed[0]).abs().max() > 1e-3


@recurrent
def test_every_network_can_resume_behind_frames_passed_through(make: Maker) -> None:
    assert after_three_frames_passed_through(make(), moving_clip(12, 10, 14)).isfinite().all()


def test_a_scene_that_begins_among_frames_passed_through_has_no_past() -> None:
    network, clip = compact(), moving_clip(12, 10, 14)
    restorer = restorer_of(network, 2, 0)
    restorer.push(pieces(clip, 4)[0])
    restorer.pass_through(pieces(clip, 4, cuts=[6])[1])
    left = restorer.push(pieces(clip, 4)[2])
    fresh = restorer_of(network, 2, 0).push(pieces(clip[8:], 4)[0])
    assert torch.equal(frames_of(left), frames_of(fresh))
    assert restorer.counts.scenes == 2


@pytest.mark.parametrize(
    ("shape", "num_pts"),
    [((2, 4, 16, 16), 2), ((3, 16, 16), 3), ((2, 3, 16, 16), 1), ((1, 3, 0, 16), 1)],
)
def test_frames_of_another_shape_are_refused_and_nothing_is_taken(
    shape: tuple[int, ...], num_pts: int
) -> None:
    restorer = restorer_of(compact(), 2, 0)
    odd = Chunk(frames=torch.zeros(shape), pts=tuple(range(num_pts)), time_base=Fraction(1))
    with pytest.raises(ConfigurationError, match=r"give \(T, 3, H, W\)"):
        restorer.push(odd)
    assert restorer.num_waiting == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pts": (30, 30)}, "pts 30 comes after 30; give pts that increase"),
        ({"pts": (50, 40)}, "pts 40 comes after 50"),
        ({"pts": (10, 20)}, "pts 10 comes after 10"),
        ({"time_base": Fraction(1, 1000)}, "units of 1/1000 s in a stream of 1/250 s; rescale"),
        ({"frames": torch.zeros(2, 3, 16, 16, dtype=torch.uint8)}, "frames are uint8; give floats"),
        ({"scene_starts": frozenset({2})}, r"scenes start at \[2\] of 2 frames"),
        ({"scene_starts": frozenset({-1})}, r"scenes start at \[-1\] of 2 frames"),
    ],
)
def test_chunks_that_cannot_follow_are_refused_whole(change: dict[str, Any], words: str) -> None:
    restorer, (first, second) = restorer_of(compact(), 4, 2), pieces(moving_clip(4, 16, 16), 2)
    restorer.push(first)
    for take in (restorer.push, restorer.pass_through):
        with pytest.raises(ConfigurationError, match=words):
            take(replace(second, **change))
    assert restorer.num_waiting == 2
    assert pts_of(restorer.push(second) + restorer.drain()) == [0, 10, 20, 30]


def test_behind_its_end_a_stream_can_begin_again_at_any_time_in_any_time_base() -> None:
    restorer, (first,) = restorer_of(compact(), 4, 2), pieces(moving_clip(2, 16, 16), 2)
    stream(restorer, [first])
    (left,) = stream(restorer, [replace(first, time_base=Fraction(1, 7))])
    assert (left.pts, left.time_base) == ((0, 10), Fraction(1, 7))


def test_another_size_is_refused_until_the_stream_is_drained() -> None:
    restorer = restorer_of(compact(), 4, 2)
    restorer.push(pieces(moving_clip(3, 16, 16), 3)[0])
    larger = pieces(moving_clip(3, 20, 16), 3)[0]
    with pytest.raises(ConfigurationError, match="16x20 in a stream of 16x16"):
        restorer.push(larger)
    assert len(frames_of(restorer.drain())) == 3
    alone = frames_of(stream(restorer_of(compact(), 4, 2), [larger]))
    assert torch.equal(frames_of(stream(restorer, [larger])), alone)


def test_an_array_is_answered_with_what_to_give() -> None:
    restorer = Restorer(compact())
    with pytest.raises(ConfigurationError, match=r"ndarray was pushed; give vsr\.Chunk\(frames="):
        restorer.push(np.zeros((2, 4, 4, 3), np.uint8))  # type: ignore[arg-type]


def test_numpy_frames_are_answered_with_what_to_give() -> None:
    frames = np.zeros((2, 3, 8, 8), np.float32)
    chunk = Chunk(frames=frames, pts=(0, 1), time_base=Fraction(1, 25))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="type ndarray; give a torch tensor"):
        Restorer(compact()).push(chunk)
