"""The raw stream that is piped into ffmpeg: nothing in it that ffmpeg would have to remember."""

from __future__ import annotations

from fractions import Fraction

import torch

from tests.streams.piping import SYNC_POINT
from vsr.streams.colour.pixel_format import parse_pixel_format
from vsr.streams.encode.raw_nut import RawLayout, RawStream


def test_large_frames_are_no_places_to_begin_at() -> None:
    pixel_format = parse_pixel_format("gray")
    assert pixel_format is not None
    sent: list[bytes] = []
    layout = RawLayout(
        pixel_format=pixel_format,
        height=256,
        width=1024,
        time_base=Fraction(1, 25),
        frame_rate=Fraction(25),
    )
    stream = RawStream(layout, lambda data: sent.append(bytes(data)))
    stream.write_frames(torch.zeros(8, 256 * 1024, dtype=torch.uint8), range(8))
    stream.close()
    whole = b"".join(sent)
    assert len(whole) > 8 * 256 * 1024
    assert whole.count(SYNC_POINT) == 1
