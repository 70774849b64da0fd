"""Activation ranges, measured: what 8-bit integers have to be able to tell apart.

A range is the largest number, positive or negative, that is not clipped. Cut off too low it loses
the strongest features, too high all of them become coarse: of a few cuts below the largest number
seen, the one with the least mean squared error is kept, for each feature.

B batch, K features, M residual blocks, H, W size; N numbers seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vsr.models.layers.blocks import Trunk
from vsr.models.layers.upsampling import PixelShuffleUpsampling
from vsr.models.ops.int8_conv import HIGHEST, ZERO

CUTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Shares of the largest number seen that are tried."""

PLACES = 1500
"""Number of places of each image at which features are looked at, unless told otherwise."""

LEAST = 1e-3
"""Range of a feature that is always zero; a float16 file still tells it from zero."""


class ActivationSamples:
    """Random activation samples per range, by the name of their range.

    Args:
        places: Number of places of each image at which features are looked at.
        seed: Seed of the places.
    """

    def __init__(self, places: int = PLACES, *, seed: int = 0) -> None:
        self.places = places
        self._rng = torch.Generator().manual_seed(seed)
        self._found: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, name: str, feat_BKHW: Tensor) -> None:
        rows = feat_BKHW.detach().float().cpu().permute(0, 2, 3, 1).flatten(0, 2)
        places = torch.randint(len(rows), (self.places,), generator=self._rng)
        self._found[name].append(rows[places])

    def range_of(self, name: str) -> Tensor:
        """Range of a name, (K,), or of all blocks, (M, K): the cut of least mean squared error."""
        if name not in self._found:
            return torch.stack([self.range_of(block) for block in self._blocks(name)])
        numbers_NK = torch.cat(self._found[name])
        largest_K = numbers_NK.abs().amax(0).clamp(min=LEAST)
        tried = torch.stack([_error(numbers_NK, cut * largest_K) for cut in CUTS])
        return torch.tensor(CUTS)[tried.argmin(0)] * largest_K

    def largest_of(self, name: str) -> Tensor:
        """The largest numbers seen in each block, (M, K)."""
        found = (torch.cat(self._found[block]) for block in self._blocks(name))
        return torch.stack([numbers_NK.abs().amax(0).clamp(min=LEAST) for numbers_NK in found])

    def _blocks(self, name: str) -> list[str]:
        return sorted(key for key in self._found if key.startswith(name))


@contextmanager
def listening(hooks: Iterable[RemovableHandle]) -> Iterator[None]:
    """Have hooks in place for a while."""
    placed = list(hooks)
    try:
        yield
    finally:
        for hook in placed:
            hook.remove()


def listen_to_blocks(
    trunk: Trunk, seen: ActivationSamples, trunk_name: str
) -> Iterator[RemovableHandle]:
    """Hooks that record ``features_K`` and ``hidden_MK``: what blocks add up, and what is within.

    Every convolution calls them: in float32 none is fused.

    Args:
        trunk: In float32.
        seen: Filled while the trunk runs.
        trunk_name: In front of the names of ranges.
    """
    for i, block in enumerate(trunk.get_submodule("main.2").children()):
        name = f"{trunk_name}.features_K"
        yield block.register_forward_pre_hook(lambda _, args, n=name: seen.add(n, args[0]))
        yield block.register_forward_hook(hears(seen, name))
        within, name = block.get_submodule("conv1"), f"{trunk_name}.hidden_MK.{i:03}"
        yield within.register_forward_hook(hears(seen, name, F.relu))


def listen_to_upsampling(
    part: PixelShuffleUpsampling, seen: ActivationSamples
) -> Iterator[RemovableHandle]:
    """Hooks that record ``doubled_K`` and ``quadrupled_K``: what is enlarged, once and twice."""
    for name, conv in (("doubled_K", part.upconv2), ("quadrupled_K", part.conv_hr)):
        yield conv.register_forward_pre_hook(lambda _, args, n=name: seen.add(n, args[0]))


def hears(
    seen: ActivationSamples, name: str, then: Callable[[Tensor], Tensor] = torch.clone
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    """A hook that records a module's output, after something has been done to it."""

    def record(_: nn.Module, _args: tuple[Tensor, ...], out: Tensor) -> None:
        seen.add(name, then(out))

    return record


def _error(numbers_NK: Tensor, range_K: Tensor) -> Tensor:
    step = range_K / HIGHEST
    levels = (numbers_NK / step).round().clamp(-ZERO, HIGHEST)
    return (levels * step - numbers_NK).square().mean(0)
