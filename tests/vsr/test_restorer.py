"""The engine's contract: exact, separate, lossless in time, bounded."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.networks import ALL, RECURRENT, compact, moving_clip
from tests.streaming import Maker, frames_of, pieces, pts_of, restorer_of, stream
from vsr.errors import ConfigurationError
from vsr.restorer import FULL, Restorer
from vsr.types import Chunk

recurrent = pytest.mark.parametrize("make", RECURRENT.values(), ids=RECURRENT.keys())
every = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())


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
    assert torch.equal(frames_of(together), torch.cat(apart))
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
