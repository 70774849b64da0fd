"""SRVGGNetCompact: a plain chain of convolutions, which restores each frame independently.

Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data",
ICCVW 2021, in the form of github.com/xinntao/Real-ESRGAN (``realesr-animevideov3``,
``realesr-general-x4v3``), whose repository, weights included, is BSD-3-Clause. Parameters are named
as there.

    y = pixel_shuffle(conv(act(conv(... act(conv(x)))))) + nearest(x)

N images, C colour, K features, H, W size of the frames.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vsr.errors import ConfigurationError
from vsr.models.layers.blocks import channels_last, conv3x3, hidden_conv3x3
from vsr.models.layers.single_frame import SingleFrameNetwork
from vsr.models.network import NetworkFacts
from vsr.models.ops.fused import conv_leaky_relu, conv_relu

log = logging.getLogger(__name__)

ACTIVATIONS = ("prelu", "relu", "leakyrelu")


class SRVGGNetCompact(SingleFrameNetwork):
    """Enlargement of single frames.

    Args:
        scale: Output size over input size.
        num_feat: Features.
        num_conv: Convolutions between the first and the last one.
        activation: ``prelu`` (a slope for each feature), ``relu`` or ``leakyrelu`` (0.1).

    Raises:
        ConfigurationError: An unknown activation.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        num_feat: int = 64,
        num_conv: int = 16,
        activation: str = "prelu",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ConfigurationError(f"activation {activation!r} is unknown; give one of {known}")
        self.facts = NetworkFacts(
            name="srvgg", scale=scale, chunk=4, stateless=True, receptive_radius=num_conv + 2
        )
        self.activation = activation
        layers: list[nn.Module] = []
        for num_in in (3, *[num_feat] * num_conv):
            layers += [hidden_conv3x3(num_in, num_feat), self._activation(num_feat)]
        self.body = nn.ModuleList([*layers, conv3x3(num_feat, 3 * scale**2)])

    def restore(self, frames_NCHW: Tensor) -> Tensor:
        feat = channels_last(frames_NCHW.to(self.dtype))
        *hidden, last = self.body
        for conv, slopes in zip(hidden[::2], hidden[1::2], strict=True):
            feat = self._activated(conv, slopes, feat)
        scale = self.facts.scale
        # The nearest pixel is the same for all of a cell, so that it can be added to cells.
        cells = last(feat).float() + frames_NCHW.repeat_interleave(scale**2, 1)
        return F.pixel_shuffle(cells, scale)

    def _activation(self, num_feat: int) -> nn.Module:
        """The activation after a convolution; its place keeps the published numbering."""
        return nn.PReLU(num_feat) if self.activation == "prelu" else nn.Identity()

    def _activated(self, conv: nn.Module, slopes: nn.Module, feat_NKHW: Tensor) -> Tensor:
        assert isinstance(conv, nn.Conv2d)
        if self.activation == "relu":
            return conv_relu(conv, feat_NKHW)
        if self.activation == "leakyrelu":
            return conv_leaky_relu(conv, feat_NKHW)
        activated: Tensor = slopes(conv(feat_NKHW))
        return activated


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if "body.0.weight" not in weights or any(not key.startswith("body.") for key in weights):
        return None
    convs = {int(key.split(".")[1]): w for key, w in weights.items() if w.ndim == 4}
    has_slopes = "body.1.weight" in weights
    if not has_slopes:
        log.warning("these weights do not say whether they belong to ReLU or leaky ReLU; ReLU here")
    return {
        "scale": math.isqrt(convs[max(convs)].shape[0] // 3),
        "num_feat": convs[0].shape[0],
        "num_conv": len(convs) - 2,
        "activation": "prelu" if has_slopes else "relu",
    }
