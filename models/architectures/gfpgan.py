"""GFPGANv1Clean: restoration of an aligned face by a U-Net that steers a face generator.

Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021,
in the form without custom kernels of github.com/TencentARC/GFPGAN (versions 1.2 to 1.4), whose code
is Apache-2.0. Parameters are named as there. Its weights descend from NVIDIA's StyleGAN2 (research
or evaluation only), trained on FFHQ (CC BY-NC-SA 4.0): they are not for commercial use.

    down   d_{i+1} = block(d_i), from the picture to 4x4;  codes w = linear(lrelu(conv(d_last)))
    up     u_{i+1} = block(u_i + d), from 4x4 to the picture; scale, shift = conv(lrelu(conv(u)))
    face   StyleGAN2 of the codes, the second half of its features becoming f scale + shift

Two choices differ from the published program. The noise is the stored one, so that a face gives the
same result in every run, where the program draws it again. And it modulates the features around a
convolution instead of its weights, which is the same sum in another order.

N faces, C colour, K features, H, W size, L layers, S style.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import conv3x3, num_blocks_of

SLOPE = 0.2
"""Slope of every leaky ReLU of the network."""

EPSILON = 1e-8

START = 4
"""Side of the smallest features."""

_BASE = 512
_FINE = {64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}
"""Features at each side, which the channel multiplier multiplies; smaller ones have ``_BASE``."""


def _features(side: int, multiplier: int, narrow: float) -> int:
    return int(_FINE[side] * multiplier * narrow) if side in _FINE else int(_BASE * narrow)


class GFPGANClean(nn.Module):
    """Restoration of aligned faces.

    Args:
        out_size: Side of the faces: a power of two, 8 or more.
        num_style_feat: Length of a style code.
        channel_multiplier: Factor of the features at 64 pixels and more.
        narrow: Factor of all features.
        num_mlp: Layers that map codes to styles; they are stored even if not used.
        input_is_latent: Codes are styles and pass no mapping.
        different_w: Each layer of the generator has a code of its own.
        sft_half: Half of the generator's features is steered, the other half is left to it.
    """

    def __init__(
        self,
        *,
        out_size: int = 512,
        num_style_feat: int = 512,
        channel_multiplier: int = 2,
        narrow: float = 1.0,
        num_mlp: int = 8,
        input_is_latent: bool = True,
        different_w: bool = True,
        sft_half: bool = True,
    ) -> None:
        super().__init__()
        self.out_size, self.num_style_feat = out_size, num_style_feat
        self.input_is_latent, self.different_w = input_is_latent, different_w
        sides = [START * 2**i for i in range(int(math.log2(out_size // START)) + 1)]
        unet = {side: _features(side, channel_multiplier, narrow / 2) for side in sides}
        self.conv_body_first = nn.Conv2d(3, unet[out_size], 1)
        falling, rising = sides[::-1], sides[1:]
        self.conv_body_down = nn.ModuleList(
            _Block(unet[side], unet[side // 2], 0.5) for side in falling[:-1]
        )
        self.final_conv = conv3x3(unet[START], unet[START])
        self.conv_body_up = nn.ModuleList(
            _Block(unet[side // 2], unet[side], 2.0) for side in rising
        )
        self.toRGB = nn.ModuleList(nn.Conv2d(unet[side], 3, 1) for side in rising)
        self.num_layers = 2 * len(rising) + 2
        codes = self.num_layers if different_w else 1
        self.final_linear = nn.Linear(unet[START] * START**2, codes * num_style_feat)
        self.stylegan_decoder = _Decoder(
            {side: _features(side, channel_multiplier, narrow) for side in sides},
            num_style_feat,
            num_mlp,
            sft_half=sft_half,
        )
        steered = [unet[side] * (1 if sft_half else 2) for side in rising]
        pairs = list(zip((unet[side] for side in rising), steered, strict=True))
        self.condition_scale = nn.ModuleList(_condition(*pair) for pair in pairs)
        self.condition_shift = nn.ModuleList(_condition(*pair) for pair in pairs)

    def forward(self, faces_N3HW: Tensor) -> Tensor:
        """Restore faces.

        Args:
            faces_N3HW: RGB in [-1, 1], aligned to the template, ``out_size`` on each side.

        Returns:
            The same shape, not clamped.
        """
        codes_NLS, features = self._encode(faces_N3HW)
        scales = [scale(f) for scale, f in zip(self.condition_scale, features, strict=True)]
        shifts = [shift(f) for shift, f in zip(self.condition_shift, features, strict=True)]
        face: Tensor = self.stylegan_decoder(self._styles(codes_NLS), scales, shifts)
        return face

    def intermediate(self, faces_N3HW: Tensor) -> list[Tensor]:
        """The pictures of the U-Net, from 8 pixels a side to ``out_size``; for training."""
        _, features = self._encode(faces_N3HW)
        return [to_rgb(feat) for to_rgb, feat in zip(self.toRGB, features, strict=True)]

    def _encode(self, faces_N3HW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Codes and the features of the way up, the smallest first."""
        feat = F.leaky_relu(self.conv_body_first(faces_N3HW), SLOPE)
        skips = []
        for down in self.conv_body_down:
            feat = down(feat)
            skips.append(feat)
        feat = F.leaky_relu(self.final_conv(feat), SLOPE)
        codes = self.final_linear(feat.flatten(1)).unflatten(1, (-1, self.num_style_feat))
        features = []
        for up, skip in zip(self.conv_body_up, reversed(skips), strict=True):
            feat = up(feat + skip)
            features.append(feat)
        return codes, features

    def _styles(self, codes_NLS: Tensor) -> Tensor:
        """A style for each layer of the generator."""
        if not self.input_is_latent:
            codes_NLS = self.stylegan_decoder.styles_of(codes_NLS)
        return codes_NLS if self.different_w else codes_NLS.expand(-1, self.num_layers, -1)


class _Block(nn.Module):
    """Two convolutions with a change of size between them, and the same by one."""

    def __init__(self, num_in: int, num_out: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.conv1 = conv3x3(num_in, num_in)
        self.conv2 = conv3x3(num_in, num_out)
        self.skip = nn.Conv2d(num_in, num_out, 1, bias=False)

    def forward(self, feat_NKHW: Tensor) -> Tensor:
        deep = _resized(F.leaky_relu(self.conv1(feat_NKHW), SLOPE), self.factor)
        deep = F.leaky_relu(self.conv2(deep), SLOPE)
        skipped: Tensor = self.skip(_resized(feat_NKHW, self.factor))
        return deep + skipped


def _condition(num_in: int, num_out: int) -> nn.Sequential:
    return nn.Sequential(conv3x3(num_in, num_in), nn.LeakyReLU(SLOPE), conv3x3(num_in, num_out))


def _resized(feat_NKHW: Tensor, factor: float) -> Tensor:
    return F.interpolate(feat_NKHW, scale_factor=factor, mode="bilinear", align_corners=False)


class _Decoder(nn.Module):
    """The generator, StyleGAN2 with bilinear enlargement."""

    def __init__(
        self, features: dict[int, int], num_style: int, num_mlp: int, *, sft_half: bool
    ) -> None:
        super().__init__()
        self.sft_half = sft_half
        # The first place is that of the normalisation, which has no weights.
        mapping = [
            layer
            for _ in range(num_mlp)
            for layer in (nn.Linear(num_style, num_style), nn.Identity())
        ]
        self.style_mlp = nn.ModuleList([nn.Identity(), *mapping])
        self.constant_input = _Constant(features[START])
        self.style_conv1 = _StyleConv(features[START], features[START], num_style)
        self.to_rgb1 = _ToRGB(features[START], num_style)
        self.style_convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        self.noises = nn.Module()
        self.noises.register_buffer("noise0", torch.randn(1, 1, START, START))
        for place, side in enumerate(list(features)[1:]):
            kept = features[side]
            self.style_convs.append(_StyleConv(features[side // 2], kept, num_style, enlarges=True))
            self.style_convs.append(_StyleConv(kept, kept, num_style))
            self.to_rgbs.append(_ToRGB(kept, num_style))
            for number in (2 * place + 1, 2 * place + 2):
                self.noises.register_buffer(f"noise{number}", torch.randn(1, 1, side, side))

    def styles_of(self, codes_NLS: Tensor) -> Tensor:
        """Styles that the mapping network computes from codes."""
        styles = codes_NLS * torch.rsqrt(codes_NLS.square().mean(-1, keepdim=True) + EPSILON)
        for linear in list(self.style_mlp)[1::2]:
            styles = F.leaky_relu(linear(styles), SLOPE)
        return styles

    def forward(self, styles_NLS: Tensor, scales: list[Tensor], shifts: list[Tensor]) -> Tensor:
        """The face (N, 3, H, W) of styles, steered at each size."""
        styles, noise = styles_NLS.unbind(1), list(self.noises.buffers())
        feat = self.constant_input.weight.expand(len(styles_NLS), -1, -1, -1)
        feat = self.style_conv1(feat, styles[0], noise[0])
        face: Tensor = self.to_rgb1(feat, styles[1])
        for place, to_rgb in enumerate(self.to_rgbs):
            # A style serves the picture of one size and the first convolution of the next.
            first = 2 * place + 1
            enlarge, refine = self.style_convs[first - 1], self.style_convs[first]
            feat = enlarge(feat, styles[first], noise[first])
            feat = self._steered(feat, scales[place], shifts[place])
            feat = refine(feat, styles[first + 1], noise[first + 1])
            face = to_rgb(feat, styles[first + 2]) + _resized(face, 2.0)
        return face

    def _steered(self, feat_NKHW: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        if not self.sft_half:
            return feat_NKHW * scale + shift
        free, steered = feat_NKHW.chunk(2, 1)
        return torch.cat([free, steered * scale + shift], 1)


class _Constant(nn.Module):
    """Learnt constant input of the generator."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, num_feat, START, START))


class _ModulatedConv(nn.Module):
    """A convolution whose inputs a style scales.

    With ``demodulates`` each output is divided by the norm of its scaled weights.
    """

    def __init__(
        self, num_in: int, num_out: int, kernel: int, num_style: int, *, demodulates: bool
    ) -> None:
        super().__init__()
        self.demodulates = demodulates
        self.modulation = nn.Linear(num_style, num_in)
        nn.init.ones_(self.modulation.bias)
        deviation = 1 / math.sqrt(num_in * kernel**2)
        self.weight = nn.Parameter(deviation * torch.randn(1, num_out, num_in, kernel, kernel))

    def forward(self, feat_NKHW: Tensor, style_NS: Tensor) -> Tensor:
        style_NK = self.modulation(style_NS)
        weight = self.weight[0]
        feat = F.conv2d(feat_NKHW * style_NK[..., None, None], weight, padding="same")
        if not self.demodulates:
            return feat
        norm = F.linear(style_NK.square(), weight.square().sum((2, 3)))
        return feat * torch.rsqrt(norm + EPSILON)[..., None, None]


class _StyleConv(nn.Module):
    """A modulated convolution with noise, bias and activation."""

    def __init__(
        self, num_in: int, num_out: int, num_style: int, *, enlarges: bool = False
    ) -> None:
        super().__init__()
        self.enlarges = enlarges
        self.modulated_conv = _ModulatedConv(num_in, num_out, 3, num_style, demodulates=True)
        self.weight = nn.Parameter(torch.zeros(1))  # of the noise, named as published
        self.bias = nn.Parameter(torch.zeros(1, num_out, 1, 1))

    def forward(self, feat_NKHW: Tensor, style_NS: Tensor, noise_11HW: Tensor) -> Tensor:
        if self.enlarges:
            feat_NKHW = _resized(feat_NKHW, 2.0)
        feat = self.modulated_conv(feat_NKHW, style_NS) * math.sqrt(2)
        return F.leaky_relu(feat + self.weight * noise_11HW + self.bias, SLOPE)


class _ToRGB(nn.Module):
    """The picture of features."""

    def __init__(self, num_feat: int, num_style: int) -> None:
        super().__init__()
        self.modulated_conv = _ModulatedConv(num_feat, 3, 1, num_style, demodulates=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, feat_NKHW: Tensor, style_NS: Tensor) -> Tensor:
        picture: Tensor = self.modulated_conv(feat_NKHW, style_NS)
        return picture + self.bias


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture.

    Whether codes are styles is not stored: they are in all published files.
    """
    if "stylegan_decoder.constant_input.weight" not in weights:
        return None
    out_size = START * 2 ** num_blocks_of(weights, "conv_body_down.")
    num_style = weights["stylegan_decoder.to_rgb1.modulated_conv.modulation.weight"].shape[1]
    narrow = weights["final_conv.weight"].shape[0] / (_BASE // 2)
    fine = _FINE.get(out_size, _BASE) * narrow / 2
    steered = weights["condition_scale.0.2.weight"].shape
    return {
        "out_size": out_size,
        "num_style_feat": num_style,
        "channel_multiplier": round(weights["conv_body_first.weight"].shape[0] / fine),
        "narrow": narrow,
        "num_mlp": num_blocks_of(weights, "stylegan_decoder.style_mlp.") // 2,
        "different_w": weights["final_linear.weight"].shape[0] > num_style,
        "sft_half": steered[0] == steered[1],
    }
