"""A diverging state is discarded, and the stream continues."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.networks import basicvsr, compact, edvr, engine_of_two, moving_clip
from tests.streaming import Maker, frames_of, pieces, pts_of, restorer_of, stream
from vsr.engine.divergence import DivergenceGuard
from vsr.engine.settings import Settings
from vsr.engine.step import restore_ready
from vsr.engine.stream import Counts, Stream
from vsr.models.architectures.baselines import Identity
from vsr.models.layers.propagation import PropagationState
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.restorer import Restorer
from vsr.types import Chunk

PICTURE = torch.zeros(1, 3, 12, 12)


def still_clip(num_frames: int) -> Tensor:
    return moving_clip(1, 10, 14).expand(num_frames, -1, -1, -1)


def amplifying() -> Network[Any]:
    """A network whose forward branch makes its features larger with every frame."""
    network = basicvsr()
    for name, parameter in network.named_parameters():
        if name.startswith("forward_trunk"):
            parameter.data *= 1.2
    return network


def test_on_still_footage_the_network_diverges_by_itself() -> None:
    network, state = amplifying(), None
    with torch.inference_mode():
        for frame in still_clip(60):
            restored, state = network.step(frame[None, None], state, 1, ends_scene=False)
    assert not restored.abs().max() < 1e6


def test_divergence_is_noticed_said_and_recovered_from(caplog: pytest.LogCaptureFixture) -> None:
    restorer = restorer_of(amplifying(), 1, 0)
    left = stream(restorer, pieces(still_clip(60), 4))
    assert pts_of(left) == list(range(0, 600, 10))
    assert restorer.counts.resets > 0
    assert restorer.passed_through == 0
    assert "state discarded at pts" in caplog.text
    sizes = frames_of(left).abs().amax((1, 2, 3))
    assert sizes.max() < 1e3
    assert sizes[-1] < 20 * sizes[0]


@engine_of_two
def test_footage_with_cuts_and_flashes_is_not_taken_for_divergence(make: Maker) -> None:
    torch.manual_seed(0)
    clip = moving_clip(24, 10, 14)
    clip[6:9], clip[12], clip[15:] = 0, 1, moving_clip(9, 10, 14, seed=5)
    network = make() if make is not basicvsr else tame()
    restorer = restorer_of(network, 1, 0)
    stream(restorer, pieces(clip, 4))
    assert restorer.counts.resets == 0


def tame() -> Network[Any]:
    """BasicVSR as it is before training: the awakened one diverges on its own."""
    from vsr.models.architectures.basicvsr import BasicVSR

    return BasicVSR(num_feat=8, num_block=2)


class Poisoned(Network[Any]):
    """``compact`` whose state holds no numbers after some frames, once or from then on."""

    def __init__(self, at: int, *, forever: bool) -> None:
        super().__init__()
        self.network = compact()
        self.facts, self.at, self.forever, self.steps = self.network.facts, at, forever, 0

    def step(
        self, window_BTCHW: Tensor, state: Any, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, Any]:
        restored, state = self.network.step(window_BTCHW, state, num_keep, ends_scene=ends_scene)
        self.steps += 1
        if self.steps == self.at or (self.forever and self.steps > self.at):
            state.feat_BKHW[:] = torch.nan
            restored[:] = torch.nan
        return restored, state


def test_frames_with_nan_are_restored_again() -> None:
    restorer = restorer_of(Poisoned(3, forever=False), 2, 1)
    left = frames_of(stream(restorer, pieces(moving_clip(12, 10, 14), 4)))
    assert left.isfinite().all()
    assert (restorer.counts.resets, restorer.passed_through) == (1, 0)


def test_frames_the_network_has_no_numbers_for_are_enlarged() -> None:
    restorer = restorer_of(Poisoned(3, forever=True), 2, 1)
    left = stream(restorer, pieces(moving_clip(12, 10, 14), 4))
    assert pts_of(left) == list(range(0, 120, 10))
    assert frames_of(left).isfinite().all()
    assert restorer.passed_through == 8


class Blinded(Network[Any]):
    """EDVR whose features are numbers, and whose pictures are none after some frames."""

    def __init__(self) -> None:
        super().__init__()
        self.network = edvr()
        self.facts, self.steps = self.network.facts, 0

    def step(
        self, window_BTCHW: Tensor, state: Any, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, Any]:
        restored, state = self.network.step(window_BTCHW, state, num_keep, ends_scene=ends_scene)
        self.steps += 1
        if self.steps > 2:
            restored[..., :20, :20] = torch.nan
        return restored, state


def test_pictures_without_numbers_do_not_leave() -> None:
    restorer = restorer_of(Blinded(), 2, 1)
    left = stream(restorer, pieces(moving_clip(8, 10, 14), 4))
    assert pts_of(left) == list(range(0, 80, 10))
    assert frames_of(left).isfinite().all()
    assert restorer.passed_through == 4


def state_of(feat: float, flow: float) -> PropagationState:
    return PropagationState(
        feat_BKHW=torch.full((1, 4, 3, 3), feat),
        frame_BCHW=torch.full((1, 3, 3, 3), flow),
        forward_BP2HW=torch.full((1, 2, 2, 3, 3), flow),
        backward_BP2HW=torch.full((1, 2, 2, 3, 3), flow),
    )


def test_discarded_measurements_cause_no_divergence() -> None:
    guard = DivergenceGuard()
    guard.watch(state_of(float("nan"), 0.0), PICTURE)
    guard.discard_pending()
    assert guard.check() is None


@pytest.mark.parametrize(
    ("feats", "diverges"),
    [
        ([1.5], False),
        ([9.0, 9.0], True),
        ([9.0, 8.5, 8.6], True),
        ([20.0, 9.0, 8.5, 3.0], False),
        ([20.0, 7.0, 20.0, 7.0], False),
        ([65.0], True),
    ],
)
def test_features_that_are_large_and_still_grow_are_divergence(
    feats: list[float], diverges: bool
) -> None:
    guard = DivergenceGuard()
    for feat in [*(10 * [1.0]), *feats[:-1]]:
        guard.watch(state_of(feat, 0.01), PICTURE)
        assert guard.check() is None
    guard.watch(state_of(feats[-1], 30.0), PICTURE)  # with fast motion after stillness
    fault = guard.check()
    assert (fault is not None) == diverges
    assert fault is None or fault.finite


def test_levels_of_features_are_watched_as_numbers_are() -> None:
    guard, usual = DivergenceGuard(), torch.full((1, 4, 3, 3), 3, dtype=torch.int8)
    for feat_BKHW in (*(10 * [usual]), 40 * usual):
        assert guard.check() is None
        guard.watch(replace(state_of(1.0, 0.0), feat_BKHW=feat_BKHW), PICTURE)
    guard.watch(replace(state_of(1.0, 0.0), feat_BKHW=40 * usual), PICTURE)
    assert guard.check() is not None


class Arrival:
    """Stands for a CUDA event: it has happened when it is asked again, or was waited for."""

    def __init__(self) -> None:
        self.asked = self.waited_for = False

    def query(self) -> bool:
        here, self.asked = self.asked or self.waited_for, True
        return here

    def synchronize(self) -> None:
        self.waited_for = True


class Late(DivergenceGuard):
    """A guard whose figures arrive a step late unless they are waited for, as on CUDA."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[Arrival] = []

    def watch(self, state: Any, restored: Tensor) -> None:
        super().watch(state, restored)
        self.arrivals.append(Arrival())
        reading: Any = self._readings[-1]
        self._readings[-1] = replace(reading, arrived=self.arrivals[-1])


def restored_by_itself(
    network: Network[Any], clip: Tensor, guard: DivergenceGuard
) -> tuple[Tensor, Counts]:
    """A clip through a stream with a guard, a frame at a time."""
    alone = Stream(network.facts, Settings(chunk=1, look_ahead=0), torch.device("cpu"))
    alone.guard = guard
    left = []
    for chunk in pieces(clip, 1):
        alone.push(chunk)
        left += list(restore_ready(lambda _: network, alone))
    return frames_of(left), alone.counts


def test_a_network_that_gives_no_numbers_at_once_is_seen_before_a_frame_leaves() -> None:
    network = Poisoned(1, forever=True)
    restored, counts = restored_by_itself(network, moving_clip(6, 10, 14), Late())
    assert restored.isfinite().all()
    assert counts.passed_through == 6


def test_nan_in_mid_scene_reaches_only_pending_frames() -> None:
    network = Poisoned(3, forever=True)
    restored, counts = restored_by_itself(network, moving_clip(6, 10, 14), Late())
    spoilt = [i for i, frame in enumerate(restored) if not frame.isfinite().all()]
    assert spoilt == [2]
    assert (counts.resets, counts.passed_through) == (1, 3)


def test_figures_are_waited_for_once_in_a_scene() -> None:
    guard, clip = Late(), moving_clip(8, 10, 14)
    restored_by_itself(compact(), clip, guard)
    assert [arrival.waited_for for arrival in guard.arrivals] == [True, *(7 * [False])]


def test_a_network_without_a_state_is_never_waited_for() -> None:
    guard = Late()
    restored_by_itself(Identity(), moving_clip(4, 10, 14), guard)
    assert not any(arrival.waited_for for arrival in guard.arrivals)


class Follower(Network[Any]):
    """Its features are the picture's brightness, and what is left of those before it."""

    def __init__(self, *, lasting: float) -> None:
        super().__init__()
        self.facts, self.lasting = Identity().facts, lasting

    def step(
        self, window_BTCHW: Tensor, state: Any, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, Any]:
        past = 0 if state is None else self.lasting * state.feat_BKHW
        left = state_of(0.0, 0.0)
        feat = (past + window_BTCHW[:, 0].mean()).expand_as(left.feat_BKHW)
        return window_BTCHW[:, :1] + feat.mean(), replace(left, feat_BKHW=feat)


@pytest.mark.parametrize("guard", [DivergenceGuard, Late])
@pytest.mark.parametrize("lasting", [0.0, 0.5, 0.9])
def test_pictures_that_are_others_from_now_on_are_not_taken_for_divergence(
    guard: type[DivergenceGuard], lasting: float
) -> None:
    clip = torch.full((90, 3, 16, 16), 0.001)
    clip[60:] = 0.5
    network = Follower(lasting=lasting)
    restored, counts = restored_by_itself(network, clip, guard())
    assert counts.resets == 0
    undisturbed, state = [], None
    for frame in clip:
        picture, state = network.step(frame[None, None], state, 1)
        undisturbed.append(picture[0])
    torch.testing.assert_close(restored, torch.cat(undisturbed), atol=1e-6, rtol=0)


@pytest.mark.parametrize("guard", [DivergenceGuard, Late])
def test_features_that_grow_by_themselves_are_thrown_away_once_in_a_while(
    guard: type[DivergenceGuard],
) -> None:
    restored, counts = restored_by_itself(Follower(lasting=1.3), still_clip(90), guard())
    assert 1 <= counts.resets <= 9
    assert restored.abs().max() < 1e3


def test_a_picture_behind_black_is_not_taken_for_divergence() -> None:
    clip = moving_clip(72, 10, 14)
    clip[:60] = 0
    restorer = restorer_of(load_network(), 1, 0)
    stream(restorer, pieces(clip, 4))
    assert restorer.counts.resets == 0


class Dead(Identity):
    """Gives one colour whatever it sees."""

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        return torch.full_like(window_BTCHW[:, :num_keep], 0.5), None


def test_pictures_that_become_a_single_colour_are_counted_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    restorer = Restorer(Dead(), chunk=4, look_ahead=0)
    pictures = moving_clip(8, 32, 32)
    black = torch.zeros(2, 3, 32, 32)
    restorer.push(Chunk(frames=pictures, pts=tuple(range(8)), time_base=Fraction(1, 25)))
    restorer.push(Chunk(frames=black, pts=(8, 9), time_base=Fraction(1, 25)))
    restorer.drain()
    assert restorer.counts.blank == 8
    assert caplog.text.count("single colour from pictures: check its weights") == 1


def test_black_that_stays_black_is_no_fault() -> None:
    restorer = Restorer(compact(), chunk=4, look_ahead=0)
    black = torch.zeros(8, 3, 32, 32)
    restorer.push(Chunk(frames=black, pts=tuple(range(8)), time_base=Fraction(1, 25)))
    assert restorer.counts.blank == 0


def test_a_scene_is_judged_by_its_own_steps_alone() -> None:
    clip, later = moving_clip(9, 10, 14), moving_clip(9, 10, 14, seed=5)
    network = compact()
    histories = []
    for scenes in ([clip, later], [later]):
        restorer = restorer_of(network, 2, 1)
        for i, frames in enumerate(scenes):
            starts = frozenset({0})
            pts = tuple(range(100 * i, 100 * i + 9))
            chunk = Chunk(frames=frames, pts=pts, time_base=Fraction(1, 25), scene_starts=starts)
            restorer.push(chunk)
        restorer.drain()
        histories.append(restorer._stream.guard.history)
    assert histories[0] == histories[1] != []
