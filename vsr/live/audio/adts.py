"""AAC frames with ADTS headers, as transport streams carry them.

ISO/IEC 13818-7, 6.2: a header of seven bytes, of which 28 bits never change; 13 bits of length from
the 31st on.
"""

from __future__ import annotations

HEADER_BYTES = 7

Fixed = tuple[bytes, int]
"""The part that never changes: three bytes, and the upper half of the fourth."""

_LOW_COMPLEXITY = 1
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_SURROUND = {8: 7}
"""Channels whose configuration is not their number."""


def fixed_part(data: bytes) -> Fixed | None:
    """The fixed part of an ADTS header; None if the frame does not match its header."""
    if len(data) < HEADER_BYTES:
        return None
    length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    if data[0] != 0xFF or data[1] & 0xF6 != 0xF0 or length != len(data):
        return None
    return data[:3], data[3] & 0xF0


def fixed_part_of(rate: int, channels: int) -> Fixed:
    """The fixed part of an ADTS header for low-complexity AAC.

    Raises:
        ValueError: A sample rate that ADTS cannot express.
    """
    layout = _SURROUND.get(channels, channels)
    third = _LOW_COMPLEXITY << 6 | _RATES.index(rate) << 2 | layout >> 2
    return bytes([0xFF, 0xF1, third]), (layout & 3) << 6


def with_header(fixed: Fixed, data: bytes) -> bytes:
    """An ADTS frame of an encoder's packet, without the optional checksum."""
    first, second, third = fixed[0]
    size = HEADER_BYTES + len(data)
    lengths = [fixed[1] | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC]
    return bytes([first, second | 1, third, *lengths]) + data
