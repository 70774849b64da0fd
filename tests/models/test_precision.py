"""Half precision at the width of full HD: frames are aligned where float32 aligns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.networks import awakened, moving_clip
from vsr.models.architectures.basicvsr import BasicVSR
from vsr.models.layers.propagation import pair_flows
from vsr.models.loading import load_network
from vsr.models.network import Network
from vsr.models.placement import place

WIDTH = 1920
ADDED_PX = 0.2


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


NETWORKS: dict[str, Callable[[], Network[Any]]] = {
    "basicvsr": basicvsr_with_motion,
    "compact": lambda: load_network("compact-x4"),
}


def reduced(network: Network[Any], precision: str) -> Network[Any]:
    return place(network, device="cpu", precision=precision)[0]


CASES = pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("compact", "bfloat16"),
        pytest.param("compact", "float16", marks=pytest.mark.slow),
        pytest.param("basicvsr", "bfloat16", marks=pytest.mark.slow),
        pytest.param("basicvsr", "float16", marks=pytest.mark.slow),
    ],
)


@CASES
def test_flows_of_reduced_precision_point_where_those_of_float32_do(
    name: str, precision: str
) -> None:
    """What samples along them is held to its place in ``test_warping``."""
    network, window = NETWORKS[name](), moving_clip(2, 32, WIDTH)[None]
    flows = []
    for one in (network, reduced(network, precision)):
        estimator: Any
        (estimator,) = (module for module in one.modules() if hasattr(module, "between"))
        with torch.inference_mode():
            flows.append(pair_flows(estimator, window, None).forward_BT2HW)
    exact, found = flows
    assert found.dtype == torch.float32
    assert exact[:, 1:].abs().mean() > 0.5
    assert (found - exact).abs().mean() < 0.05


@CASES
def test_frames_of_reduced_precision_are_about_those_of_float32(name: str, precision: str) -> None:
    network, clip = NETWORKS[name](), moving_clip(2, 32, 256)[None]
    with torch.inference_mode():
        restored, exact = reduced(network, precision)(clip), network(clip)
    assert restored.isfinite().all()
    assert (restored - exact).abs().mean() < 0.02


@pytest.mark.gpu
def test_float32_means_float32_on_cuda() -> None:
    conv, image = nn.Conv2d(3, 8, 3), torch.rand(1, 3, 32, 32)
    place(load_network("compact-x4"), device="cuda", precision="float32")
    found = conv.cuda()(image.cuda()).cpu()
    torch.testing.assert_close(found, conv.cpu()(image), atol=1e-5, rtol=0)
