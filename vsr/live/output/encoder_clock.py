"""The time base that an encoder of the picture takes: MPEG-1, -2 and -4 do not take any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from vsr.errors import VSRError
from vsr.live.audio.packets import Coded, Templates
from vsr.live.output.encoder import LIVE_OPTIONS, LiveEncoder
from vsr.live.output.picture import Picture
from vsr.streams.encode.encoders import choose_encoder, parse_options
from vsr.streams.encode.time_base import coarser_clocks
from vsr.types import Chunk


def in_encoders_time(picture: Picture, encoder: str | None, arguments: Sequence[str]) -> Picture:
    """The picture in the finest time base that works, its own first, tried with one frame.

    Args:
        picture: In the source's time base.
        encoder: As for ``LiveEncoder``.
        arguments: As for ``LiveEncoder``.

    Returns:
        It as it is where nothing works: the encoder will say why.
    """
    name = choose_encoder("", encoder, parse_options(arguments))
    if name in LIVE_OPTIONS:
        return picture
    for clock in (picture.time_base, *coarser_clocks(picture.frame_rate)):
        tried = replace(picture, time_base=clock)
        if _is_taken(tried, encoder, arguments):
            return tried
    return picture


def _is_taken(picture: Picture, encoder: str | None, arguments: Sequence[str]) -> bool:
    coded: list[Coded] = []
    black = torch.zeros(1, 3, picture.height, picture.width)
    trial = LiveEncoder(picture, Templates(), coded.append, encoder=encoder, arguments=arguments)
    try:
        trial.write(Chunk(frames=black, pts=(0,), time_base=picture.time_base))
        trial.finish()
    except VSRError:
        trial.abort()
    return bool(coded)
