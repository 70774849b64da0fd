"""Degradation presets: phone, web, DVD and VHS tape.

T frames, H, W size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vsr.quality.blur_kernels import blur, gaussian
from vsr.quality.filters import gaussian_noise, poisson_noise, sharpen
from vsr.quality.tape import play_tape

PHOTONS = 400
"""Photons of a white pixel of a phone's camera in a room: noise of 5 %, and 16 % at a tenth."""

Picture = Callable[[Tensor, torch.Generator], Tensor]
"""Degrades frames (T, 3, H, W) in [0, 1], in front of the encoder."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A degradation preset.

    Attributes:
        summary: A line for people.
        picture: What happens in front of the encoder.
        encoder: ffmpeg's name of the video encoder.
        encode_args: Options of the encoder, as on ffmpeg's command line.
    """

    summary: str
    picture: Picture
    encoder: str
    encode_args: tuple[str, ...]


def _phone(frames: Tensor, rng: torch.Generator) -> Tensor:
    """A small lens, little light, and sharpening that was meant well."""
    soft = _blurred(frames, 0.7)
    noisy = poisson_noise(soft, torch.ones(len(frames)), rng, photons=PHOTONS).clamp(0, 1)
    return sharpen(noisy, 0.8)


def _web(frames: Tensor, _rng: torch.Generator) -> Tensor:
    """Nothing but the encoder."""
    return frames


def _dvd(frames: Tensor, _rng: torch.Generator) -> Tensor:
    """The low-pass filter in front of MPEG-2."""
    return _blurred(frames, 0.5)


def _vhs(frames: Tensor, rng: torch.Generator) -> Tensor:
    """The tape, and its noise."""
    tape = play_tape(frames, rng).clamp(0, 1)
    return gaussian_noise(tape, torch.full((len(frames),), 5 / 255), rng)


PRESETS = {
    "phone": Preset(
        summary="soft, noisy, sharpened, H.264 at crf 28",
        picture=_phone,
        encoder="libx264",
        encode_args=("-preset", "superfast", "-crf", "28"),
    ),
    "web": Preset(
        summary="H.264 at crf 30",
        picture=_web,
        encoder="libx264",
        encode_args=("-preset", "veryfast", "-crf", "30"),
    ),
    "dvd": Preset(
        summary="slightly soft, MPEG-2",
        picture=_dvd,
        encoder="mpeg2video",
        encode_args=("-q:v", "6", "-g", "12", "-bf", "2"),
    ),
    "vhs": Preset(
        summary="smeared colours, trembling lines, noise, MPEG-2",
        picture=_vhs,
        encoder="mpeg2video",
        encode_args=("-q:v", "4", "-g", "12", "-bf", "2"),
    ),
}
"""Presets by name; none of them resizes."""


def _blurred(frames: Tensor, sigma: float) -> Tensor:
    return blur(frames, gaussian(7, (sigma, sigma))[None])
