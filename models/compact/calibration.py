"""Calibration of ``compact``: activation ranges for its int8 form.

B batch, T time, K features, M residual blocks, D differences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vsr.models.compact.branch import NUM_DIFFERENCES
from vsr.models.layers.activation_ranges import (
    ActivationSamples,
    hears,
    listen_to_blocks,
    listening,
)
from vsr.models.layers.blocks import Trunk
from vsr.models.ops.space_to_depth import pixel_shuffled

if TYPE_CHECKING:
    from vsr.models.compact.network import Compact


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
    seen = ActivationSamples(seed=seed)
    device = next(network.parameters()).device
    with listening(_listen(network, seen)), torch.no_grad():
        for clip in clips_BTCHW:
            network(clip.to(device))
    ranges.load_state_dict({name: seen.range_of(name) for name in ranges.state_dict()})


def _listen(network: Compact, seen: ActivationSamples) -> Iterator[RemovableHandle]:
    """Hooks that record activations; every convolution calls them, as in float32 none is fused."""
    num_feat = network.encode.out_channels
    for direction in ("backward_branch", "forward_branch"):
        trunk = network.get_submodule(direction).get_submodule("trunk")
        assert isinstance(trunk, Trunk)

        def enters(_: nn.Module, args: tuple[Tensor], direction: str = direction) -> None:
            seen.add("encoded_K", args[0][:, :num_feat])
            seen.add(f"{direction}.differences_D", args[0][:, -NUM_DIFFERENCES:])

        yield trunk.register_forward_pre_hook(enters)
        yield from listen_to_blocks(trunk, seen, direction)
    up, hidden = (network.tail.get_submodule(part) for part in ("up", "hidden"))
    yield up.register_forward_hook(hears(seen, "doubled_K", _enlarged))
    yield hidden.register_forward_hook(hears(seen, "hidden_K", F.relu))


def _enlarged(feat: Tensor) -> Tensor:
    return pixel_shuffled(F.relu(feat))
