"""Media for the pipeline's tests, and the command line to run."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.evaluation.eval_trees import write_textured_pair
from tests.media import Clip, write_clip
from tests.networks import basicvsr
from vsr.cli.main import main
from vsr.models.checkpoints.checkpoint import save_network


@pytest.fixture
def video() -> Callable[[Path], None]:
    """Writes a short video to a path."""

    def write(path: Path) -> None:
        write_clip(path, Clip(num_frames=6))

    return write


@dataclass
class Outcome:
    """Output and exit code of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def vsr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""

    def call(*words: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["vsr", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def pair(tmp_path: Path) -> list[str | Path]:
    """Three clips of a moving texture, as options."""
    root = write_textured_pair(tmp_path / "pair", {"a": 9, "b": 5, "c": 7})
    return ["--gt", root / "GT", "--lq", root / "LQ"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Those of a small network that looks into both directions of time."""
    save_network(basicvsr(), tmp_path / "small.safetensors", dtype=torch.float32)
    return tmp_path / "small.safetensors"


def until_it_has_grown(folder: Path, process: subprocess.Popen[Any]) -> None:
    """Wait until a run's output has its first frames, or the run has ended."""
    while process.poll() is None and not _has_grown(folder):
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.02)


def _has_grown(folder: Path) -> bool:
    """Whether an unfinished output, or a segment, has frames; trials of the encoder come and go."""
    try:
        return any(
            p.stat().st_size > 30_000
            for p in folder.iterdir()
            if "part" in p.name or p.suffix == ".nut"
        )
    except FileNotFoundError:
        return False
