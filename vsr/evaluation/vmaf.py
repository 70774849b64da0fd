"""VMAF, VMAF-NEG and CAMBI, by the libvmaf inside the ffmpeg that the package brings.

One ffmpeg runs beside a clip. Restored and true frames reach it in pairs, one above the other in
one picture, and are cut apart there. libvmaf looks at luma alone: it gets that of ``luma``, rounded
to 8 bit.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence

import torch
from torch import Tensor

from vsr.errors import ConfigurationError, EncodeError, MissingDependency
from vsr.quality.metrics import luma
from vsr.streams.ffmpeg.process import FFmpegProcess, find_ffmpeg

SCORES = {"vmaf": "vmaf", "vmaf-neg": "vmaf_neg", "cambi": "cambi"}
"""Names people type for the scores, and their keys in results."""

LEAST = 32
"""Pixels of the shorter side that VMAF needs: libvmaf crashes on 16."""

LEAST_OF_CAMBI = 216
"""Pixels of the longer side under which libvmaf refuses CAMBI."""

_MODELS = {"vmaf": "version=vmaf_v0.6.1", "vmaf-neg": r"version=vmaf_v0.6.1neg\:name=vmaf_neg"}


class LibvmafScorer:
    """Scores the frames of one clip by libvmaf, in order.

    Args:
        names: Some of ``SCORES``.
        height: Rows of a frame.
        width: Columns of a frame.

    Raises:
        ConfigurationError: The frame is too small.
    """

    def __init__(self, names: Sequence[str], height: int, width: int) -> None:
        _check_size(names, height, width)
        self._names, self._sent = names, 0
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish or close
        self._process = FFmpegProcess(_command(names, height, width), output=self._log.fileno())

    def add(self, restored: Tensor, truth: Tensor) -> None:
        """Send the next frames, (T, 3, H, W) in [0, 1] each.

        Raises:
            EncodeError: ffmpeg has ended; the message is its own reason.
        """
        pairs = torch.cat([luma(restored), luma(truth)], -2).mul(255).round().byte().cpu()
        grey = bytes([128]) * (2 * pairs[0].numel())
        for pair in pairs:
            self._process.write(pair.numpy().tobytes())
            self._process.write(grey)
        self._sent += len(pairs)

    def finish(self) -> dict[str, Tensor]:
        """The scores of every frame, (T,) float64, by their keys.

        Raises:
            EncodeError: ffmpeg failed; the message is its own reason.
            MissingDependency: It has no libvmaf.
        """
        try:
            self._process.finish()
        except EncodeError as error:
            raise _explained(error) from error
        self._log.seek(0)
        frames = [frame["metrics"] for frame in json.load(self._log)["frames"]]
        self._log.close()
        keys = [SCORES[name] for name in self._names]
        if len(frames) != self._sent or any(key not in frame for frame in frames for key in keys):
            raise EncodeError(f"libvmaf scored {len(frames)} of {self._sent} frames, or not all")
        return {
            key: torch.tensor([frame[key] for frame in frames], dtype=torch.float64) for key in keys
        }

    def close(self) -> None:
        """End ffmpeg; scores that are not finished are lost."""
        self._process.kill()
        self._log.close()


def _check_size(names: Sequence[str], height: int, width: int) -> None:
    size = f"{width}x{height}"
    if min(height, width) < LEAST:
        raise ConfigurationError(
            f"libvmaf needs {LEAST} pixels a side; {size} is too small: leave {', '.join(names)} "
            "out of --metrics"
        )
    if "cambi" in names and max(height, width) < LEAST_OF_CAMBI:
        raise ConfigurationError(
            f"CAMBI needs a side of {LEAST_OF_CAMBI} pixels; {size} is too small: leave it out of "
            "--metrics"
        )


def _command(names: Sequence[str], height: int, width: int) -> list[str]:
    models = "|".join(_MODELS[name] for name in names if name in _MODELS)
    wanted = f"model='{models or _MODELS['vmaf']}'"
    if "cambi" in names:
        wanted += ":feature=name=cambi"
    graph = (
        f"split[a][b];[a]crop={width}:{height}:0:0[restored];"
        f"[b]crop={width}:{height}:0:{height}[truth];"
        f"[restored][truth]libvmaf={wanted}:n_threads={torch.get_num_threads()}"
        ":log_fmt=json:log_path=/dev/stdout"
    )
    size = f"{width}x{2 * height}"
    source = ["-f", "rawvideo", "-pix_fmt", "yuv444p", "-video_size", size, "-i", "pipe:0"]
    logging = ["-hide_banner", "-loglevel", "level+warning", "-progress", "pipe:2"]
    return [find_ffmpeg(), *logging, *source, "-filter_complex", graph, "-f", "null", "-"]


def _explained(error: EncodeError) -> EncodeError | MissingDependency:
    if "libvmaf" in str(error) and "No such filter" in str(error):
        return MissingDependency(
            "this ffmpeg has no libvmaf, which vmaf, vmaf-neg and cambi need; unset VSR_FFMPEG to "
            "take the one that came with the package"
        )
    return error
