"""Calibration of ``compact``: activation ranges for its int8 form.

A range is the largest number, positive or negative, that is not clipped. Cut off too low it loses
the strongest features, too high all of them become coarse: of a few cuts below the largest number
seen, the one with the least mean squared error is kept, for each feature.

B batch, T time, K features, M residual blocks, D differences; N numbers seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vsr.models.compact.branch import NUM_DIFFERENCES
from vsr.models.ops.int8_conv import HIGHEST, ZERO
from vsr.models.ops.space_to_depth import pixel_shuffled

if TYPE_CHECKING:
    from vsr.models.compact.network import Compact

CUTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Shares of the largest number seen that are tried."""

PLACES = 1500
"""Number of places of each image at which features are looked at."""

LEAST = 1e-3
"""Range of a feature that is always zero; a float16 file still tells it from zero."""


class BranchRanges(nn.Module):
    """Ranges of the features of one direction.

    Attributes:
        differences_D: Ranges of the differences between a frame and its neighbour.
        features_K: Activation range of the residual sum and of the propagated features.
        hidden_MK: Within each block.
    """

    def __init__(self, num_feat: int, num_blocks: int) -> None:
        super().__init__()
        self.register_buffer("differences_D", torch.ones(NUM_DIFFERENCES))
        self.register_buffer("features_K", torch.ones(num_feat))
        self.register_buffer("hidden_MK", torch.ones(num_blocks, num_feat))

    differences_D: Tensor
    features_K: Tensor
    hidden_MK: Tensor


class Ranges(nn.Module):
    """Ranges of the features of a whole network.

    Attributes:
        encoded_K: Ranges of a frame's own features.
        backward_branch: Ranges of the backward branch.
        forward_branch: Ranges of the forward branch.
        doubled_K: Ranges of the tail's features after their enlargement to the input's size.
        hidden_K: The same behind one more convolution.
    """

    def __init__(self, num_feat: int, num_blocks: int, num_tail: int) -> None:
        super().__init__()
        self.register_buffer("encoded_K", torch.ones(num_feat))
        self.backward_branch = BranchRanges(num_feat, num_blocks)
        self.forward_branch = BranchRanges(num_feat, num_blocks)
        self.register_buffer("doubled_K", torch.ones(num_tail))
        self.register_buffer("hidden_K", torch.ones(num_tail))

    encoded_K: Tensor
    doubled_K: Tensor
    hidden_K: Tensor


def measure_ranges(
    network: Compact, ranges: Ranges, clips_BTCHW: Iterable[Tensor], *, seed: int = 0
) -> None:
    """Measure activation ranges over some clips.

    Args:
        network: In float32; it is run.
        ranges: Ranges of the same shape, filled in place.
        clips_BTCHW: Footage as the network will see it, (B, T, 3, H, W), RGB in [0, 1]; a few
            frames of many scenes.
        seed: Seed of the random positions that are sampled.
    """
    seen = _ActivationSamples(torch.Generator().manual_seed(seed))
    hooks = list(_listen(network, seen))
    device = next(network.parameters()).device
    try:
        with torch.no_grad():
            for clip in clips_BTCHW:
                network(clip.to(device))
    finally:
        for hook in hooks:
            hook.remove()
    ranges.load_state_dict({name: seen.range_of(name) for name in ranges.state_dict()})


class _ActivationSamples:
    """Random activation samples per range, by the name of their range."""

    def __init__(self, rng: torch.Generator) -> None:
        self._rng = rng
        self._found: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, name: str, feat_BKHW: Tensor) -> None:
        rows = feat_BKHW.detach().float().cpu().permute(0, 2, 3, 1).flatten(0, 2)
        places = torch.randint(len(rows), (PLACES,), generator=self._rng)
        self._found[name].append(rows[places])

    def range_of(self, name: str) -> Tensor:
        """Range of a name, (K,), or of all blocks, (M, K): the cut of least mean squared error."""
        if name not in self._found:
            blocks = sorted(key for key in self._found if key.startswith(name))
            return torch.stack([self.range_of(block) for block in blocks])
        numbers_NK = torch.cat(self._found[name])
        largest_K = numbers_NK.abs().amax(0).clamp(min=LEAST)
        tried = torch.stack([_error(numbers_NK, cut * largest_K) for cut in CUTS])
        return torch.tensor(CUTS)[tried.argmin(0)] * largest_K


def _error(numbers_NK: Tensor, range_K: Tensor) -> Tensor:
    step = range_K / HIGHEST
    levels = (numbers_NK / step).round().clamp(-ZERO, HIGHEST)
    return (levels * step - numbers_NK).square().mean(0)


def _listen(network: Compact, seen: _ActivationSamples) -> Iterator[RemovableHandle]:
    """Hooks that record activations; every convolution calls them, as in float32 none is fused."""
    num_feat = network.encode.out_channels
    for direction in ("backward_branch", "forward_branch"):
        trunk = network.get_submodule(direction).get_submodule("trunk")

        def enters(_: nn.Module, args: tuple[Tensor], direction: str = direction) -> None:
            seen.add("encoded_K", args[0][:, :num_feat])
            seen.add(f"{direction}.differences_D", args[0][:, -NUM_DIFFERENCES:])

        yield trunk.register_forward_pre_hook(enters)
        for i, block in enumerate(trunk.get_submodule("main.2").children()):
            name = f"{direction}.features_K"
            yield block.register_forward_pre_hook(lambda _, args, n=name: seen.add(n, args[0]))
            yield block.register_forward_hook(_hears(seen, name, _as_it_is))
            within, name = block.get_submodule("conv1"), f"{direction}.hidden_MK.{i:03}"
            yield within.register_forward_hook(_hears(seen, name, F.relu))
    up, hidden = (network.tail.get_submodule(part) for part in ("up", "hidden"))
    yield up.register_forward_hook(_hears(seen, "doubled_K", _enlarged))
    yield hidden.register_forward_hook(_hears(seen, "hidden_K", F.relu))


def _hears(
    seen: _ActivationSamples, name: str, then: Callable[[Tensor], Tensor]
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def record(_: nn.Module, _args: tuple[Tensor, ...], out: Tensor) -> None:
        seen.add(name, then(out))

    return record


def _as_it_is(feat: Tensor) -> Tensor:
    return feat


def _enlarged(feat: Tensor) -> Tensor:
    return pixel_shuffled(F.relu(feat))
