"""Convolutions whose weights are computed from others, which learn in their place.

The forward pass sees one convolution with one weight, whatever it is computed from, so that
training costs hardly more; and since what is averaged, validated and saved is that one weight,
nothing of this is left in a trained file.

O features out, I features in, N rank, E features between two convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

EDGES = (
    ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0)),
    ((-1.0, -2.0, -1.0), (0.0, 0.0, 0.0), (1.0, 2.0, 1.0)),
    ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0)),
)
"""Sobel's filters, across and down, and the Laplacian."""


class LowRank(nn.Module):
    """A weight with an update of low rank (Hu et al., "LoRA", ICLR 2022), which begins as none.

    Args:
        weight: (O, I, h, w); only its size is used.
        rank: Rank N of the update, seen as a matrix (O, I h w).
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        columns = weight[0].numel()
        self.up_ON = nn.Parameter(weight.new_zeros(len(weight), rank))
        down = torch.randn(rank, columns) / math.sqrt(columns)
        self.down_NC = nn.Parameter(down.to(weight))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up_ON @ self.down_NC).view(weight.shape)


class Branches(nn.Module):
    """A 3x3 weight with the branches of an edge-oriented convolution block, which begin as none.

    Beside the weight itself: a 1x1 convolution, a 1x1 convolution behind a 3x3 one, and three
    1x1 convolutions in front of filters for edges (Zhang et al., "Edge-oriented Convolution Block
    for Real-time Super Resolution on Mobile Devices", ACM MM 2021). Their sum is linear, thus one
    3x3 convolution; to learn its parts finds other weights than to learn the sum.

    Args:
        weight: (O, I, 3, 3); only its size is used.
    """

    edges_F33: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        num_out, num_in = weight.shape[:2]
        self.point_OI11 = nn.Parameter(weight.new_zeros(num_out, num_in, 1, 1))
        expand = torch.empty(num_out, num_in, 3, 3)
        self.expand_EI33 = nn.Parameter(nn.init.kaiming_normal_(expand).to(weight))
        self.squeeze_OE = nn.Parameter(weight.new_zeros(num_out, num_out))
        mix = torch.randn(len(EDGES), num_out, num_in) / math.sqrt(num_in)
        self.mix_FOI = nn.Parameter(mix.to(weight))
        self.strength_FO = nn.Parameter(weight.new_zeros(len(EDGES), num_out))
        self.register_buffer("edges_F33", torch.tensor(EDGES).to(weight), persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        expanded = torch.einsum("oe,eihw->oihw", self.squeeze_OE, self.expand_EI33)
        mixed = self.strength_FO[..., None] * self.mix_FOI
        edges = torch.einsum("foi,fhw->oihw", mixed, self.edges_F33)
        return weight + F.pad(self.point_OI11, (1, 1, 1, 1)) + expanded + edges


def learn_low_rank(network: nn.Module, rank: int, beside: Iterable[nn.Module] = ()) -> None:
    """Let updates of low rank learn, one for each convolution, and nothing else.

    Args:
        network: Changed in place.
        rank: Rank of the updates, 1 or more.
        beside: Parts that get none.
    """
    network.requires_grad_(False)
    _parametrise(network, lambda weight: LowRank(weight, rank), beside)


def learn_branches(network: nn.Module, beside: Iterable[nn.Module] = ()) -> None:
    """Let all 3x3 convolutions learn with ``Branches``; arguments as for ``learn_low_rank``."""
    _parametrise(network, Branches, beside, kernel=(3, 3))


def _parametrise(
    network: nn.Module,
    make: Callable[[Tensor], nn.Module],
    beside: Iterable[nn.Module],
    kernel: tuple[int, int] | None = None,
) -> None:
    left = {module for part in beside for module in part.modules()}
    for module in list(network.modules()):
        if not isinstance(module, nn.Conv2d) or module in left or module.groups > 1:
            continue
        if kernel in (None, module.kernel_size):
            parametrize.register_parametrization(module, "weight", make(module.weight.detach()))
