"""Provenance of figures: versions, machine and checksums of weights."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from vsr.files import sha256_of
from vsr.models.catalogue import MODELS, weights_path
from vsr.models.loading import parts_of
from vsr.models.placement import resolve_device

PACKAGES = ("vsr-stream", "torch", "numpy", "pillow", "av", "decord", "pyiqa", "ray")


def describe_origin(
    device: str, precision: str, weights: Sequence[Path], arguments: Sequence[str]
) -> dict[str, Any]:
    """Describe everything beside the settings that is needed to repeat a run.

    Args:
        device: See ``Restorer``.
        precision: Precision of the network's convolutions.
        weights: The files of weights.
        arguments: Arguments of the command.
    """
    where = resolve_device(device)
    return {
        "command": shlex.join(["vsr", *arguments]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **dict(_versions())},
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else _processor(),
        "precision": precision,
        "threads": torch.get_num_threads(),
        "weights": "+".join(path.name for path in weights) or None,
        "weights_sha256": "+".join(map(sha256_of, weights)) or None,
    }


def weights_files(model: str, weights: str | None) -> tuple[Path, ...]:
    """The files of weights that ``load_network`` takes: two of a pair, and of a model with ends."""
    named = parts_of(model, weights) or (weights or model,)
    paths = (weights_path(name) if name in MODELS else Path(name) for name in named)
    return tuple(path for path in paths if path is not None and path.is_file())


def _versions() -> Iterable[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _processor() -> str:
    """The CPU's name, where the system tells."""
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        return f"{names[0]}, {len(names)} threads" if names else platform.machine()
    return platform.processor() or platform.machine()
