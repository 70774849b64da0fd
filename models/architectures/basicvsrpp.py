"""BasicVSR++: propagation back and forth twice, aligned by deformable convolution to two frames.

Chan et al., "BasicVSR++: Improving Video Super-Resolution with Enhanced Propagation and Alignment",
CVPR 2022. Parameters are named as in BasicSR (github.com/XPixelGroup/BasicSR) and mmagic, whose
checkpoints load as they are; released under Apache-2.0, the flow network inside them under a
non-commercial research licence.

    s_i = extract(x_i)
    r_i = p + trunk([s_i, results of earlier sweeps at i, p]),  p = align(r_j, r_k, s_i)
    y_i = upsample(reconstruct([s_i, results of all four sweeps at i])) + bilinear(x_i)

Four sweeps r follow each other: backward, forward, backward, forward; j and k are the frames one
and two steps back in the sweep's direction. In a stream, the forward sweeps continue from their
results for the last two frames, while the backward ones start at the window's end. The second
backward sweep also sees the first forward one's results for the look-ahead, which the next step
computes again. With a look-ahead to the end of the scene the result equals the whole clip's; with a
shorter one all later frames differ slightly, since the carried results were computed with it.

B batch, T time, P pairs of consecutive frames, C colour, K features, H, W size of the frames, h, w
of the features: that of the frames, or a quarter of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import Trunk, channels_last, conv3x3, num_blocks_of
from vsr.models.layers.int8_trunk import TrunkNetwork
from vsr.models.layers.propagation import PairFlows, pair_flows
from vsr.models.layers.spynet import SPyNet
from vsr.models.layers.upsampling import PixelShuffleUpsampling
from vsr.models.network import NetworkFacts
from vsr.models.ops.deform_conv import modulated_deform_conv
from vsr.models.ops.fused import conv_leaky_relu
from vsr.models.ops.padding import pad_to_multiple
from vsr.models.ops.warp import warp

SCALE = 4

SWEEPS = ("backward_1", "forward_1", "backward_2", "forward_2")

LARGEST_RESIDUE = 10.0
"""Pixels that a learnt offset may differ from the flow by; no file tells it, all that are published
have this."""

NUM_EXTRACT_BLOCK = 5
"""Residual blocks in front of the sweeps, and of those behind them."""


class SecondOrderAlignment(nn.Module):
    """Deformable convolution of two frames' features, by offsets around their optical flow.

    Args:
        num_feat: Features of one frame.
        groups: Deformable groups; the first half reads the nearer frame.
    """

    def __init__(self, num_feat: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_feat, 2 * num_feat, 3, 3))
        self.bias = nn.Parameter(torch.zeros(num_feat))
        layers: list[nn.Module] = []
        for num_in in (3 * num_feat + 4, num_feat, num_feat):
            # The activation runs with the convolution; its place keeps the published numbering.
            layers += [conv3x3(num_in, num_feat), nn.Identity()]
        last = conv3x3(num_feat, 27 * groups)
        # No offset beside the flow, and half of every tap at the start, as in the paper.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias) if last.bias is not None else None
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.conv_offset = nn.ModuleList([*layers, last])

    def forward(
        self, feats_B2Khw: Tensor, seen_BKhw: Tensor, flows: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Sample both frames' features.

        Args:
            feats_B2Khw: Features of the nearer frame, then of the one behind it.
            seen_BKhw: Those features warped by the flows, with the frame's own between them.
            flows: To the two frames, (B, 2, h, w) each, pixels, x first.

        Returns:
            (B, K, h, w).
        """
        hidden = torch.cat([seen_BKhw, *(flow.to(seen_BKhw.dtype) for flow in flows)], 1)
        hidden = channels_last(hidden)
        for conv in self.conv_offset[:-1:2]:
            assert isinstance(conv, nn.Conv2d)
            hidden = conv_leaky_relu(conv, hidden)
        first, second, mask = self.conv_offset[-1](hidden).float().chunk(3, 1)
        residue = LARGEST_RESIDUE * torch.cat([first, second], 1).tanh()
        taps = residue.shape[1] // 4
        around = [flow.flip(1).repeat(1, taps, 1, 1) for flow in flows]
        offset = residue + torch.cat(around, 1)
        return modulated_deform_conv(feats_B2Khw, offset, mask.sigmoid(), self.weight, self.bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class BasicVSRPPState:
    """A stream's past, and features and flows of its look-ahead.

    Attributes:
        first_BKhw: Results of the first forward sweep for the last frame and the one before it,
            as far as there are such frames in the scene.
        second_BKhw: The same of the second forward sweep.
        between_B2hw: Flow from the last frame to the one before it.
        frame_BChw: The last frame as the flow network sees it.
        forward_BP2HW: Flows to the previous frame, of the frames seen as look-ahead.
        backward_BP2HW: Flows to the next frame, of the same pairs.
        ahead_BTKhw: Features of the look-ahead.
    """

    TAG: ClassVar[str] = "basicvsrpp.v1"

    first_BKhw: tuple[Tensor, ...]
    second_BKhw: tuple[Tensor, ...]
    between_B2hw: Tensor
    frame_BCHW: Tensor
    forward_BP2HW: Tensor
    backward_BP2HW: Tensor
    ahead_BTKhw: Tensor

    def after_gap(self) -> BasicVSRPPState:
        """The past without the look-ahead, for a next frame that does not follow the last one."""
        return replace(
            self,
            forward_BP2HW=self.forward_BP2HW[:, :0],
            backward_BP2HW=self.backward_BP2HW[:, :0],
            ahead_BTKhw=self.ahead_BTKhw[:, :0],
        )


Frame = list[Tensor]
"""Features of one frame: its own, then the results of the sweeps that have reached it."""


class BasicVSRPP(PixelShuffleUpsampling, TrunkNetwork[BasicVSRPPState]):
    """Recurrent restoration, x4 or, with ``hr_in``, x1.

    Args:
        num_feat: Features of all sweeps.
        num_block: Residual blocks a sweep.
        groups: Groups of the deformable convolutions.
        hr_in: The input has the output's size; features are of a quarter of it.
        has_ranges: Whether it is known how large features of all sweeps get, so that they have a
            form on 8-bit integers.
    """

    state_classes = (BasicVSRPPState,)
    trunk_names = tuple(f"backbone.{name}" for name in SWEEPS)

    def __init__(
        self,
        *,
        num_feat: int = 64,
        num_block: int = 7,
        groups: int = 16,
        hr_in: bool = False,
        has_ranges: bool = False,
    ) -> None:
        super().__init__()
        scale = 1 if hr_in else SCALE
        self.facts = NetworkFacts(name="basicvsrpp", scale=scale, look_ahead=8, chunk=8)
        self.num_feat = num_feat
        self.spynet = SPyNet()
        self.feat_extract: nn.Module = (
            _Reducing(num_feat) if hr_in else Trunk(3, num_feat, NUM_EXTRACT_BLOCK)
        )
        self.deform_align = nn.ModuleDict(
            {name: SecondOrderAlignment(num_feat, groups) for name in SWEEPS}
        )
        self.backbone = nn.ModuleDict(
            {
                name: Trunk((2 + i) * num_feat, num_feat, num_block, has_ranges=has_ranges)
                for i, name in enumerate(SWEEPS)
            }
        )
        self.reconstruction = Trunk((1 + len(SWEEPS)) * num_feat, num_feat, NUM_EXTRACT_BLOCK)
        self.declare_upsampling(num_feat, has_ranges=has_ranges)

    def step(
        self,
        window_BTCHW: Tensor,
        state: BasicVSRPPState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, BasicVSRPPState]:
        height, width = window_BTCHW.shape[-2:]
        window_BTCHW = self._padded(window_BTCHW)
        small_BTCHW = self._reduced(window_BTCHW)
        flows = pair_flows(self.spynet, small_BTCHW, state)
        frames = self._extract(window_BTCHW, state)
        own_BTKhw = [frame[0] for frame in frames[num_keep:]]
        self._sweep_back("backward_1", frames, flows)
        self._sweep_forth("forward_1", frames, flows, state, state.first_BKhw if state else ())
        self._sweep_back("backward_2", frames, flows)
        del frames[num_keep:]
        self._sweep_forth("forward_2", frames, flows, state, state.second_BKhw if state else ())
        left = self._next_state(frames, own_BTKhw, flows, small_BTCHW, state)
        restored = [
            self._reconstruct(frame, window_BTCHW[:, i])[
                ..., : self.facts.scale * height, : self.facts.scale * width
            ]
            for i, frame in enumerate(frames)
        ]
        return torch.stack(restored, 1), left

    def _padded(self, window_BTCHW: Tensor) -> Tensor:
        """The frames, extended where features are of a quarter of their size."""
        if self.facts.scale == SCALE:
            return window_BTCHW
        return pad_to_multiple(window_BTCHW, SCALE, reflect=True)

    def _reduced(self, window_BTCHW: Tensor) -> Tensor:
        """The frames in the size of the features, for the flow between them."""
        if self.facts.scale == SCALE:
            return window_BTCHW
        frames = window_BTCHW.flatten(0, 1)
        small = F.interpolate(frames, scale_factor=1 / SCALE, mode="bicubic", align_corners=False)
        return small.view(*window_BTCHW.shape[:2], *small.shape[1:])

    def _extract(self, window_BTCHW: Tensor, state: BasicVSRPPState | None) -> list[Frame]:
        """Features of every frame of the window; those of the look-ahead before are known."""
        known = [] if state is None else list(state.ahead_BTKhw.unbind(1))
        fresh = window_BTCHW[:, len(known) :].unbind(1)
        return [
            [feat] for feat in (*known, *(self.feat_extract(x.to(self.float_dtype)) for x in fresh))
        ]

    def _sweep_back(self, name: str, frames: Sequence[Frame], flows: PairFlows) -> None:
        """Append results to every frame, from the last one to the first, starting from zeros."""
        past: tuple[Tensor, ...] = ()
        between = flows.to_previous(0)  # of no meaning, nor used: there is nothing behind
        for i in reversed(range(len(frames))):
            to_last = flows.to_next(i) if past else between
            frames[i].append(self.advance(name, frames[i], past, to_last, between))
            past = (frames[i][-1], *past[:1])
            between = to_last

    def _sweep_forth(
        self,
        name: str,
        frames: Sequence[Frame],
        flows: PairFlows,
        state: BasicVSRPPState | None,
        past: tuple[Tensor, ...],
    ) -> None:
        """Append results to every frame, from the first to the last, continuing from the past."""
        between = flows.to_previous(0) if state is None else state.between_B2hw
        for i in range(len(frames)):
            to_last = flows.to_previous(i)
            frames[i].append(self.advance(name, frames[i], past, to_last, between))
            past = (frames[i][-1], *past[:1])
            between = to_last

    def advance(
        self,
        name: str,
        frame: Frame,
        past: tuple[Tensor, ...],
        to_last: Tensor,
        between: Tensor,
    ) -> Tensor:
        """A sweep's result for a frame.

        Args:
            name: Name of the sweep.
            frame: Features of the frame.
            past: Results for the frame before in the sweep's direction, and the one before that, as
                far as there are any.
            to_last: Flow from the frame to the first of these.
            between: Flow from the first to the second of these.
        """
        aligned = self.align(name, frame[0], past, to_last, between)
        advanced: Tensor = self.backbone[name](torch.cat([*frame, aligned], 1))
        return aligned + advanced

    def align(
        self,
        name: str,
        feat: Tensor,
        past: tuple[Tensor, ...],
        to_last: Tensor,
        between: Tensor,
    ) -> Tensor:
        """Earlier results of a sweep, aligned to a frame; arguments as of ``advance``."""
        if not past:
            return torch.zeros_like(feat)
        warped = warp(past[0], to_last)
        if len(past) == 1:
            none = torch.zeros_like(feat)
            before, before_warped, to_before = none, none, torch.zeros_like(to_last)
        else:
            before, to_before = past[1], to_last + warp(between, to_last)
            before_warped = warp(before, to_before)
        aligned: Tensor = self.deform_align[name](
            torch.cat([past[0], before], 1),
            torch.cat([warped, feat, before_warped], 1),
            (to_last, to_before),
        )
        return aligned

    def _next_state(
        self,
        frames: Sequence[Frame],
        ahead: list[Tensor],
        flows: PairFlows,
        small_BTCHW: Tensor,
        state: BasicVSRPPState | None,
    ) -> BasicVSRPPState:
        """The state after the restored frames."""
        num_keep, feat = len(frames), frames[-1][0]
        known = ((), ()) if state is None else (state.first_BKhw, state.second_BKhw)
        first, second = (
            (*(frame[place] for frame in frames[:-3:-1]), *past)[:2]
            for place, past in zip((2, 4), known, strict=True)
        )
        return BasicVSRPPState(
            first_BKhw=first,
            second_BKhw=second,
            between_B2hw=flows.to_previous(num_keep - 1).clone(),
            frame_BCHW=small_BTCHW[:, num_keep - 1].clone(),
            forward_BP2HW=flows.forward_BT2HW[:, num_keep:].clone(),
            backward_BP2HW=flows.backward_BT2HW[:, num_keep:].clone(),
            ahead_BTKhw=torch.stack(ahead, 1)
            if ahead
            else feat.new_zeros((len(feat), 0, *feat.shape[1:])),
        )

    def _reconstruct(self, frame: Frame, frame_BCHW: Tensor) -> Tensor:
        feat = self.reconstruction(torch.cat(frame, 1))
        if self.facts.scale == 1:
            return frame_BCHW + self.upsample(feat)
        return self.upsample_onto(frame_BCHW, feat)


class _Reducing(nn.ModuleList):
    """Features of a quarter of the frame's size."""

    def __init__(self, num_feat: int) -> None:
        # Activations run with the convolutions; their places keep the published numbering.
        first, second = (nn.Conv2d(num_in, num_feat, 3, 2, 1) for num_in in (3, num_feat))
        trunk = Trunk(num_feat, num_feat, NUM_EXTRACT_BLOCK)
        super().__init__([first, nn.Identity(), second, nn.Identity(), trunk])

    def forward(self, frame_BCHW: Tensor) -> Tensor:
        feat = channels_last(frame_BCHW)
        for conv in (self[0], self[2]):
            assert isinstance(conv, nn.Conv2d)
            feat = conv_leaky_relu(conv, feat)
        reduced: Tensor = self[4](feat)
        return reduced


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if "deform_align.backward_1.weight" not in weights:
        return None
    return {
        "num_feat": weights["deform_align.backward_1.weight"].shape[0],
        "num_block": num_blocks_of(weights, "backbone.backward_1.main.2."),
        "groups": weights["deform_align.backward_1.conv_offset.6.weight"].shape[0] // 27,
        "hr_in": "feat_extract.0.weight" in weights,
        "has_ranges": "backbone.backward_1.ranges.features_K" in weights,
    }
