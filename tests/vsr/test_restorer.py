"""The engine's contract: exact, separate, lossless in time, bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.networks import ALL, RECURRENT, compact, moving_clip
from vsr.errors import ConfigurationError
from vsr.models.network import Network
from vsr.restorer import FULL, Restorer
from vsr.types import Chunk

Maker = Callable[[], Network[Any]]
recurrent = pytest.mark.parametrize("make", RECURRENT.values(), ids=RECURRENT.keys())
every = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())


def pieces(clip: Tensor, size: int, cuts: Iterable[int] = ()) -> list[Chunk]:
    """A clip as chunks with pts 0, 10, 20 …; scenes start at the cuts."""
    chunks = []
    for start in range(0, len(clip), size):
        end = min(start + size, len(clip))
        marks = frozenset(cut - start for cut in cuts if start <= cut < end)
        chunks.append(
            Chunk(
                frames=clip[start:end],
                pts=tuple(range(10 * start, 10 * end, 10)),
                time_base=Fraction(1, 250),
                scene_starts=marks,
            )
        )
    return chunks


def stream(restorer: Restorer, chunks: list[Chunk]) -> list[Chunk]:
    return [out for chunk in chunks for out in restorer.push(chunk)] + restorer.drain()


def frames_of(chunks: list[Chunk]) -> Tensor:
    return torch.cat([chunk.frames for chunk in chunks])


def restorer_of(network: Network[Any], chunk: int, look_ahead: int | str) -> Restorer:
    return Restorer(network, chunk=chunk, look_ahead=look_ahead, device="cpu", precision="float32")


@every
@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
@pytest.mark.parametrize("num_frames", [1, 7, 10])
def test_full_look_ahead_equals_the_whole_clip(make: Maker, chunk: int, num_frames: int) -> None:
    network, clip = make(), moving_clip(num_frames, 18, 22)
    with torch.inference_mode():
        whole = network(clip[None])[0]
    streamed = frames_of(stream(restorer_of(network, chunk, FULL), pieces(clip, 3)))
    torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=0)


@recurrent
@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
def test_a_look_ahead_that_reaches_the_end_equals_the_whole_clip(make: Maker, chunk: int) -> None:
    network, clip = make(), moving_clip(8, 18, 22)
    with torch.inference_mode():
        whole = network(clip[None])[0]
    streamed = frames_of(stream(restorer_of(network, chunk, 7), pieces(clip, 2)))
    torch.testing.assert_close(streamed, whole, atol=1e-5, rtol=0)


@recurrent
def test_state_survives_a_chunk_boundary(make: Maker) -> None:
    network, clip = make(), moving_clip(8, 18, 22)
    streamed = frames_of(stream(restorer_of(network, 4, 0), pieces(clip, 4)))
    with torch.inference_mode():
        independent = network(clip[None, 4:])[0]
    assert (streamed[4:] - independent).abs().max() > 1e-3


@recurrent
@pytest.mark.parametrize("look_ahead", [0, 2])
def test_how_frames_arrive_does_not_matter(make: Maker, look_ahead: int) -> None:
    network, clip = make(), moving_clip(11, 18, 22)
    results = [
        frames_of(stream(restorer_of(network, 3, look_ahead), pieces(clip, size)))
        for size in (1, 4, 11)
    ]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@recurrent
def test_scenes_in_one_stream_equal_separate_clips(make: Maker) -> None:
    network, clip = make(), moving_clip(11, 18, 22)
    together = stream(restorer_of(network, 3, 2), pieces(clip, 4, cuts=[5]))
    apart = [
        frames_of(stream(restorer_of(network, 3, 2), pieces(part, 4)))
        for part in (clip[:5], clip[5:])
    ]
    torch.testing.assert_close(frames_of(together), torch.cat(apart), atol=1e-6, rtol=0)
    starts = [c.pts[i] for c in together for i in sorted(c.scene_starts)]
    assert starts == [50]


@recurrent
def test_interleaved_streams_equal_each_alone(make: Maker) -> None:
    network = make()
    clips = [moving_clip(7, 18, 22, seed=s) for s in (1, 2)]
    alone = [frames_of(stream(restorer_of(network, 2, 1), pieces(c, 3))) for c in clips]
    restorers = [restorer_of(network, 2, 1) for _ in clips]
    mixed: list[list[Chunk]] = [[], []]
    for chunks in zip(*(pieces(c, 3) for c in clips), strict=True):
        for out, restorer, chunk in zip(mixed, restorers, chunks, strict=True):
            out.extend(restorer.push(chunk))
    for out, restorer, expected in zip(mixed, restorers, alone, strict=True):
        out.extend(restorer.drain())
        assert torch.equal(frames_of(out), expected)


@every
@pytest.mark.parametrize("look_ahead", [0, 3, FULL])
def test_every_frame_leaves_once_in_order_with_its_pts(make: Maker, look_ahead: int | str) -> None:
    clip = moving_clip(10, 16, 16)
    left = stream(restorer_of(make(), 4, look_ahead), pieces(clip, 3, cuts=[6]))
    assert [pts for chunk in left for pts in chunk.pts] == list(range(0, 100, 10))
    assert all(len(chunk.frames) == len(chunk) for chunk in left)


def test_no_more_frames_wait_than_a_chunk_and_its_look_ahead() -> None:
    restorer = restorer_of(compact(), 3, 2)
    waiting = []
    for chunk in pieces(moving_clip(40, 16, 16), 1):
        restorer.push(chunk)
        waiting.append(restorer.num_waiting)
    assert max(waiting) == 4


def test_each_pair_of_frames_has_its_flow_estimated_once() -> None:
    network = compact()
    pairs: list[int] = []
    flow: Any = network.get_submodule("flow")
    between = flow.between

    def counted(reference: list[Tensor], neighbour: list[Tensor]) -> Any:
        pairs.append(len(reference[0]))
        return between(reference, neighbour)

    flow.between = counted
    stream(restorer_of(network, 3, 2), pieces(moving_clip(11, 16, 16), 2))
    assert sum(pairs) == 2 * 10  # ten pairs, two directions


def test_one_network_serves_restorers_of_two_precisions() -> None:
    network, clip = compact(), moving_clip(4, 16, 16)
    exact = frames_of(stream(restorer_of(network, 2, 1), pieces(clip, 2)))
    low = Restorer(network, chunk=2, look_ahead=1, device="cpu", precision="bfloat16")
    rough = frames_of(stream(low, pieces(clip, 2)))
    assert network.dtype == torch.float32
    assert 0 < (exact - rough).abs().max() < 0.5


class Starving(Network[None]):
    """Fails for want of memory when a window holds more than ``room`` frames."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.facts, self.room = ALL["identity"]().facts, room

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        if window_BTCHW.shape[1] > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return window_BTCHW[:, :num_keep], state


@pytest.mark.parametrize(("room", "passed_through"), [(3, 0), (1, 0), (0, 10)])
def test_a_lack_of_memory_costs_no_frame(room: int, passed_through: int) -> None:
    clip = moving_clip(10, 16, 16)
    restorer = Restorer(Starving(room), chunk=8, look_ahead=4, device="cpu")
    left = stream(restorer, pieces(clip, 5))
    assert [pts for chunk in left for pts in chunk.pts] == list(range(0, 100, 10))
    torch.testing.assert_close(frames_of(left), clip, atol=1e-6, rtol=0)
    assert restorer.passed_through == passed_through


def test_another_error_of_the_network_is_not_taken_for_a_lack_of_memory() -> None:
    restorer = restorer_of(compact(), 2, 0)
    with pytest.raises(RuntimeError):
        restorer.push(pieces(torch.rand(2, 5, 16, 16), 2)[0])


@pytest.mark.parametrize(
    "options",
    [
        {"chunk": 0},
        {"look_ahead": -1},
        {"look_ahead": "all"},
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
    network, clip = make(), moving_clip(7, 18, 22)
    cpu = frames_of(stream(restorer_of(network, 3, 2), pieces(clip, 3)))
    restorer = Restorer(network, chunk=3, look_ahead=2, device="cuda", precision="float32")
    cuda = frames_of(stream(restorer, pieces(clip, 3)))
    torch.testing.assert_close(cuda.cpu(), cpu, atol=1e-3, rtol=0)
