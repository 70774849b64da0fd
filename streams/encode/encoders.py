"""ffmpeg's encoders: existence, pixel formats and default settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from vsr.errors import ConfigurationError
from vsr.streams.colour.pixel_format import PixelFormat, parse_pixel_format
from vsr.streams.ffmpeg.command import Options
from vsr.streams.ffmpeg.process import query_ffmpeg

DEFAULT_ENCODER = "libx264"
_DEFAULT_BY_SUFFIX = {
    ".webm": "libvpx-vp9",
    ".ogv": "libtheora",
    ".gif": "gif",
    ".apng": "apng",
    ".webp": "libwebp_anim",
}

_X265_THREADS = {"pools": "8", "frame-threads": "3"}
DEFAULT_OPTIONS: dict[str, Options] = {
    "libx264": {"preset": "veryfast", "crf": "17", "threads": "8"},
    "libx265": {
        "preset": "fast",
        "crf": "19",
        "x265-params": "log-level=error:pools=8:frame-threads=3",
    },
    "libvpx-vp9": {"crf": "22", "b:v": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
    "libsvtav1": {"preset": "8", "crf": "22"},
    "libtheora": {"q:v": "9"},
}
"""Near transparent: a restored video is kept, the size of the file comes second.

x264 and x265 make other bytes with other numbers of threads, which they take from the machine: with
a fixed number the file is the same on every machine. Eight keep up with any network here, and cost
a small machine nothing.
"""

_ENDS = frozenset({"t", "to", "fs", "frames", "vframes"})
_OTHER_STREAMS = frozenset({"a", "s", "d", "t"})

_QUALITIES = frozenset({"crf", "qp", "b", "q", "qscale", "cq", "global_quality", "lossless"})
_DEFAULT_QUALITIES = frozenset({"crf", "b", "q"})

_ENCODER_KEYS = ("c:v", "codec:v", "vcodec")
_ODD_SIZES = frozenset({"ffv1", "libvpx", "libvpx-vp9", "libaom-av1", "huffyuv", "ffvhuff", "gif"})
_PREFERRED = {
    8: ("yuv420p", "yuv422p", "yuv444p", "gbrp", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
    10: ("yuv420p10le", "yuv422p10le", "yuv444p10le", "gbrp10le", "gbrp16le"),
}
_LOSSLESS = frozenset({"ffv1", "ffvhuff", "huffyuv", "utvideo", "rawvideo", "png", "magicyuv"})
_SHUFFLED = "rgb24"
"""Format that ffmpeg turns into any other order of 8-bit red, green and blue without loss."""

_SAME_SAMPLES = {
    "bgr0": _SHUFFLED,
    "bgr24": _SHUFFLED,
    "rgb32": _SHUFFLED,
    "nv12": "yuv420p",
    "p010le": "yuv420p10le",
    "uyvy422": "yuv422p",
    "yuyv422": "yuv422p",
    "p210le": "yuv422p10le",
}
"""Formats that ffmpeg makes of others by moving samples alone."""

_OF_RED_GREEN_BLUE = re.compile(r"rgb|bgr|gbr|pal8")

_DEFAULT_FORMAT = "yuv420p"
_NEGATIVE_NUMBER = re.compile(r"-\.?\d")


def choose_encoder(suffix: str, encoder: str | None, options: Options) -> str:
    """The encoder's name: the argument's, else the options' (``-c:v``), else the usual one."""
    given = [options.pop(key) for key in _ENCODER_KEYS if key in options]
    if encoder is None and given:
        encoder = str(given[-1])
    return encoder or _DEFAULT_BY_SUFFIX.get(suffix, DEFAULT_ENCODER)


def refuse_ends(options: Options) -> None:
    """Refuse options that end the output before the last frame.

    Raises:
        ConfigurationError: There is one: the remaining frames would be restored in vain.
    """
    for option in options:
        name, _, stream = option.partition(":")
        if name in _ENDS and stream[:1] not in _OTHER_STREAMS:
            raise ConfigurationError(
                f"-{option} in the encoder's arguments would end the output before the restoring; "
                "give --end instead"
            )


def default_options(encoder: str, options: Options) -> Options:
    """An encoder's usual options, without its quality where the user's options set another."""
    return without_quality(DEFAULT_OPTIONS.get(encoder, {}), options)


def with_fixed_threads(encoder: str, options: Options) -> Options:
    """A user's options, whose ``x265-params`` would replace the default ones with their threads."""
    asked = options.get("x265-params")
    if encoder != "libx265" or not isinstance(asked, str):
        return options
    given = {word.partition("=")[0] for word in asked.split(":")}
    fixed = [f"{key}={value}" for key, value in _X265_THREADS.items() if key not in given]
    return {**options, "x265-params": ":".join([asked, *fixed])}


def without_quality(defaults: Options, options: Options) -> Options:
    """Defaults, without those of quality where other options set one."""
    if not _QUALITIES & {key.partition(":")[0] for key in options}:
        return defaults
    return {k: v for k, v in defaults.items() if k.partition(":")[0] not in _DEFAULT_QUALITIES}


def parse_options(arguments: Sequence[str]) -> Options:
    """Read options as they stand on ffmpeg's command line.

    Raises:
        ConfigurationError: A word that belongs to no option.
    """
    options: Options = {}
    words = list(arguments)
    while words:
        key = words.pop(0)
        if not key.startswith("-") or len(key) < 2:
            raise ConfigurationError(
                f"{key!r} in the encoder's arguments follows no option; give '-option value' pairs"
            )
        value = words.pop(0) if words and _is_value(words[0]) else None
        _add(options, key[1:], value)
    return options


@cache
def encoder_formats(encoder: str) -> tuple[str, ...]:
    """Pixel formats that an encoder takes; empty where it does not say.

    Raises:
        ConfigurationError: There is no such video encoder in this ffmpeg.
    """
    answer = query_ffmpeg("-h", f"encoder={encoder}")
    text = answer.stdout + answer.stderr
    if f"Encoder {encoder} " not in text or "Supported sample formats" in text:
        raise ConfigurationError(
            f"ffmpeg has no video encoder {encoder!r}; give one that 'ffmpeg -encoders' lists, "
            "such as libx264"
        )
    found = re.search(r"Supported pixel formats: (.*)", text)
    return tuple(found[1].split()) if found else ()


def choose_pixel_format(
    encoder: str,
    options: Options,
    *,
    bit_depth: int,
    source: PixelFormat | None = None,
    taken: tuple[str, ...] | None = None,
) -> PixelFormat:
    """Choose the pixel format of the frames sent to ffmpeg.

    Args:
        encoder: An encoder's name.
        options: ``pix_fmt`` in it decides.
        bit_depth: Bit depth of the source: above 8 bits, 10 are kept where the encoder can.
        source: The source's own format, which a lossless encoder keeps.
        taken: Formats that the encoder accepts; None to ask the ffmpeg program.

    Returns:
        Otherwise 4:2:0 where the encoder takes it, because everything plays it.
    """
    asked = options.get("pix_fmt")
    if isinstance(asked, str) and (found := parse_pixel_format(asked)):
        return found
    taken = encoder_formats(encoder) if taken is None else taken
    order = _PREFERRED[8] if bit_depth == 8 else _PREFERRED[10] + _PREFERRED[8]
    if source is not None and is_lossless(encoder, options):
        order = (*_own_formats(source), *order)
    made = {*taken, *(_SAME_SAMPLES.get(name, name) for name in taken)}
    for name in order:
        if not taken or name in made:
            return _known(name)
    # ffmpeg converts, and from RGB to YUV it would with a matrix of its own.
    takes_rgb = any(map(_OF_RED_GREEN_BLUE.search, taken))
    return _known(_SHUFFLED if takes_rgb else _DEFAULT_FORMAT)


def is_lossless(encoder: str, options: Options) -> bool:
    """Whether the encoding is lossless."""
    asked = f"{options.get('x265-params')}:{options.get('x264-params')}".split(":")
    zero = any(options.get(key) == "0" for key in ("qp", "crf"))
    return encoder in _LOSSLESS or options.get("lossless") == "1" or zero or "lossless=1" in asked


def _own_formats(source: PixelFormat) -> tuple[str, ...]:
    """Formats that hold the source's samples without loss, the nearest first."""
    if source.family != "rgb":
        return (source.name.replace("yuvj", "yuv"),)
    depth = "" if source.bits == 8 else f"{source.bits}le"
    return (f"gbrp{depth}", *((_SHUFFLED,) if source.bits == 8 else ()), "gbrp16le")


def keeps_odd_sizes(encoder: str, pixel_format: PixelFormat) -> bool:
    """Whether frames of odd height or width can be encoded as they are."""
    return pixel_format.shifts == (0, 0) or encoder in _ODD_SIZES


def _known(name: str) -> PixelFormat:
    found = parse_pixel_format(name)
    assert found is not None, name
    return found


def _is_value(word: str) -> bool:
    return not word.startswith("-") or bool(_NEGATIVE_NUMBER.match(word)) or word == "-"


def _add(options: Options, key: str, value: str | None) -> None:
    before = options.get(key)
    if key not in options or value is None:
        options[key] = value
    elif isinstance(before, list):
        before.append(value)
    else:
        options[key] = [str(before), value]
