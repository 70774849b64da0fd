"""The colour conversion against zimg, which ffmpeg's zscale filter runs."""

import subprocess
from itertools import product
from pathlib import Path

import av
import pytest
import torch
from torch import Tensor

from tests.streams.samples import HEIGHT, WIDTH, known, planes_of, soft_picture, tags
from vsr.streams.colour.convert import from_rgb, to_rgb
from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.types import Colour

MATRICES = ["smpte170m", "bt470bg", "bt2020nc", "fcc"]
ZIMG_RANGES = {"tv": "limited", "pc": "full"}
FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p12le", "yuv444p16le"]


def zscale(
    samples: Tensor,
    source: str,
    target: str,
    options: str,
    shape: tuple[int, int] = (HEIGHT, WIDTH),
) -> Tensor:
    """Convert one raw frame with ffmpeg's zscale: (1, samples)."""
    size = f"{shape[1]}x{shape[0]}"
    command = [find_ffmpeg(), "-v", "error", "-f", "rawvideo", "-pix_fmt", source, "-s", size]
    command += ["-i", "pipe:", "-vf", f"zscale={options}:dither=none,format={target}"]
    command += ["-f", "rawvideo", "pipe:"]
    raw = samples.contiguous().view(torch.uint8).numpy().tobytes()
    out = subprocess.run(command, input=raw, capture_output=True, check=True).stdout
    return torch.frombuffer(bytearray(out), dtype=known(target).dtype).unsqueeze(0)


@pytest.mark.parametrize(
    ("name", "matrix", "colour_range"),
    [*product(FORMATS, ["bt709"], ["tv", "pc"])]
    + [("yuv420p", matrix, "tv") for matrix in MATRICES],
)
def test_encoding_agrees_with_zimg(name: str, matrix: str, colour_range: str) -> None:
    pixel_format, colour = known(name), tags(matrix, colour_range)
    picture = soft_picture()
    ours = from_rgb(picture, pixel_format, colour)
    rgb = from_rgb(picture, known("gbrp16le"), Colour())
    options = f"matrix={matrix}:range={ZIMG_RANGES[colour_range]}"
    options += ":matrixin=gbr:rangein=full:chromal=left:filter=bicubic"
    theirs = zscale(rgb, "gbrp16le", name, options)
    step = 1 << (pixel_format.bits - 8)
    for mine, reference in zip(
        planes_of(ours, pixel_format, HEIGHT, WIDTH),
        planes_of(theirs, pixel_format, HEIGHT, WIDTH),
        strict=True,
    ):
        error = (mine.float() - reference.float()).abs() / step
        assert error.mean() < 0.3
        assert error.max() < 3


@pytest.mark.parametrize(
    ("name", "matrix", "colour_range"),
    [*product(FORMATS, ["bt709"], ["tv", "pc"])]
    + [("yuv420p", matrix, "tv") for matrix in MATRICES],
)
def test_decoding_agrees_with_zimg(name: str, matrix: str, colour_range: str) -> None:
    pixel_format, colour = known(name), tags(matrix, colour_range)
    samples = from_rgb(soft_picture(), pixel_format, colour)
    ours = to_rgb(planes_of(samples, pixel_format, HEIGHT, WIDTH), pixel_format, colour)
    options = f"matrix=gbr:range=full:matrixin={matrix}"
    options += f":rangein={ZIMG_RANGES[colour_range]}:chromalin=left:filter=bicubic"
    theirs = zscale(samples, name, "gbrp16le", options)
    rgb = to_rgb(planes_of(theirs, known("gbrp16le"), HEIGHT, WIDTH), known("gbrp16le"), Colour())
    error = (ours - rgb).abs() * 255
    assert error.mean() < 0.1
    assert error.max() < 1.5


@pytest.mark.parametrize("clip", ["bbb_1080p.mp4", "dog_pavement.mp4", "night_lights.mp4"])
def test_real_footage_agrees_with_zimg(shared: Path, clip: str) -> None:
    with av.open(str(shared / "data" / "train" / "clips" / clip)) as container:
        frame = next(container.decode(video=0))
    size, pixel_format = (frame.height, frame.width), known("yuv420p")
    samples = torch.from_numpy(frame.to_ndarray().reshape(1, -1))
    ours = to_rgb(planes_of(samples, pixel_format, *size), pixel_format, tags())
    options = "matrix=gbr:range=full:matrixin=bt709:rangein=limited:chromalin=left"
    theirs = zscale(samples, "yuv420p", "gbrp16le", f"{options}:filter=bicubic", size)
    rgb = to_rgb(planes_of(theirs, known("gbrp16le"), *size), known("gbrp16le"), Colour())
    error = (ours - rgb) * 255
    assert error.abs().mean() < 0.5
    assert error.mean((0, 2, 3)).abs().max() < 0.05
    options = "matrix=bt709:range=limited:matrixin=gbr:rangein=full:chromal=left"
    theirs = zscale(theirs, "gbrp16le", "yuv420p", f"{options}:filter=bicubic", size)
    mine = from_rgb(rgb, pixel_format, tags())
    for one, other in zip(
        *(planes_of(s, pixel_format, *size) for s in (mine, theirs)), strict=True
    ):
        assert (one.float() - other.float()).abs().mean() < 0.5
