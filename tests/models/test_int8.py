"""Convolutions on 8-bit integers, and ``compact`` made of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.networks import (
    RECURRENT,
    basicvsr,
    basicvsrpp,
    compact,
    edvr,
    iconvsr,
    moving_clip,
    realbasicvsr,
)
from tests.streaming import frames_of, pieces, stream
from vsr.engine.networks_in_time import NetworkChange
from vsr.engine.settings import Settings
from vsr.engine.step_memory import Steps, step_bytes
from vsr.errors import ConfigurationError
from vsr.models.checkpoints.checkpoint import save_network
from vsr.models.checkpoints.export import export
from vsr.models.layers.upsampling import Int8Upsampling, PixelShuffleUpsampling
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.ops.int8_conv import (
    Int8Conv,
    is_fast_at_int8,
    runs_int8,
    signed,
    to_levels,
    unsigned,
)
from vsr.models.placement import place
from vsr.restorer import FULL, Restorer

pytestmark = pytest.mark.skipif(
    not runs_int8(torch.device("cpu")), reason="this CPU has no AVX2: int8 is not offered"
)

SIZES = [(1, 1), (1, 9), (7, 5), (33, 16)]


def conv_of(num_in: int, num_out: int) -> nn.Conv2d:
    torch.manual_seed(1)
    return nn.Conv2d(num_in, num_out, 3, padding=1)


def levels_of(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Signed levels of all values, channels-last."""
    drawn = torch.randint(-128, 128, shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(torch.int8).contiguous(memory_format=torch.channels_last)


def exactly(whole: Int8Conv, numbers_BKHW: Tensor) -> Tensor:
    """The same sums of products in float64."""
    steps = whole.get_buffer("steps").double().view(-1, 1, 1, 1)
    weight = whole.get_buffer("weight").double() * steps
    return F.conv2d(numbers_BKHW.double(), weight, whole.get_buffer("bias").double(), padding=1)


def numbers_of(whole: Int8Conv, unsigned_BKHW: Tensor) -> Tensor:
    """What it gives, in plain numbers: it is added to nothing."""
    batch, _, *size = unsigned_BKHW.shape
    nothing = torch.zeros(batch, len(whole.get_buffer("bias")), *size)
    return whole.add_to(unsigned_BKHW, nothing.contiguous(memory_format=torch.channels_last))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 3])
def test_sums_are_those_of_integers(size: tuple[int, int], batch: int) -> None:
    conv, steps = conv_of(20, 12), torch.rand(20) * 0.01 + 0.001
    whole, levels = Int8Conv(conv, steps), levels_of((batch, 20, *size))
    with torch.inference_mode():
        found = numbers_of(whole, unsigned(levels))
        meant = F.conv2d(levels * steps.view(1, -1, 1, 1), conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(found, exactly(whole, levels).float(), atol=1e-4, rtol=1e-5)
    assert (found - meant).abs().max() < 0.05 * meant.abs().max(), "weights are of 8 bits"


@pytest.mark.parametrize("size", SIZES)
def test_results_of_a_convolution_are_rounded_to_levels(size: tuple[int, int]) -> None:
    whole = Int8Conv(conv_of(20, 12), torch.full((20,), 0.01), torch.full((12,), 0.05))
    levels = levels_of((2, 20, *size))
    exact = exactly(whole, levels)
    with torch.inference_mode():
        relu = whole.relu_levels(unsigned(levels)).double()
        lifted = signed(whole.relu_levels(unsigned(levels), zero=128)).double()
    assert (relu - exact.relu().clamp(max=255)).abs().max() <= 0.501
    assert (lifted - exact.relu().clamp(max=127)).abs().max() <= 0.501


@pytest.mark.parametrize("size", SIZES)
def test_sums_with_levels_and_with_numbers(size: tuple[int, int]) -> None:
    conv, levels = conv_of(20, 12), levels_of((2, 20, *size))
    whole = Int8Conv(conv, torch.full((20,), 0.01), torch.full((12,), 0.05))
    others = levels_of((2, 12, *size), seed=5) // 2
    numbers = torch.rand(2, 12, *size).contiguous(memory_format=torch.channels_last)
    exact = exactly(whole, levels)
    with torch.inference_mode():
        summed = signed(whole.add_to_levels(unsigned(levels), unsigned(others)))
        plain = whole.add_to(unsigned(levels), numbers.clone())
    assert (summed - (exact + others).clamp(-128, 127)).abs().max() <= 0.501
    torch.testing.assert_close(plain, (exact + numbers).float(), atol=1e-3, rtol=1e-5)


def test_sums_stay_in_place_and_a_copy_of_them_may_be_overwritten() -> None:
    whole, levels = Int8Conv(conv_of(4, 8), torch.full((4,), 0.01)), levels_of((1, 4, 6, 6))
    summed = torch.rand(1, 8, 6, 6).contiguous(memory_format=torch.channels_last)
    exact = (exactly(whole, levels) + summed).float()
    with torch.inference_mode():
        copied = whole.add_to(unsigned(levels), summed)
        assert torch.equal(copied, summed)
        copied.zero_()
    torch.testing.assert_close(summed, exact, atol=1e-4, rtol=1e-5)


def test_an_enlargement_computes_what_it_does_in_float32() -> None:
    whole = PixelShuffleUpsampling()
    whole.declare_upsampling(16, has_ranges=True)
    feat = torch.randn(1, 16, 9, 11)
    ranges = whole.upsampling_ranges
    assert ranges is not None
    with torch.inference_mode():
        doubled = F.pixel_shuffle(F.leaky_relu(whole.upconv1(feat), 0.1), 2)
        quadrupled = F.pixel_shuffle(F.leaky_relu(whole.upconv2(doubled), 0.1), 2)
        ranges.doubled_K.copy_(doubled.abs().amax((0, 2, 3)))
        ranges.quadrupled_K.copy_(quadrupled.abs().amax((0, 2, 3)))
        exact = whole.upsample(feat)
        whole.int8_upsampling = Int8Upsampling(whole)
        found = whole.upsample(feat)
    apart = (found - exact).square().mean() / exact.var()
    assert 0 < apart < 1e-3, f"{apart:.1e} of the signal"


def test_unsigned_input_begins_at_nothing() -> None:
    whole = Int8Conv(conv_of(4, 8), torch.full((4,), 0.01), zero=0)
    levels = levels_of((1, 4, 6, 6)).view(torch.uint8)
    found, meant = numbers_of(whole, levels), exactly(whole, levels).float()
    torch.testing.assert_close(found, meant, atol=1e-4, rtol=1e-5)


def test_levels_are_cut_off_and_kept_signed() -> None:
    levels = to_levels(torch.tensor([-1e9, -128.4, -0.4, 0.0, 1.6, 127.2, 1e9]))
    assert levels.tolist() == [-128, -128, 0, 0, 2, 127, 127]
    assert torch.equal(signed(unsigned(levels)), levels)


def test_a_copy_computes_the_same() -> None:
    whole, levels = Int8Conv(conv_of(4, 8), torch.full((4,), 0.01)), levels_of((1, 4, 6, 6))
    before = numbers_of(whole, unsigned(levels))
    assert torch.equal(numbers_of(copy.deepcopy(whole), unsigned(levels)), before)


@pytest.fixture(
    scope="module", params=["compact", "basicvsr", "iconvsr", "realbasicvsr", "basicvsrpp"]
)
def measured(request: pytest.FixtureRequest) -> Network[Any]:
    """A small network that knows how large its features get."""
    clips = [moving_clip(3, 20, 24, seed=s)[None] for s in (1, 2)]
    return RECURRENT[request.param]().measured(clips)


def restorer_of(network: Network[Any], chunk: int, look_ahead: int | str) -> Restorer:
    return Restorer(network, chunk=chunk, look_ahead=look_ahead, device="cpu", precision="int8")


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a.clamp(0, 1) - b.clamp(0, 1)).square().mean()))


def test_the_shipped_network_restores_as_in_float32() -> None:
    network, clip = load_network("compact-x4"), moving_clip(9, 37, 41, seed=7)
    low = frames_of(stream(restorer_of(network, 4, 2), pieces(clip, 4)))
    full = Restorer(network, chunk=4, look_ahead=2, device="cpu", precision="float32")
    found = psnr(low, frames_of(stream(full, pieces(clip, 4))))
    assert found > 40, f"{found:.1f} dB"


def test_chunks_with_all_of_the_future_equal_the_whole_clip(measured: Network[Any]) -> None:
    clip = moving_clip(5, 18, 22)
    network, _ = place(measured, device="cpu", precision="int8")
    with torch.inference_mode():
        whole = network(clip[None])[0]
    streamed = frames_of(stream(restorer_of(network, 2, FULL), pieces(clip, 3)))
    assert psnr(streamed, whole) > 60


def test_a_saved_stream_continues(measured: Network[Any], tmp_path: Path) -> None:
    clip = moving_clip(6, 18, 22)
    expected = frames_of(stream(restorer_of(measured, 2, 1), pieces(clip, 2)))
    first, second = (restorer_of(measured, 2, 1) for _ in range(2))
    chunks = pieces(clip, 2)
    left = first.push(chunks[0]) + first.push(chunks[1])
    first.save(tmp_path / "state")
    second.load(tmp_path / "state")
    left += second.push(chunks[2]) + second.drain()
    assert torch.equal(frames_of(left), expected)


def test_memory_is_estimated_on_the_meta_device(measured: Network[Any]) -> None:
    settings = Settings(chunk=4, look_ahead=2, tiles=(1, 1))
    whole, _ = place(measured, device="cpu", precision="int8")
    exact, _ = place(measured, device="cpu", precision="float32")
    assert step_bytes(Steps(whole), settings, 90, 160) < 1.1 * step_bytes(
        Steps(exact), settings, 90, 160
    )


@pytest.mark.parametrize("make", [compact, basicvsr, iconvsr, realbasicvsr, basicvsrpp])
def test_ranges_travel_with_the_weights(make: Callable[[], Network[Any]], tmp_path: Path) -> None:
    file, frame = tmp_path / "small.safetensors", moving_clip(1, 18, 22)[None]
    save_network(make().measured([frame]), file)
    network = load_network(str(file))
    assert network.has_int8
    low, _ = place(network, device="cpu", precision="int8")
    assert low.dtype == torch.int8
    with torch.inference_mode():
        assert psnr(low(frame), make()(frame)) > 35


def test_other_programs_get_weights_without_ranges(tmp_path: Path) -> None:
    measured = basicvsr().measured([moving_clip(1, 18, 22)[None]])
    export(measured, tmp_path / "theirs.pth", "basicsr")
    written = torch.load(tmp_path / "theirs.pth", weights_only=True)["params"]
    assert written.keys() == basicvsr().state_dict().keys()


@pytest.mark.parametrize(("agreement_db", "close"), [(60.0, True), (40.0, False), (0.0, False)])
def test_auto_takes_int8_where_it_was_measured_to_be_close(
    agreement_db: float, close: bool
) -> None:
    network = RECURRENT["basicvsr"]().measured([moving_clip(1, 18, 22)[None]])
    for trunk in ("backward_trunk", "forward_trunk"):
        found = network.get_submodule(trunk).get_buffer("ranges.agreement_db")
        assert found > 20, "measured"
        found.fill_(agreement_db)
    assert network.is_close_in_int8 == close
    takes = close and is_fast_at_int8(torch.device("cpu"))
    assert (place(network, device="cpu")[0].dtype == torch.int8) == takes


def test_the_network_that_was_given_stays_as_it_is(measured: Network[Any]) -> None:
    before = {name: value.clone() for name, value in measured.state_dict().items()}
    network, _ = place(measured, device="cpu", precision="int8")
    assert place(network, device="cpu", precision="auto")[0] is network
    assert measured.dtype == torch.float32
    assert before.keys() == measured.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in measured.state_dict().items())


def test_networks_without_an_int8_form_are_reported(measured: Network[Any]) -> None:
    with pytest.raises(ConfigurationError, match="edvr has no int8 form; give bfloat16"):
        place(edvr(), device="cpu", precision="int8")
    with pytest.raises(ConfigurationError, match="do not say how large features get"):
        place(RECURRENT[measured.facts.name](), device="cpu", precision="int8")
    whole, _ = place(measured, device="cpu", precision="int8")
    with pytest.raises(ConfigurationError, match="cannot be converted to float32; load it again"):
        place(whole, device="cpu", precision="float32")


def test_a_film_may_change_to_a_network_without_an_int8_form() -> None:
    first, second = load_network("compact-x2-video"), load_network("bicubic-x2")
    change = NetworkChange(at_s=Fraction(1, 25), network=second)
    restorer = Restorer(first, precision="int8", changes=[change])
    assert restorer.network.dtype == torch.int8
    clip = moving_clip(3, 16, 24)
    assert frames_of(stream(restorer, pieces(clip, 3))).shape == (3, 3, 32, 48)


def test_a_film_may_begin_with_a_network_without_an_int8_form() -> None:
    first, second = load_network("bicubic-x2"), load_network("compact-x2-video")
    change = NetworkChange(at_s=Fraction(1, 25), network=second)
    restorer = Restorer(first, precision="int8", changes=[change])
    assert restorer.changes[0].network.dtype == torch.int8
    clip = moving_clip(3, 16, 24)
    assert frames_of(stream(restorer, pieces(clip, 3))).shape == (3, 3, 32, 48)
