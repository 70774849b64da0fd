"""Deformable convolution: every backend against its definition, and so against each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.networks import edvr, moving_clip
from vsr.engine.settings import Settings
from vsr.engine.step_memory import Steps, step_bytes
from vsr.errors import ConfigurationError, MissingDependency
from vsr.models.ops.deform_conv import BACKENDS, Backend, DeformConv, chosen_backend, load_backend

Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(params=BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    """Every backend that can run here."""
    name: str = request.param
    try:
        load_backend(name)
    except MissingDependency as error:
        pytest.skip(str(error))
    return name


@pytest.fixture
def backend(name: str) -> Backend:
    return load_backend(name)


def device_of(name: str) -> str:
    return "cuda" if name == "torchvision" and torch.cuda.is_available() else "cpu"


def random_inputs(
    height: int, width: int, groups: int, *, features: int = 8, size: int = 3, batch: int = 2
) -> Inputs:
    """Features, offsets of a few pixels, masks, weights, bias; the same every time."""
    generator = torch.Generator().manual_seed(height + width + groups)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    taps = size**2
    return (
        drawn(batch, features, height, width),
        2 * drawn(batch, 2 * groups * taps, height, width),
        drawn(batch, groups * taps, height, width).sigmoid(),
        drawn(6, features, size, size) / features,
        drawn(6),
    )


def definition(
    feat_BKHW: Tensor, offset_BOHW: Tensor, mask_BMHW: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """As in the paper: a sum over all pixels, weighted by tents around the sampled places."""
    batch, _, height, width = feat_BKHW.shape
    size = weight.shape[-1]
    groups = mask_BMHW.shape[1] // size**2
    rows, columns = torch.arange(height), torch.arange(width)
    step = torch.arange(size) - size // 2
    offset = offset_BOHW.view(batch, groups, size, size, 2, height, width)
    y = rows[:, None] + step.view(-1, 1, 1, 1) + offset[:, :, :, :, 0]
    x = columns + step.view(-1, 1, 1) + offset[:, :, :, :, 1]
    near_y = (1 - (y[..., None] - rows).abs()).clamp(min=0)
    near_x = (1 - (x[..., None] - columns).abs()).clamp(min=0)
    feat = feat_BKHW.reshape(batch, groups, -1, height, width)
    seen = torch.einsum("bgpqhwi,bgpqhwj,bgkij->bgkpqhw", near_y, near_x, feat)
    masked = seen * mask_BMHW.view(batch, groups, 1, size, size, height, width)
    out: Tensor = torch.einsum("bkpqhw,nkpq->bnhw", masked.flatten(1, 2), weight)
    return out + bias.view(-1, 1, 1)


@pytest.mark.parametrize(
    ("height", "width", "groups"), [(7, 9, 2), (1, 1, 1), (1, 12, 8), (13, 2, 4), (11, 10, 8)]
)
def test_the_output_is_the_definitions(
    name: str, backend: Backend, height: int, width: int, groups: int
) -> None:
    inputs = random_inputs(height, width, groups)
    expected = definition(*(x.double() for x in inputs))
    with torch.inference_mode():
        out = backend(*(x.to(device_of(name)) for x in inputs)).cpu()
    torch.testing.assert_close(out.double(), expected, atol=1e-5, rtol=1e-5)


def test_the_gradients_are_the_definitions(name: str, backend: Backend) -> None:
    inputs = random_inputs(7, 9, 2)
    exact = [x.double().requires_grad_() for x in inputs]
    near = [x.to(device_of(name)).requires_grad_() for x in inputs]
    target = torch.randn(2, 6, 7, 9, generator=torch.Generator().manual_seed(0))
    (definition(*exact) * target).sum().backward()  # type: ignore[no-untyped-call]
    (backend(*near) * target.to(device_of(name))).sum().backward()  # type: ignore[no-untyped-call]
    for ours, theirs in zip(near, exact, strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad.cpu().double(), theirs.grad, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(("height", "width", "size"), [(9, 8, 5), (2, 1, 3), (1, 2, 3)])
def test_other_layouts_and_kernels_give_the_same(
    name: str, backend: Backend, height: int, width: int, size: int
) -> None:
    inputs = random_inputs(height, width, 2, size=size)
    expected = definition(*(x.double() for x in inputs))
    spread = [x.to(device_of(name), memory_format=torch.channels_last) for x in inputs[:4]]
    with torch.inference_mode():
        out = backend(*[*spread, inputs[4].to(device_of(name))]).cpu()
    torch.testing.assert_close(out.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("learns", [False, True])
def test_reduced_features_are_sampled_at_float32_places(
    name: str, backend: Backend, learns: bool
) -> None:
    """A ramp that rises by 1 a pixel shows the place; bfloat16 has no 8.3, nor 100.3."""
    device = device_of(name)
    ramp = (torch.arange(128.0) - 64).expand(1, 1, 3, 128).bfloat16().to(device)
    offset = torch.zeros(1, 2, 3, 128, device=device)
    offset[:, 1] = 100.3
    weight = torch.ones(1, 1, 1, 1, device=device, dtype=torch.bfloat16)
    weight.requires_grad_(learns)
    mask = torch.ones(1, 1, 3, 128, device=device)
    out = backend(ramp, offset, mask, weight, None)
    assert out.dtype == torch.bfloat16
    # From 100.3 to 127 the ramp is 36.3 to 63; bfloat16 resolves a quarter there.
    expected = torch.arange(27.0) + 36.3
    assert (out[0, 0, 1, :27].float().cpu() - expected).abs().max() <= 0.13


def test_reduced_features_give_about_what_float32_ones_give(name: str, backend: Backend) -> None:
    feat, offset, mask, weight, bias = (x.to(device_of(name)) for x in random_inputs(9, 11, 2))
    with torch.inference_mode():
        out = backend(feat.bfloat16(), offset, mask, weight.bfloat16(), bias.bfloat16())
        exact = backend(feat, offset, mask, weight, bias)
    assert (out.float() - exact).abs().max() < 0.02 * exact.abs().max()


def test_nan_stays_where_it_is(name: str, backend: Backend) -> None:
    """A network that diverged must be seen, not crash."""
    feat, offset, mask, weight, bias = random_inputs(7, 9, 2)
    offset[0, :, 3, 4], mask[0, :, 3, 4] = torch.nan, torch.nan
    offset[0, :, 5, 1] = torch.inf
    device = device_of(name)
    with torch.inference_mode():
        out = backend(*(x.to(device) for x in (feat, offset, mask, weight, bias))).cpu()
    assert out[0, :, 3, 4].isnan().all()
    assert out.isnan().sum() == out.shape[1]


def test_strips_of_rows_meet_without_a_seam() -> None:
    inputs = random_inputs(40, 100, 2, batch=1)
    learning = (inputs[0].clone().requires_grad_(), *inputs[1:])
    with torch.inference_mode():
        in_strips = load_backend("torch")(*inputs)
    whole = load_backend("torch")(*learning)
    torch.testing.assert_close(in_strips, whole.detach(), atol=1e-5, rtol=1e-5)


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    chosen_backend.cache_clear()
    yield monkeypatch
    chosen_backend.cache_clear()


def test_the_backend_is_chosen_once(choose: pytest.MonkeyPatch) -> None:
    choose.delenv("VSR_DEFORM", raising=False)
    assert chosen_backend(False) is load_backend("torch")
    choose.setenv("VSR_DEFORM", "nobody")
    assert chosen_backend(False) is load_backend("torch")


def test_a_network_gives_the_same_by_every_backend(name: str, choose: pytest.MonkeyPatch) -> None:
    network, clip = edvr().to(device_of(name)), moving_clip(2, 12, 16)[None].to(device_of(name))
    restored = []
    for backend in ("torch", name):
        choose.setenv("VSR_DEFORM", backend)
        chosen_backend.cache_clear()
        with torch.inference_mode():
            restored.append(network(clip))
    torch.testing.assert_close(restored[0], restored[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_is_planned_whatever_the_backend(backend: str, choose: pytest.MonkeyPatch) -> None:
    """What a step costs is reckoned on the meta device, where no kernel runs."""
    try:
        load_backend(backend)
    except MissingDependency as error:
        pytest.skip(str(error))
    settings = Settings(chunk=1, look_ahead=1)
    expected = step_bytes(Steps(edvr()), settings, 40, 48)
    choose.setenv("VSR_DEFORM", backend)
    chosen_backend.cache_clear()
    assert step_bytes(Steps(edvr()), settings, 40, 48) == expected


def test_an_unknown_backend_is_refused_with_those_there_are(choose: pytest.MonkeyPatch) -> None:
    choose.setenv("VSR_DEFORM", "nobody")
    with pytest.raises(ConfigurationError, match=r"'nobody'; give one of torch, torchvision, mmcv"):
        DeformConv(8, 2)(torch.rand(1, 8, 4, 4), torch.rand(1, 8, 4, 4))
