"""Chunk and look-ahead are chosen by the speed that is measured, at the beginning and later."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from threading import Event

import pytest
import torch
from torch import Tensor

from tests.live.harness import Running, asked
from tests.live.sluggish import Sluggish
from vsr.live.monitor.figures import Figures
from vsr.live.options import StreamOptions
from vsr.live.restoration import LiveRestoration
from vsr.live.timing.latency_plan import measure
from vsr.models.network import Network, NetworkFacts
from vsr.models.ops.imresize import imresize
from vsr.restorer import Restorer
from vsr.types import Chunk


def test_speed_is_measured_on_the_network_itself() -> None:
    speed = measure(Sluggish(0.02), torch.device("cpu"), 16, 16, Event())
    assert speed.frame_s > 0.01


class Remembering(Network[int]):
    """Knows in the second step of a scene what look-ahead had to be found out in the first."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="remembering", scale=2, look_ahead=2, chunk=4)

    def step(
        self, window_BTCHW: Tensor, state: int | None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, int]:
        num_seen = window_BTCHW.shape[1]
        time.sleep(0.01 * (num_keep if state is not None else num_seen))
        return imresize(window_BTCHW[:, :num_keep], 2), num_seen


def test_speed_is_that_of_a_stream_under_way() -> None:
    speed = measure(Remembering(), torch.device("cpu"), 16, 16, Event())
    assert speed.look_ahead_s < speed.frame_s / 2


class Watched(Network[None]):
    """Keeps the frames that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="watched", scale=2, look_ahead=2, chunk=4)
        self.steps: list[tuple[Tensor, int]] = []

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        self.steps.append((window_BTCHW[0, :, 0, 0, 0], num_keep))
        return imresize(window_BTCHW[:, :num_keep], 2), None


def test_nothing_stands_still_while_speed_is_measured() -> None:
    """A network that skips what does would take no time."""
    network = Watched()
    measure(network, torch.device("cpu"), 16, 16, Event())
    kept = torch.cat([levels[:num_keep] for levels, num_keep in network.steps])
    assert (kept.diff().abs() > 0.1).all()
    assert all((levels.diff().abs() > 0.1).all() for levels, _ in network.steps)


class Multiplying(Network[None]):
    """Keeps a device at work for a while after each call has returned."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="multiplying", scale=2, look_ahead=0, chunk=1)
        self.matrix = torch.nn.Parameter(torch.eye(4096), requires_grad=False)

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        product: Tensor = self.matrix
        for _ in range(50 * num_keep):
            product = product @ self.matrix
        return imresize(window_BTCHW[:, :num_keep], 2) + 0 * product[0, 0], None


@pytest.mark.gpu
def test_a_device_that_works_on_behind_the_call_is_timed_to_its_end() -> None:
    network, device = Multiplying().cuda(), torch.device("cuda")
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    window = torch.zeros(1, 1, 3, 16, 16, device=device)
    network.step(window, None, 1)
    began.record()
    network.step(window, None, 1)
    ended.record()
    ended.synchronize()
    speed = measure(network, device, 16, 16, Event())
    assert speed.frame_s > began.elapsed_time(ended) / 1000 / 2


@pytest.mark.gpu
def test_a_frame_that_leaves_is_done_and_not_only_asked_for() -> None:
    restorer = Restorer(Multiplying(), device="cuda", precision="float32")
    options = StreamOptions(source="", target="", latency_s=30.0)
    restoration = LiveRestoration(options, restorer, Figures(name="it"))
    restoration.plan(16, 16, Fraction(25), 0, Event())
    frame = Chunk(frames=torch.zeros(1, 3, 16, 16).cuda(), pts=(0,), time_base=Fraction(1, 25))
    assert restoration.push(frame, time.monotonic(), 0)
    assert torch.cuda.current_stream().query()


def test_sizes_chosen_under_load_grow_once_full_quality_lasts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vsr.live.restoration.LASTING_S", 0.0)
    network = Sluggish(0.05)
    restorer = Restorer(network, device="cpu", precision="float32")
    restoration = LiveRestoration(StreamOptions(source="", target=""), restorer, Figures(name="it"))
    first = restoration.plan(16, 16, Fraction(25), 0, Event())
    assert first is not None
    assert (first.chunk, first.look_ahead, first.keeps_up) == (1, 0, False)
    network.frame_s = 0.0
    left = 0
    for number in range(60):
        frame = Chunk(frames=torch.zeros(1, 3, 16, 16), pts=(number,), time_base=Fraction(1, 25))
        left += sum(map(len, restoration.push(frame, time.monotonic(), 0)))
    assert restorer.settings.look_ahead == network.facts.look_ahead
    assert left >= 60 - restorer.settings.chunk - network.facts.look_ahead
    assert "look-ahead 2" in caplog.text


class Interrupted(Sluggish):
    """Asked to stop while its speed is measured."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.stop, self.num_steps = Event(), 0

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        self.num_steps += 1
        self.stop.set()
        return super().step(window_BTCHW, state, num_keep, ends_scene=ends_scene)


def test_a_stop_during_the_measurement_ends_with_the_current_step(
    clip: Path, tmp_path: Path
) -> None:
    network = Interrupted()
    restorer = Restorer(network, device="cpu", precision="float32")
    stream = Running(asked(clip, tmp_path / "out.mkv"), restorer)
    stream.stop = network.stop
    stream.thread.start()
    stream.wait()
    assert (network.num_steps, stream.figures.state) == (1, "ended")
    assert not list(tmp_path.iterdir())
