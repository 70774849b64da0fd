"""Too little memory costs time or sharpness, never a frame."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import REPOSITORY
from tests.networks import engine_of_two, moving_clip
from tests.streaming import Maker, frames_of, pieces, pts_of, restorer_of, stream
from vsr.models.architectures.baselines import Identity
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.restorer import Restorer


class Starving(Network[None]):
    """Fails for want of memory when a window holds more than ``room`` frames."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.facts, self.room = Identity().facts, room

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        if window_BTCHW.shape[1] > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return window_BTCHW[:, :num_keep], state


class Limited(Network[Any]):
    """Another network, that fails once when it has restored some frames, or for large frames."""

    def __init__(self, network: Network[Any], *, fails_at: int = 10**9, area: int = 10**9) -> None:
        super().__init__()
        self.network, self.facts = network, network.facts
        self.fails_at, self.area, self.restored = fails_at, area, 0

    def step(
        self, window_BTCHW: Tensor, state: Any, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, Any]:
        if self.restored >= self.fails_at or window_BTCHW[0, 0, 0].numel() > self.area:
            self.fails_at = 10**9
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.restored += num_keep
        return self.network.step(window_BTCHW, state, num_keep, ends_scene=ends_scene)


@pytest.mark.parametrize(("room", "passed_through"), [(3, 0), (1, 0), (0, 10)])
def test_a_lack_of_memory_costs_no_frame(room: int, passed_through: int) -> None:
    clip = moving_clip(10, 16, 16)
    restorer = Restorer(Starving(room), chunk=8, look_ahead=4, device="cpu")
    left = stream(restorer, pieces(clip, 5))
    assert pts_of(left) == list(range(0, 100, 10))
    torch.testing.assert_close(frames_of(left), clip, atol=1e-6, rtol=0)
    assert restorer.passed_through == passed_through
    assert restorer.counts.retries > 0


@engine_of_two
def test_a_step_without_memory_is_repeated_from_the_state_before_it(make: Maker) -> None:
    network, clip = make(), moving_clip(12, 10, 14)
    planned = restorer_of(network, 4, 2)
    first, last = pieces(clip, 8)
    expected = planned.push(first)
    planned.change(chunk=2, look_ahead=1)
    expected += planned.push(last) + planned.drain()
    failing = restorer_of(Limited(network, fails_at=4), 4, 2)
    assert torch.equal(frames_of(stream(failing, [first, last])), frames_of(expected))
    assert (failing.chunk, failing.look_ahead, failing.counts.retries) == (2, 1, 1)


def test_frames_too_large_by_themselves_are_restored_in_tiles() -> None:
    clip = moving_clip(5, 128, 160)
    restorer = restorer_of(Limited(Identity(), area=100 * 100), 2, 1)
    left = frames_of(stream(restorer, pieces(clip, 5)))
    torch.testing.assert_close(left, clip, atol=1e-6, rtol=0)
    assert restorer.settings.tiles == (2, 2)
    assert restorer.passed_through == 0


def starve(restorer: Restorer) -> None:
    """Leave room for less than 130 x 140 pixels from now on."""
    assert isinstance(restorer.network, Limited)
    restorer.network.area = 100 * 140


def test_a_stream_continues_in_tiles_whose_state_starts_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network, clip = load_network(), moving_clip(8, 130, 140)
    restorer = restorer_of(Limited(network), 1, 0)
    restorer.push(pieces(clip, 6)[0])
    starve(restorer)
    (left,) = restorer.push(pieces(clip, 1)[6])
    assert restorer.settings.tiles == (1, 2)
    assert restorer.counts.resets == 1
    assert "the state is discarded" in caplog.text
    tiled = Restorer(
        network, chunk=1, look_ahead=0, tiles=(1, 2), device="cpu", precision="float32"
    )
    anew = frames_of(stream(tiled, pieces(clip[6:7], 1)))
    torch.testing.assert_close(left.frames, anew, atol=1e-5, rtol=0)


PROGRAM = """
import vsr.cli.startup
vsr.cli.startup.prepare()
import json, resource
from fractions import Fraction
import torch
from tests.networks import compact, moving_clip
from tests.streaming import pieces, restorer_of
from vsr.engine.step_memory import Steps, step_bytes
from vsr.engine.settings import Settings
torch.set_num_threads(1)
network = compact()
clip = moving_clip(40, 144, 176)
restorer_of(network, 1, 0).push(pieces(clip, 2)[0])
room = 1.5 * step_bytes(Steps(network), Settings(chunk=8, look_ahead=2), 144, 176) + 64 * 2**20
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(room)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
restorer = restorer_of(network, 32, 8)
left = sum(len(out) for chunk in pieces(clip, 8) for out in restorer.iter_push(chunk))
left += sum(len(out) for out in restorer.iter_drain())
counts = restorer.counts
print(json.dumps([left, counts.retries, counts.passed_through, restorer.chunk]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_process_that_runs_out_of_memory_continues_with_smaller_steps() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    num_left, retries, passed_through, chunk = json.loads(done.stdout)
    assert (num_left, passed_through) == (40, 0)
    assert retries > 0
    assert chunk < 32
