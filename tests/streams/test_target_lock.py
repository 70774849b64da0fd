"""One run at a time writes a target."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vsr.errors import OpenError
from vsr.streams.names.target_lock import lock_target


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_second_run_is_refused_in_a_line_until_the_first_has_ended(tmp_path: Path) -> None:
    target = str(tmp_path / "out.mp4")
    with lock_target(target):
        with (
            pytest.raises(OpenError, match=r"another run writes .*out.mp4'; wait"),
            lock_target(target),
        ):
            pass
        with lock_target(str(tmp_path / "other.mp4")):
            pass
    with lock_target(target):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("target", ["null", "-", "rtmp://127.0.0.1/live/key"])
def test_targets_that_are_no_files_are_not_locked(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with lock_target(target), lock_target(target):
        assert names(tmp_path) == []


def test_a_lock_of_a_killed_run_is_taken_over_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".out.mp4.lock").touch()
    with lock_target(str(tmp_path / "out.mp4")):
        pass
    (tmp_path / ".out.mp4.lock").symlink_to(tmp_path / "elsewhere")
    with lock_target(str(tmp_path / "out.mp4")):
        assert not (tmp_path / "elsewhere").exists()


def test_names_of_any_length_are_locked(tmp_path: Path) -> None:
    target = str(tmp_path / ("x" * 251 + ".mp4"))
    with lock_target(target), pytest.raises(OpenError), lock_target(target):
        pass


RACE = """
import sys
from vsr.errors import OpenError
from vsr.streams.names.target_lock import lock_target
print("ready", flush=True)
sys.stdin.readline()
try:
    with lock_target(sys.argv[1]):
        print("won", flush=True)
        sys.stdin.readline()
except OpenError:
    print("refused", flush=True)
"""


def test_one_of_runs_that_start_at_once_wins(tmp_path: Path) -> None:
    words = [sys.executable, "-c", RACE, str(tmp_path / "out.mp4")]
    runs = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(3)
    ]

    def hear() -> list[str]:
        return [run.stdout.readline().strip() for run in runs if run.stdout]

    def tell() -> None:
        for run in runs:
            if run.stdin and run.poll() is None:
                run.stdin.write("\n")

    assert hear() == ["ready"] * 3
    tell()
    assert sorted(hear()) == ["refused"] * 2 + ["won"]
    for run in runs:
        run.communicate("\n")
