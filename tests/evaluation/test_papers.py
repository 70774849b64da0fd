"""Published networks give their published figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

MODULE = (sys.executable, "-m", "benchmarks.papers")


def run(*words: str | Path) -> list[list[str]]:
    """The cells of all rows below the heading; skips where nothing can be had."""
    done = subprocess.run(
        [*MODULE, *map(str, words)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if "cannot be had" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()]
    return rows[2:]


@pytest.mark.slow
def test_bicubic_enlargement_scores_what_papers_say(shared: Path, tmp_path: Path) -> None:
    root = shared / "data" / "eval" / "vid4"
    options = ("--models", "bicubic-x4", "--ways", "whole", "--precisions", "float32")
    ((model, degradation, _, way, psnr, ssim, published, *_),) = run(
        "--root", root, "--out", tmp_path, *options
    )
    assert (model, degradation, way, published) == ("bicubic-x4", "BI", "whole", "23.78 / 0.6347")
    assert abs(float(psnr) - 23.78) < 0.01
    assert abs(float(ssim) - 0.6347) < 0.0005


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_official_basicvsr_scores_what_its_paper_says(shared: Path, tmp_path: Path) -> None:
    """On one clip: all four, whose mean is the paper's 27.96 / 0.8553, take a CPU half an hour."""
    options = ("--models", "basicvsr_vimeo90k_bd_basicsr", "--ways", "whole", "--clips", "city")
    ((_, degradation, _, _, psnr, ssim, *_),) = run(
        "--root",
        shared / "data" / "eval" / "vid4",
        "--out",
        tmp_path,
        "--precisions",
        "float32",
        *options,
    )
    assert degradation == "BD, 1 of 4 clips"
    assert abs(float(psnr) - 28.728) < 0.01
    assert abs(float(ssim) - 0.8564) < 0.0005
