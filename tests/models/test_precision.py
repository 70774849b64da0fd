"""Half precision at the width of full HD: frames are aligned where float32 aligns them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.networks import awakened, moving_clip
from vsr.models.architectures.basicvsr import BasicVSR
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.ops import cpu_sampling as gathering
from vsr.models.placement import place

WIDTH = 1920
ADDED_PX = 0.2


class Places:
    """Records where images and features are sampled, in pixels of what is sampled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sampled: list[Tensor] = []
        self._grid_sample = F.grid_sample
        monkeypatch.setattr(F, "grid_sample", self._sample)
        self._positions = gathering._positions
        monkeypatch.setattr(gathering, "_positions", self._find)

    def _find(self, flow: Tensor) -> tuple[Tensor, Tensor]:
        assert flow.dtype == torch.float32
        found = self._positions(flow)
        self._sampled += found
        return found

    def _sample(self, image: Tensor, grid: Tensor, **options: Any) -> Tensor:
        assert grid.dtype == torch.float32
        height, width = (side - int(options["align_corners"]) for side in image.shape[-2:])
        self._sampled.append(grid * torch.tensor([width / 2, height / 2]))
        return self._grid_sample(image, grid, **options)

    def of(self, network: Network[Any], clip: Tensor) -> tuple[list[Tensor], Tensor]:
        """All places that a clip's restoration sampled, and what was restored."""
        self._sampled.clear()
        with torch.inference_mode():
            restored = network(clip)
        return list(self._sampled), restored


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    return Places(monkeypatch)


def basicvsr_with_motion() -> Network[Any]:
    """Random weights whose flows are as a trained SPyNet's: each level adds a little.

    Every level's last convolution is scaled so that it adds ``ADDED_PX`` at its own size, which
    makes flows of 6 px on average and three times that at most.
    """
    network = BasicVSR(num_feat=8, num_block=2)
    awakened(network)
    frames = moving_clip(2, 32, WIDTH)
    for level in network.spynet.basic_module:
        added: list[Tensor] = []
        hook = level.register_forward_hook(lambda *seen, added=added: added.append(seen[2]))
        with torch.inference_mode():
            network.spynet(frames[:1], frames[1:])
        hook.remove()
        last = level.get_submodule("basic_module.8")
        assert isinstance(last, nn.Conv2d)
        for parameter in last.parameters():
            parameter.data *= ADDED_PX / added[0].abs().mean()
    return network


NETWORKS = {"basicvsr": basicvsr_with_motion, "compact": lambda: load_network("compact-x4")}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())
@pytest.mark.parametrize("precision", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_reduced_precision_aligns_as_float32_does(
    make: Any, precision: str, places: Places
) -> None:
    network, clip = make(), moving_clip(2, 32, WIDTH)[None]
    reduced, _ = place(network, device="cpu", precision=precision)
    exact_places, exact = places.of(network, clip)
    reduced_places, restored = places.of(reduced, clip)
    assert restored.isfinite().all()
    assert len(exact_places) == len(reduced_places) > 0
    for ours, expected in zip(reduced_places, exact_places, strict=True):
        assert (ours - expected).abs().mean() < 0.05
    assert (restored - exact).abs().mean() < 0.02


def test_the_motion_of_the_random_network_is_worth_testing() -> None:
    network, frames = basicvsr_with_motion(), moving_clip(2, 32, WIDTH)
    assert isinstance(network, BasicVSR)
    with torch.inference_mode():
        flow = network.spynet(frames[:1], frames[1:])
    assert 4 < flow.abs().mean() < 12


@pytest.mark.gpu
def test_float32_means_float32_on_cuda() -> None:
    conv, image = nn.Conv2d(3, 8, 3), torch.rand(1, 3, 32, 32)
    place(load_network("compact-x4"), device="cuda", precision="float32")
    found = conv.cuda()(image.cuda()).cpu()
    torch.testing.assert_close(found, conv.cpu()(image), atol=1e-5, rtol=0)
