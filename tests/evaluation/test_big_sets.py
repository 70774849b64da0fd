"""``vsr eval`` on large sets: interrupted runs resume, several processes share the clips."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.command_line import Run
from tests.evaluation.eval_trees import measured, write_textured_pair


def test_an_evaluation_that_stopped_continues_per_clip(
    vsr: Run, pair: list[str | Path], tmp_path: Path
) -> None:
    words = ["eval", *pair, "-m", "bicubic-x4", "--out", tmp_path / "out", "--json"]
    frame = tmp_path / "pair" / "LQ" / "c" / "00000003.png"
    content = frame.read_bytes()
    frame.write_bytes(content[:60])
    broken = vsr(*words)
    assert (broken.code, broken.err.count("\n")) == (1, 1)
    assert str(frame) in broken.err
    frame.write_bytes(content)
    found = measured(vsr(*words).out)
    assert found["reused"] == 2
    again = measured(vsr(*words).out)
    assert again["reused"] == 3
    assert again["by_clip"] == found["by_clip"]
    plain = measured(vsr(*words[:-3], "--json").out)
    assert plain["by_clip"] == found["by_clip"]


def test_results_are_kept_only_for_the_same_settings_and_files(
    vsr: Run, pair: list[str | Path], tmp_path: Path
) -> None:
    words = ["eval", *pair, "-m", "bicubic-x4", "--out", tmp_path / "out", "--json"]
    assert measured(vsr(*words).out)["reused"] == 0
    assert measured(vsr(*words, "--crop", "4").out)["reused"] == 0
    assert measured(vsr(*words).out)["reused"] == 0
    frame = tmp_path / "pair" / "LQ" / "b" / "00000000.png"
    frame.write_bytes(frame.with_name("00000001.png").read_bytes())
    assert measured(vsr(*words).out)["reused"] == 2
    (tmp_path / "out" / "streamed" / "a.json").write_text("{")
    assert measured(vsr(*words).out)["reused"] == 2


@pytest.mark.slow
def test_workers_measure_what_one_process_measures(
    vsr: Run, pair: list[str | Path], weights: Path
) -> None:
    words = ["eval", *pair, "-m", weights, "--metrics", "tof,warp", "--json"]
    alone, together = (measured(vsr(*words, *more).out) for more in ((), ("--workers", "2")))
    assert together["by_clip"] == alone["by_clip"]
    assert list(together["by_clip"]) == [("a", "streamed"), ("b", "streamed"), ("c", "streamed")]


@pytest.mark.slow
def test_a_worker_s_error_is_one_line(vsr: Run, pair: list[str | Path], tmp_path: Path) -> None:
    frame = tmp_path / "pair" / "GT" / "b" / "00000002.png"
    frame.write_bytes(b"no picture")
    done = vsr("eval", *pair, "-m", "bicubic-x4", "--workers", "2")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert str(frame) in done.err


@pytest.mark.slow
def test_workers_do_not_outlive_a_run_that_was_killed(weights: Path, tmp_path: Path) -> None:
    root = write_textured_pair(tmp_path / "many", {f"{i:02}": 8 for i in range(60)})
    words = [
        "eval",
        "--gt",
        root / "GT",
        "-m",
        weights,
        "--workers",
        "2",
        "--out",
        tmp_path / "out",
    ]
    command = [sys.executable, "-m", "vsr", *map(str, words)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    try:
        while not list((tmp_path / "out").glob("streamed/*.json")):
            assert running.poll() is None
        running.kill()
        running.communicate(timeout=120)  # the pipe ends with the last process that holds it
        assert len(list((tmp_path / "out").glob("streamed/*.json"))) < 60
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_ray_cluster_measures_what_one_process_measures(
    vsr: Run, pair: list[str | Path], weights: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    words = ["eval", *pair, "-m", weights, "--json"]
    alone, there = (measured(vsr(*words, *more).out) for more in ((), ("--ray", "local")))
    assert there["by_clip"] == alone["by_clip"]
    frame = tmp_path / "pair" / "GT" / "b" / "00000002.png"
    frame.write_bytes(b"no picture")
    broken = vsr(*words, "--ray", "local")
    assert (broken.code, broken.err.count("\n")) == (1, 1)
    assert str(frame) in broken.err


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_ray_cluster_that_does_not_answer_is_one_line(vsr: Run, pair: list[str | Path]) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    done = vsr("eval", *pair, "-m", "bicubic-x4", "--ray", "127.0.0.1:9")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no Ray cluster answers at '127.0.0.1:9'" in done.err
