"""Nothing waits for the device on the way of a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.networks import RECURRENT, moving_clip
from tests.streaming import Maker, frames_of, pieces, restorer_of, stream
from vsr.engine.device_transfer import Transfer, restored_copy
from vsr.engine.live_tensors import OperatorCache
from vsr.restorer import Restorer
from vsr.types import Chunk

recurrent = pytest.mark.parametrize("make", RECURRENT.values(), ids=RECURRENT.keys())

DECIDES_BY_VALUE = {"realbasicvsr", "still"}
"""Networks that look at a value: the first where a scene starts, the other at every step."""

IMPLIED = {"compact", "basicvsr", "edvr"}
"""Parts of others: a guard is of EDVR and compact, IconVSR propagates as BasicVSR does."""


class Waits(TorchDispatchMode):
    """Notes what would make the host wait for a device: values read back, constants sent.

    A tensor made of Python's numbers shows as ``detach_`` or ``lift_fresh``.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []
        self._operators = OperatorCache()  # torch's own rules for shapes take seconds

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = str(func)
        out = self._operators.call(func, args, kwargs or {})
        came = {t.device.type for t in tree_leaves(args) if isinstance(t, Tensor)}
        left = {t.device.type for t in tree_leaves(out) if isinstance(t, Tensor)}
        if any(
            word in name for word in ("_local_scalar_dense", "nonzero", "detach_.", "lift_fresh")
        ):
            self.found.append(name)
        if came == {"cpu"} and left == {"meta"}:
            self.found.append(f"{name} from the host")
        return out


@pytest.mark.parametrize(
    "name", [name for name in RECURRENT if name not in DECIDES_BY_VALUE | IMPLIED]
)
def test_a_step_reads_no_value_back_and_sends_no_constant(name: str) -> None:
    network = RECURRENT[name]().to("meta")
    window = torch.empty(1, 3, 3, 20, 24, device="meta")
    with torch.inference_mode(), Waits() as waits:
        _, state = network.step(window, None, 2, ends_scene=False)
        network.step(window, state, 2, ends_scene=False)
    assert waits.found == []


def test_on_a_cpu_frames_stay_where_they_are() -> None:
    (chunk,) = pieces(moving_clip(3, 10, 14), 3)
    transfer = Transfer(torch.device("cpu"))
    assert transfer.up(chunk).take() is chunk
    assert transfer.down(restored_copy(chunk)) is chunk


@contextmanager
def no_waiting() -> Iterator[None]:
    """Within it, whatever makes the host wait for the device raises."""
    try:
        torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def on_cuda(num_frames: int, start: int) -> Chunk:
    frames = moving_clip(num_frames, 40, 56).cuda()
    pts = tuple(range(start, start + num_frames))
    return Chunk(frames=frames, pts=pts, time_base=Fraction(1, 25))


LOOKING_BACK = {"still", "guarded", "by_quality", "by_region"}
"""Networks of which values are read back in every step."""


# Torch says once that the mode is a prototype.
@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
@pytest.mark.gpu
@pytest.mark.parametrize(
    "make", [make for name, make in RECURRENT.items() if name not in LOOKING_BACK]
)
def test_the_steady_path_never_waits_for_the_device(make: Maker) -> None:
    restorer = Restorer(make(), chunk=2, look_ahead=1, device="cuda")
    for start in (0, 2, 4):
        restorer.push(on_cuda(2, start))
    chunk = on_cuda(6, 6)
    torch.cuda.synchronize()
    with no_waiting():
        left = restorer.push(chunk)
    assert sum(map(len, left)) == 6


@pytest.mark.gpu
def test_frames_travel_both_ways_unchanged() -> None:
    (chunk,) = pieces(moving_clip(3, 10, 14), 3)
    device = torch.device("cuda")
    taken = Transfer(device).up(chunk).take()
    assert taken.frames.is_cuda
    back = Transfer(device).down(restored_copy(taken))
    assert back.frames.is_pinned()
    assert torch.equal(back.frames, chunk.frames)


@pytest.mark.gpu
def test_the_state_stays_on_the_device_and_can_move_to_another_machine(tmp_path: Any) -> None:
    network, chunks = RECURRENT["iconvsr"](), pieces(moving_clip(8, 10, 14), 4)
    expected = frames_of(stream(restorer_of(network, 2, 1), chunks))
    first = Restorer(network, chunk=2, look_ahead=1, device="cuda", precision="float32")
    left = [chunk.frames.cpu() for chunk in first.push(chunks[0])]
    first.save(tmp_path / "state")
    second = restorer_of(network, 2, 1)
    second.load(tmp_path / "state")
    left += [chunk.frames for chunk in second.push(chunks[1]) + second.drain()]
    torch.testing.assert_close(torch.cat(left), expected, atol=1e-3, rtol=0)
