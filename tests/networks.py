"""Small networks with weights that make every path matter."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import pytest
import torch
from torch import nn

from vsr.models.architectures.baselines import Bicubic, Identity
from vsr.models.architectures.basicvsr import BasicVSR
from vsr.models.architectures.basicvsrpp import BasicVSRPP
from vsr.models.architectures.cascade import Cascade
from vsr.models.architectures.edvr import EDVR
from vsr.models.architectures.iconvsr import IconVSR
from vsr.models.architectures.realbasicvsr import RealBasicVSR
from vsr.models.architectures.rrdbnet import RRDBNet
from vsr.models.architectures.srvgg import SRVGGNetCompact
from vsr.models.architectures.unet import UNet
from vsr.models.compact.branch import Branch
from vsr.models.compact.network import Compact
from vsr.models.guard.network import Guarded
from vsr.models.layers.spynet import SPyNet
from vsr.models.network import Network
from vsr.models.regions import ByQuality, ByRegion
from vsr.models.steady import Steady
from vsr.models.still import Still


def drawn_once(make: Callable[[], Network[Any]]) -> Callable[[], Network[Any]]:
    """Copies of one network: drawing weights takes longer than most that is done with them."""
    made = cache(make)

    @wraps(make)
    def copied() -> Network[Any]:
        return copy.deepcopy(made())

    return copied


@drawn_once
def compact() -> Network[Any]:
    """With corrections of the draft that are small, as learnt ones are."""
    network = Compact(num_feat=16, num_blocks=2, num_tail=8, num_flow=8, flow_levels=3)
    awakened(network)
    for branch in (network.backward_branch, network.forward_branch):
        assert isinstance(branch, Branch)
        branch.draft.weight.data.mul_(0.1)
    return network


@drawn_once
def basicvsr() -> Network[Any]:
    return awakened(BasicVSR(num_feat=8, num_block=2))


def awakened(network: Network[Any]) -> Network[Any]:
    """The network with random parameters: layers that start as zero take part too."""
    generator = torch.Generator().manual_seed(3)
    for parameter in (p for p in network.parameters() if p.ndim):
        fan_in = max(1, parameter[0].numel())
        drawn = torch.randn(parameter.shape, generator=generator) / fan_in**0.5
        parameter.data = drawn if parameter.ndim > 1 else 0.1 * drawn
    return network


@drawn_once
def iconvsr() -> Network[Any]:
    return awakened(
        IconVSR(num_feat=8, num_block=1, refill={"num_extract_block": 1, "deformable_groups": 2})
    )


SMALL_EDVR: dict[str, Any] = {
    "num_feat": 8,
    "deformable_groups": 2,
    "num_extract_block": 1,
    "num_reconstruct_block": 1,
}


@drawn_once
def edvr() -> Network[Any]:
    return awakened(EDVR(**SMALL_EDVR))


@drawn_once
def cascade() -> Network[Any]:
    return awakened(Cascade(first=SMALL_EDVR, second={**SMALL_EDVR, "hr_in": True, "num_frame": 3}))


@drawn_once
def realbasicvsr() -> Network[Any]:
    """With a threshold about which these weights' residues vary from clip to clip."""
    network = RealBasicVSR(num_feat=8, num_block=1, num_clean_block=1, threshold=0.273)
    return awakened(network)


@drawn_once
def deblurring_edvr() -> Network[Any]:
    return awakened(EDVR(**SMALL_EDVR, with_predeblur=True, hr_in=True, with_tsa=False))


@drawn_once
def rrdbnet() -> Network[Any]:
    return awakened(RRDBNet(scale=2, num_feat=8, num_block=1, num_grow=4))


@drawn_once
def basicvsrpp() -> Network[Any]:
    return awakened(BasicVSRPP(num_feat=8, num_block=1, groups=4))


@drawn_once
def deblurring_basicvsrpp() -> Network[Any]:
    return awakened(BasicVSRPP(num_feat=8, num_block=1, groups=4, hr_in=True))


@drawn_once
def srvgg() -> Network[Any]:
    return awakened(SRVGGNetCompact(num_feat=8, num_conv=2))


@drawn_once
def unet() -> Network[Any]:
    return awakened(UNet(num_feat=4, num_blocks=(1, 1, 1)))


def guarded() -> Network[Any]:
    """With two ends that carry state, between which much is found."""
    return Guarded(edvr(), compact())


def guarded_image_network() -> Network[Any]:
    return Guarded(srvgg(), Bicubic(scale=4))


def steady() -> Network[Any]:
    return Steady(srvgg())


def still() -> Network[Any]:
    return Still(compact())


def quick(make: Callable[[], Network[Any]]) -> Callable[[], Network[Any]]:
    """Copies of a network whose SPyNet has four features a layer.

    Its published widths, which checkpoints have, are most of a small network's work.
    """

    @drawn_once
    def narrowed() -> Network[Any]:
        network, generator = make(), torch.Generator().manual_seed(5)
        flows = [module for module in network.modules() if isinstance(module, SPyNet)]
        for conv in (m for flow in flows for m in flow.modules() if isinstance(m, nn.Conv2d)):
            before, after = (4 if wide > 8 else wide for wide in conv.weight.shape[1::-1])
            shape = (after, before, *conv.kernel_size)
            conv.weight.data = torch.randn(shape, generator=generator) / (49 * before) ** 0.5
            assert conv.bias is not None
            conv.bias.data = conv.bias.data[:after].clone()
        return network

    return narrowed


def by_region() -> Network[Any]:
    """With two ends that carry state, and a map of the frame's places."""
    return ByRegion(edvr(), compact(), torch.linspace(0, 1, 6).view(1, 2, 3))


def by_quality() -> Network[Any]:
    """Whose only state is the map of the frame before."""
    return ByQuality(srvgg(), Bicubic(scale=4))


RECURRENT = {
    "compact": compact,
    "basicvsr": quick(basicvsr),
    "realbasicvsr": quick(realbasicvsr),
    "basicvsrpp": quick(basicvsrpp),
    "iconvsr": quick(iconvsr),
    "edvr": edvr,
    "cascade": cascade,
    "guarded": guarded,
    "by_quality": by_quality,
    "by_region": by_region,
    "steady": steady,
    "still": still,
}
"""Networks that carry state."""

ALL = {
    **RECURRENT,
    "edvr_deblur": deblurring_edvr,
    "basicvsrpp_deblur": quick(deblurring_basicvsrpp),
    "rrdbnet": rrdbnet,
    "srvgg": srvgg,
    "unet": unet,
    "guarded_srvgg": guarded_image_network,
    "bicubic": lambda: Bicubic(scale=3),
    "identity": Identity,
}


def moving_clip(num_frames: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """(T, 3, H, W): a smooth texture that drifts by a pixel and a half a frame."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 4 + 8, width // 4 + 8, generator=generator)
    texture = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic")[0].clamp(0, 1)
    shifts = [(3 * t) // 2 for t in range(num_frames)]
    return torch.stack(
        [texture[:, s % 17 : s % 17 + height, s % 23 : s % 23 + width] for s in shifts]
    )


engine_of_two = pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=() if name in ("compact", "edvr") else pytest.mark.slow)
        for name, make in RECURRENT.items()
    ],
)
"""All of ``RECURRENT``, for statements on the engine, which treats them alike: one network that
propagates and one with windows are quick, the others slow."""
