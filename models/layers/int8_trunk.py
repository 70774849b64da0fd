"""Trunks on 8-bit integers, and what networks with such trunks have in common.

Residual blocks are most of what BasicVSR and its relatives compute, and the enlargement is most of
the rest. Flow, alignment and what sees pixels stay as they are, and so do propagated features:
plain numbers.

B batch, T time, K features, H, W size.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import ClassVar, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.activation_ranges import (
    ActivationSamples,
    listen_to_blocks,
    listen_to_upsampling,
    listening,
)
from vsr.models.layers.blocks import ResidualBlock, Trunk, TrunkRanges, channels_last
from vsr.models.layers.upsampling import (
    Int8Upsampling,
    PixelShuffleUpsampling,
    UpsamplingRanges,
)
from vsr.models.network import Network
from vsr.models.ops.int8_conv import (
    HIGHEST,
    HIGHEST_POSITIVE,
    Int8Conv,
    in_steps,
    runs_int8,
    to_levels,
    unsigned,
)

State = TypeVar("State")

CENTRE = 128
"""Pixels of each side, at most, of the middle of frames over which ranges are measured."""

HEADROOM = 2.0
"""Range within blocks over the largest number seen there: other footage has larger ones, and to cut
these off costs more than coarse steps do. Official BasicVSR, 8 frames of 32x32 of Vid4's calendar
with ranges of other footage, loses 0.042 dB with 1, 0.008 with 1.5 and 0.001 with 2."""

CLOSE_DB = 47.0
"""Agreement with float32 from which on ``auto`` takes int8: what is at 27 dB from the truth, as
BasicVSR is on Vid4, loses 0.04 dB."""

PLACES = 100
"""Places of each image at which features are looked at: 60 blocks see each frame."""


class Int8Trunk(nn.Module):
    """A trunk whose residual blocks are convolutions of 8-bit integers.

    What the blocks add up has more than 8 bits, unlike in ``compact``: thirty blocks would round it
    thirty times. The first convolution sees pixels and stays as precise as they are.

    Args:
        trunk: As it was trained, with ranges.
    """

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        assert trunk.ranges is not None
        first, _, blocks = trunk.main
        assert isinstance(first, nn.Conv2d)
        assert isinstance(blocks, nn.Sequential)
        steps_K = trunk.ranges.features_K / HIGHEST
        self.rectify = trunk.rectify
        self.first = in_steps(first, steps_K)
        self.blocks = nn.ModuleList(
            _Int8Block(block, steps_K, hidden_K / HIGHEST_POSITIVE)
            for block, hidden_K in zip(blocks, trunk.ranges.hidden_MK, strict=True)
        )
        self.register_buffer("steps", steps_K.view(1, -1, 1, 1))

    def forward(self, feat_BKHW: Tensor) -> Tensor:
        steps = self.rectify(self.first, channels_last(feat_BKHW))
        copy = steps.clone()
        for block in self.blocks:
            copy = block(copy, steps)
        return steps.mul_(self.get_buffer("steps"))


class _Int8Block(nn.Module):
    """A residual block on numbers of steps."""

    def __init__(self, block: nn.Module, steps_K: Tensor, hidden_K: Tensor) -> None:
        super().__init__()
        assert isinstance(block, ResidualBlock)
        self.conv1 = Int8Conv(block.conv1, steps_K, hidden_K)
        self.conv2 = Int8Conv(block.conv2, hidden_K, steps_K, zero=0)

    def forward(self, copy_BKHW: Tensor, steps_BKHW: Tensor) -> Tensor:
        """Add to ``steps_BKHW``, of which ``copy_BKHW`` is a copy to overwrite; a copy again."""
        levels = unsigned(to_levels(copy_BKHW))
        return self.conv2.add_to(self.conv1.relu_levels(levels), steps_BKHW)


class TrunkNetwork(Network[State]):
    """A network whose trunks have a form on 8-bit integers."""

    trunk_names: ClassVar[tuple[str, ...]]
    """The modules that are in int8 then."""

    @property
    def dtype(self) -> torch.dtype:
        trunks = (self.get_submodule(name) for name in self.trunk_names)
        return torch.int8 if any(isinstance(t, Int8Trunk) for t in trunks) else self.float_dtype

    @property
    def float_dtype(self) -> torch.dtype:
        """The type of what is not in int8."""
        return super().dtype

    @property
    def has_int8(self) -> bool:
        return all(trunk.ranges is not None for _, trunk in self._trunks())

    def in_int8(self) -> Self:
        if not self.has_int8:
            raise self._without_ranges()
        network = copy.deepcopy(self)
        for name, trunk in self._trunks():
            network.set_submodule(name, Int8Trunk(trunk))
        for part in network._upsampling():
            part.int8_upsampling = Int8Upsampling(part)
        return network

    def measured(self, clips_BTCHW: Iterable[Tensor]) -> Self:
        device = next(self.parameters()).device
        clips = [_middle(clip).to(device) for clip in clips_BTCHW]
        network, seen = copy.deepcopy(self), ActivationSamples(PLACES)
        trunks = dict(network._trunks())
        hooks = chain(
            *(listen_to_blocks(trunk, seen, name) for name, trunk in trunks.items()),
            *(listen_to_upsampling(part, seen) for part in network._upsampling()),
        )
        with listening(hooks), torch.no_grad():
            exact = [network(clip) for clip in clips]
        for name, trunk in trunks.items():
            trunk.ranges = _ranges_of(trunk, seen, name)
        for part in network._upsampling():
            part.upsampling_ranges = _upsampling_ranges_of(part, seen)
        if runs_int8(device):
            agreement_db = _agreement_db(network.in_int8(), clips, exact)
            for trunk in trunks.values():
                trunk.get_buffer("ranges.agreement_db").fill_(agreement_db)
        return network

    @property
    def is_close_in_int8(self) -> bool:
        return self.has_int8 and all(
            float(trunk.get_buffer("ranges.agreement_db")) >= CLOSE_DB
            for _, trunk in self._trunks()
        )

    def _trunks(self) -> Iterator[tuple[str, Trunk]]:
        for name in self.trunk_names:
            trunk = self.get_submodule(name)
            if isinstance(trunk, Trunk):
                yield name, trunk

    def _upsampling(self) -> Iterator[PixelShuffleUpsampling]:
        return (part for part in self.modules() if isinstance(part, PixelShuffleUpsampling))


def _middle(clip_BTCHW: Tensor) -> Tensor:
    """The middle of its frames."""
    height, width = clip_BTCHW.shape[-2:]
    top, left = max(0, height - CENTRE) // 2, max(0, width - CENTRE) // 2
    return clip_BTCHW[..., top : top + CENTRE, left : left + CENTRE]


def _ranges_of(trunk: Trunk, seen: ActivationSamples, name: str) -> TrunkRanges:
    """The ranges of a trunk that has been listened to."""
    hidden_MK = HEADROOM * seen.largest_of(f"{name}.hidden_MK")
    ranges = TrunkRanges(hidden_MK.shape[1], hidden_MK.shape[0])
    ranges.features_K.copy_(seen.range_of(f"{name}.features_K"))
    ranges.hidden_MK.copy_(hidden_MK)
    return ranges.to(next(trunk.parameters()).device)


def _upsampling_ranges_of(
    part: PixelShuffleUpsampling, seen: ActivationSamples
) -> UpsamplingRanges:
    """The ranges of an enlargement that has been listened to."""
    ranges = UpsamplingRanges(part.upconv2.in_channels)
    ranges.load_state_dict({name: seen.range_of(name) for name in ranges.state_dict()})
    return ranges.to(part.upconv2.weight.device)


def _agreement_db(network: Network[State], clips: list[Tensor], exact: list[Tensor]) -> float:
    """PSNR of what a network makes of clips against other frames of them."""
    with torch.inference_mode():
        errors = [
            F.mse_loss(network(clip).clamp(0, 1), frames.clamp(0, 1))
            for clip, frames in zip(clips, exact, strict=True)
        ]
    return float(-10 * torch.stack(errors).mean().clamp(min=1e-12).log10())
