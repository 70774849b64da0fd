"""The memory of a run is known before it, and fits."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.command_line import Run
from tests.conftest import REPOSITORY
from tests.media import Clip, write_clip
from tests.networks import ALL, basicvsr, compact
from tests.streaming import Maker
from vsr.engine.live_tensors import OperatorCache
from vsr.engine.memory import (
    budget_bytes,
    forget_device_peak,
    free_bytes,
    is_out_of_memory,
    peak_device_bytes,
    resident_bytes,
)
from vsr.engine.memory_plan import RequestedSettings, candidates, make_plan
from vsr.engine.settings import Settings
from vsr.engine.step_memory import FAR, MANY, OVERHEAD, Steps, step_bytes
from vsr.errors import ConfigurationError
from vsr.models.architectures.baselines import Identity
from vsr.models.loading import load_network
from vsr.models.network import Network

CPU = torch.device("cpu")


def cost(network: Network[Any], settings: Settings, side: int = 96) -> int:
    return step_bytes(Steps(network), settings, side, side)


@pytest.mark.parametrize("name", ["compact", "realbasicvsr", "basicvsrpp", "srvgg", "bicubic"])
def test_the_cost_of_a_step_grows_with_the_area_of_frames(name: str) -> None:
    network, settings = ALL[name](), Settings(chunk=1, look_ahead=1)
    small, large = cost(network, settings, 96), cost(network, settings, 192)
    assert small > 2 * 3 * 4 * 96 * 96  # the window itself
    assert 3 * small < large < 5 * small


def test_longer_chunks_and_look_aheads_cost_more_and_tiles_less() -> None:
    network, settings = basicvsr(), Settings(chunk=1, look_ahead=1)
    usual = cost(network, settings, 256)
    assert cost(network, replace(settings, chunk=4), 256) > usual
    assert cost(network, replace(settings, look_ahead=3), 256) >= usual
    assert cost(network, replace(settings, tiles=(2, 2)), 256) < usual


def test_precision_changes_the_cost() -> None:
    network, settings = basicvsr(), Settings(chunk=2, look_ahead=0)
    assert cost(network.to(torch.bfloat16), settings) < cost(basicvsr(), settings)


def test_the_network_is_left_as_it_is() -> None:
    network = compact()
    before = {name: p.clone() for name, p in network.named_parameters()}
    cost(network, Settings(chunk=2, look_ahead=0))
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name])


def test_the_networks_own_sizes_are_taken_where_they_fit() -> None:
    plan = make_plan(compact(), CPU, 64, 64, budget_bytes=10**12)
    facts = compact().facts
    assert plan.settings == Settings(chunk=facts.chunk, look_ahead=facts.look_ahead)
    assert plan.fits


def test_the_chunk_is_reduced_first_then_tiles_then_the_look_ahead() -> None:
    seen = list(candidates(basicvsr(), RequestedSettings(), 300, 500))
    assert [(s.chunk, s.look_ahead, s.tiles) for s in seen] == [
        (8, 8, (1, 1)),
        (4, 8, (1, 1)),
        (4, 8, (1, 2)),
        (4, 8, (2, 2)),
        (4, 8, (2, 4)),
        (4, 8, (4, 4)),
        (2, 4, (4, 4)),
        (1, 2, (4, 4)),
        (1, 1, (4, 4)),
        (1, 0, (4, 4)),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        RequestedSettings(chunk=6),
        RequestedSettings(look_ahead="full"),
        RequestedSettings(tiles=(1, 3)),
        RequestedSettings(chunk=3, look_ahead=0),
    ],
)
def test_sizes_that_were_asked_for_are_kept(asked: RequestedSettings) -> None:
    for settings in candidates(basicvsr(), asked, 300, 500):
        assert asked.chunk in (None, settings.chunk)
        assert asked.tiles in (None, settings.tiles)
        assert asked.look_ahead != "full" or settings.look_ahead is None


def test_a_look_ahead_to_the_end_is_no_longer_than_the_source() -> None:
    short, long = (
        make_plan(
            Identity(),
            CPU,
            512,
            512,
            budget_bytes=10**12,
            asked=RequestedSettings(chunk=2, look_ahead="full"),
            num_frames=num_frames,
        )
        for num_frames in (4, None)
    )
    assert short.settings == long.settings
    assert short.memory_bytes < long.memory_bytes - 200 * 3 * 4 * 512**2


class Collecting(Identity):
    """Keeps four feature maps of every frame that a step sees, until it ends."""

    def step(
        self, window_BTCHW: Tensor, state: None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, None]:
        feats = [
            frame_BCHW[:, :1].expand(-1, 4, -1, -1) + 0 for frame_BCHW in window_BTCHW.unbind(1)
        ]
        return window_BTCHW[:, :num_keep] + feats[-1].mean(), None


@pytest.mark.parametrize(
    ("chunk", "look_ahead"),
    [
        (2, 60),
        (200, 2),
        *(pytest.param(2, ahead, marks=pytest.mark.slow) for ahead in (20, 250)),
    ],
)
def test_every_frame_of_a_window_costs_the_same_however_many_there_are(
    chunk: int, look_ahead: int
) -> None:
    settings = Settings(chunk=chunk, look_ahead=look_ahead)
    found = cost(Collecting(), settings, 64)
    numbers = (chunk + look_ahead) * (3 + 4) + chunk * 3  # window, features, result
    assert found == pytest.approx(OVERHEAD * numbers * 4 * 64**2, rel=0.1)


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (RequestedSettings(chunk=1000), Settings(chunk=25, look_ahead=8)),
        (RequestedSettings(look_ahead=99_999_999), Settings(chunk=8, look_ahead=None)),
        (RequestedSettings(chunk=25, look_ahead=24), Settings(chunk=25, look_ahead=24)),
    ],
)
def test_sizes_are_no_larger_than_the_source(asked: RequestedSettings, taken: Settings) -> None:
    plan = make_plan(
        basicvsr(), CPU, 64, 64, budget_bytes=10**12, asked=asked, num_frames=25, exact=False
    )
    assert plan.settings == taken


@pytest.mark.parametrize("budget", [1, pytest.param(1 << 36, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "asked",
    [
        RequestedSettings(chunk=1000, look_ahead=1000),
        RequestedSettings(look_ahead="full"),
    ],
)
@pytest.mark.parametrize("make", [basicvsr, lambda: load_network("bicubic-x2")])
def test_a_plan_runs_few_frames_whatever_is_asked_for(
    make: Maker, asked: RequestedSettings, budget: int
) -> None:
    network, seen = make(), []
    step = type(network).step

    class Counting(type(network)):  # type: ignore[misc]
        def step(self, window: torch.Tensor, *others: Any, **options: Any) -> Any:
            seen.append(window.shape[1])
            return step(self, window, *others, **options)

    network.__class__ = Counting
    make_plan(network, CPU, 2160, 3840, budget_bytes=budget, asked=asked)
    assert max(seen) <= MANY + FAR
    assert sum(seen) < 1000


@pytest.mark.parametrize("make", [compact, basicvsr])
def test_a_look_suffices_where_there_is_plenty_and_never_promises_too_much(make: Maker) -> None:
    asked = RequestedSettings(chunk=4)
    exact = make_plan(make(), CPU, 96, 96, budget_bytes=10**12, asked=asked)
    quick = make_plan(make(), CPU, 96, 96, budget_bytes=10**12, asked=asked, exact=False)
    assert quick.settings == exact.settings
    assert quick.memory_bytes >= exact.memory_bytes


@pytest.mark.parametrize("make", [basicvsr, compact])
@pytest.mark.parametrize(("chunk", "look_ahead"), [(2, 100), (70, 2)])
def test_long_windows_are_not_promised_less_than_they_take(
    make: Maker, chunk: int, look_ahead: int
) -> None:
    """BasicVSR's peak is at its output's size up to 35 frames, and in the window beyond."""
    steps = Steps(make())
    extrapolated, _ = steps.extrapolated(1, chunk, look_ahead, (64, 64))
    followed, _ = steps.peak(1, chunk, look_ahead, 64, 64)
    assert followed <= 1.001 * extrapolated


@pytest.mark.slow
def test_the_largest_sizes_that_fit_are_taken() -> None:
    everything = make_plan(basicvsr(), CPU, 360, 640, budget_bytes=10**12)
    less = make_plan(basicvsr(), CPU, 360, 640, budget_bytes=everything.memory_bytes - 10**7)
    assert less.fits
    assert less.settings != everything.settings
    nothing = make_plan(
        basicvsr(), CPU, 360, 640, budget_bytes=1, asked=RequestedSettings(tiles=(1, 1))
    )
    assert not nothing.fits
    assert nothing.settings.chunk == 1


def test_budgets_are_sizes_or_shares_of_what_is_free() -> None:
    assert budget_bytes("4G", CPU) == 4 * 2**30
    assert budget_bytes("1.5 GiB", CPU) == 1.5 * 2**30
    assert budget_bytes("800m", CPU) == 800 * 2**20
    tolerance = 0.2 * free_bytes(CPU)
    assert budget_bytes("50%", CPU) == pytest.approx(free_bytes(CPU) / 2, abs=tolerance)
    assert budget_bytes(None, CPU) > resident_bytes()


@pytest.mark.parametrize("asked", ["", "much", "0", "-1G", "150%", "0%", "4X"])
def test_budgets_that_cannot_be_are_refused(asked: str) -> None:
    with pytest.raises(ConfigurationError, match=r"give a size \(4G, 800M\) or a share"):
        budget_bytes(asked, CPU)


def test_a_dry_run_says_what_would_happen_and_writes_nothing(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=7))
    words = ("restore", source, tmp_path / "out.mp4", "-m", "bicubic-x2", "--dry-run")
    said = vsr(*words, "--chunk", "3")
    assert said.code == 0
    for fact in ("bicubic", "96x72, 7 frames", "192x144", "chunk 3", "MiB of", "frames/s"):
        assert fact in said.out
    forecast = json.loads(vsr(*words, "--json").out)
    assert forecast["output_size"] == [192, 144]
    assert 0 < forecast["memory_bytes"] < forecast["budget_bytes"]
    assert forecast["seconds"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_memory_that_cannot_suffice_is_reported_before_the_run(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    done = vsr("restore", source, tmp_path / "out.mp4", "-m", "identity", "--memory", "1M")
    assert (done.code, done.out) == (1, "")
    assert "1 MiB are given; raise --memory" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--memory", "lots"], "give a size"),
        (["--tiles", "2"], "such as 2x2"),
        (["--scenes", "sometimes"], "give auto, off, 'every N' or a text file"),
        (["--parallel-scenes", "0"], "x>=1"),
    ],
)
def test_options_that_cannot_be_are_refused(
    words: list[str], said: str, vsr: Run, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    done = vsr("restore", source, tmp_path / "out.mp4", "-m", "identity", *words)
    assert done.code == 2
    assert said in done.err


@pytest.mark.slow
def test_the_peak_of_a_process_is_its_own_and_not_that_of_who_started_it() -> None:
    ballast = bytearray(700 * 2**20)
    program = "from vsr.engine.memory import peak_host_bytes; print(peak_host_bytes())"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert 10 * 2**20 < int(done.stdout) < len(ballast)


@pytest.mark.gpu
def test_memory_that_torch_caches_counts_as_free() -> None:
    device = torch.device("cuda", 0)
    torch.zeros(1, device=device)
    before, ballast = free_bytes(device), torch.zeros(2**28, dtype=torch.uint8, device=device)
    assert free_bytes(device) <= before - ballast.numel()
    del ballast
    assert free_bytes(device) == before


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_want_of_memory_is_known_in_every_form(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access"))


@pytest.mark.gpu
def test_the_peak_of_a_device_is_that_of_the_run() -> None:
    device = torch.device("cuda")
    ballast = torch.zeros(2**28, dtype=torch.uint8, device=device)
    del ballast
    forget_device_peak(device)
    peak = peak_device_bytes(device)
    assert peak is not None
    assert peak < 2**28


@pytest.mark.parametrize(
    "name",
    [
        "compact",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("basicvsrpp", "edvr", "guarded")),
    ],
)
def test_cached_results_equal_those_of_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak of a joint step is the same when torch runs each operator, every time."""
    network, settings = ALL[name](), Settings(chunk=2, look_ahead=1)
    remembered = step_bytes(Steps(network), settings, 72, 96, 2)
    monkeypatch.setattr(OperatorCache, "call", lambda _, func, args, kwargs: func(*args, **kwargs))
    monkeypatch.setattr("vsr.engine.step_memory.remember_calls", lambda *_: None)
    assert step_bytes(Steps(network), settings, 72, 96, 2) == remembered


PROGRAM = """
import sys
from tests.networks import ALL
from vsr.engine.settings import Settings
from vsr.engine.step_memory import Steps, step_bytes
for make in ALL.values():
    step_bytes(Steps(make()), Settings(chunk=1, look_ahead=1), 40, 48)
print(sorted({"torch._dynamo", "sympy"} & sys.modules.keys()))
"""


@pytest.mark.slow
def test_plans_load_neither_torchs_compiler_nor_its_algebra() -> None:
    """They would take three seconds, and 300 MB of what is planned."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
