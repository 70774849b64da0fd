"""RealBasicVSR: BasicVSR for footage from the wild, frames cleaned before they are propagated.

Chan et al., "Investigating Tradeoffs in Real-World Video Super-Resolution", CVPR 2022; source
github.com/ckkelvinchan/RealBasicVSR, and mmagic, whose checkpoint loads as it is. Released under
Apache-2.0, the flow network inside under a non-commercial research licence.

    x_i <- x_i + clean(x_i), up to three times, until mean |clean(x)| over the clip < threshold
    y = BasicVSR(x)

The mean is over all frames: a number of passes chosen again for every chunk would show as a seam.
It is chosen from the first window of a scene, frames to restore and look-ahead, and then kept to
the scene's end; with full look-ahead that window is the whole scene, as published. Frames in tiles
have it chosen from the mean over all tiles, not each tile its own.

B batch, T time, C colour, H, W size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vsr.models.architectures.basicvsr import BasicVSR
from vsr.models.architectures.basicvsr import options_from_weights as propagation_options
from vsr.models.layers.blocks import Trunk, conv3x3, num_blocks_of
from vsr.models.layers.int8_trunk import TrunkNetwork
from vsr.models.layers.propagation import PropagationState

MAX_PASSES = 3
"""Passes of the cleaning module at most, "determined empirically" by its authors."""

THRESHOLD = 5 / 255
"""Mean residue under which a pass is the last: the published setting for inference."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RealBasicVSRState:
    """The state of BasicVSR, and the number of cleaning passes.

    Attributes:
        propagation: State of BasicVSR over cleaned frames; None before the first step of a tile.
        cleaned_BTCHW: The cleaned look-ahead.
        passes_B: Passes over every frame of the scene, an integer for each stream; on the CPU, so
            that only the first step of a scene waits for the device.
    """

    TAG: ClassVar[str] = "realbasicvsr.v1"

    propagation: PropagationState | None
    cleaned_BTCHW: Tensor
    passes_B: Tensor

    def after_gap(self) -> RealBasicVSRState:
        """As in ``GapTolerant``: the passes stay those of the scene."""
        propagation = None if self.propagation is None else self.propagation.after_gap()
        return replace(self, propagation=propagation, cleaned_BTCHW=self.cleaned_BTCHW[:, :0])


class RealBasicVSR(TrunkNetwork[RealBasicVSRState]):
    """Recurrent x4 super-resolution of cleaned frames.

    Args:
        num_feat: Features.
        num_block: Residual blocks of each branch of propagation.
        num_clean_block: Residual blocks of the cleaning module.
        threshold: Mean absolute residue, of pixels in [0, 1], under which cleaning ends.
        has_ranges: Whether it is known how large features of both branches get, so that they have a
            form on 8-bit integers.
    """

    state_classes = (
        RealBasicVSRState,
        PropagationState,
    )
    trunk_names = ("basicvsr.backward_trunk", "basicvsr.forward_trunk")

    def __init__(
        self,
        *,
        num_feat: int = 64,
        num_block: int = 20,
        num_clean_block: int = 20,
        threshold: float = THRESHOLD,
        has_ranges: bool = False,
    ) -> None:
        super().__init__()
        self.threshold = threshold
        self.image_cleaning = nn.Sequential(
            Trunk(3, num_feat, num_clean_block), conv3x3(num_feat, 3)
        )
        self.basicvsr = BasicVSR(num_feat=num_feat, num_block=num_block, has_ranges=has_ranges)
        self.facts = replace(self.basicvsr.facts, name="realbasicvsr")

    def step(
        self,
        window_BTCHW: Tensor,
        state: RealBasicVSRState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, RealBasicVSRState]:
        if state is None:
            cleaned_BTCHW, passes_B = self._clean_until_settled(window_BTCHW)
        elif state.propagation is None:
            passes_B = state.passes_B
            cleaned_BTCHW = self._clean(window_BTCHW, passes_B)
        else:
            fresh_BTCHW = window_BTCHW[:, state.cleaned_BTCHW.shape[1] :]
            passes_B = state.passes_B.cpu()
            cleaned = [state.cleaned_BTCHW, self._clean(fresh_BTCHW, passes_B)]
            cleaned_BTCHW = torch.cat(cleaned, 1)[:, : window_BTCHW.shape[1]]
        restored_BTCHW, propagation = self.basicvsr.step(
            cleaned_BTCHW, None if state is None else state.propagation, num_keep
        )
        ahead = cleaned_BTCHW[:, num_keep:].clone()
        return restored_BTCHW, RealBasicVSRState(
            propagation=propagation, cleaned_BTCHW=ahead, passes_B=passes_B
        )

    def begin(self, tiles: Iterable[Tensor]) -> RealBasicVSRState:
        means, area = [], []
        for window_BTCHW in tiles:
            nothing = window_BTCHW[:, :0]
            means.append(self._mean_residues(window_BTCHW))
            area.append(window_BTCHW.shape[-2] * window_BTCHW.shape[-1])
        shares = torch.tensor(area, dtype=torch.float64) / sum(area)
        mean_PB = torch.einsum("n,npb->pb", shares, torch.stack(means).cpu().double())
        passes_B = 1 + (mean_PB[:-1] >= self.threshold).cumprod(0).sum(0)
        return RealBasicVSRState(propagation=None, cleaned_BTCHW=nothing, passes_B=passes_B)

    def _mean_residues(self, window_BTCHW: Tensor) -> Tensor:
        """(P, B): the mean residue of each pass, were all of them made."""
        means = []
        for _ in range(MAX_PASSES):
            residue_BTCHW = self._residue(window_BTCHW)
            window_BTCHW = window_BTCHW + residue_BTCHW
            means.append(residue_BTCHW.abs().mean((1, 2, 3, 4)))
        return torch.stack(means)

    def _clean_until_settled(self, window_BTCHW: Tensor) -> tuple[Tensor, Tensor]:
        """The window, cleaned, and the passes that each stream of the batch took."""
        if window_BTCHW.is_meta:
            # Without values nothing settles; the planner asks what a step takes at most.
            passes_B = torch.full((len(window_BTCHW),), MAX_PASSES)
            return self._clean(window_BTCHW, passes_B), passes_B
        passes_B = window_BTCHW.new_zeros(len(window_BTCHW), dtype=torch.int64)
        unsettled_B = torch.ones_like(passes_B, dtype=torch.bool)
        while unsettled_B.any() and passes_B.max() < MAX_PASSES:
            residue_BTCHW = self._residue(window_BTCHW)
            window_BTCHW = window_BTCHW + _select(unsettled_B, residue_BTCHW)
            passes_B = passes_B + unsettled_B
            unsettled_B = unsettled_B & (residue_BTCHW.abs().mean((1, 2, 3, 4)) >= self.threshold)
        return window_BTCHW, passes_B.cpu()

    def _clean(self, frames_BTCHW: Tensor, passes_B: Tensor) -> Tensor:
        """The frames after the chosen number of passes."""
        if not frames_BTCHW.shape[1]:
            return frames_BTCHW
        for i in range(int(passes_B.max())):
            residue_BTCHW = _select(passes_B > i, self._residue(frames_BTCHW))
            frames_BTCHW = frames_BTCHW + residue_BTCHW
        return frames_BTCHW

    def _residue(self, frames_BTCHW: Tensor) -> Tensor:
        """Residue of one pass, float32; frame by frame, which is the same in less memory."""
        residues = (
            self.image_cleaning(frame.to(self.float_dtype)) for frame in frames_BTCHW.unbind(1)
        )
        return torch.stack([residue.float() for residue in residues], 1)


def _select(chosen_B: Tensor, residue_BTCHW: Tensor) -> Tensor:
    """The residues of the chosen streams, zeros for the others."""
    chosen_B = chosen_B.to(residue_BTCHW.device, non_blocking=True)
    return torch.where(chosen_B.view(-1, 1, 1, 1, 1), residue_BTCHW, 0.0)


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if "image_cleaning.1.weight" not in weights:
        return None
    inner = {k.removeprefix("basicvsr."): v for k, v in weights.items()}
    options = propagation_options(inner)
    num_clean_block = num_blocks_of(weights, "image_cleaning.0.main.2.")
    return options and {**options, "num_clean_block": num_clean_block}
