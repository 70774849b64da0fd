"""Limits of the system, met anywhere: one line that says what to do, exit code 1, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.media import Clip, write_clip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")

LIMITED = """
import resource, sys
kind, limit = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(kind, (limit, limit))
sys.argv[:] = ["vsr", *sys.argv[3:]]
from vsr.cli.startup import main
main()
"""


def limited(
    kind: str, limit: int, *words: str | Path, stdout: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line within a limit of the system."""
    command = [sys.executable, "-c", LIMITED, kind, str(limit), *map(str, words)]
    with open(stdout or os.devnull, "w") as sink:  # noqa: PTH123 - a device
        return subprocess.run(
            command,
            stdout=sink,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
            timeout=120,
            cwd=REPOSITORY,
        )


def restore(kind: str, limit: int, folder: Path) -> subprocess.CompletedProcess[str]:
    source = write_clip(folder / "in.mp4", Clip(num_frames=8, audio="aac", colour=TAGGED))
    return limited(kind, limit, "restore", source, folder / "out.mkv", "-m", "bicubic-x2")


TAGGED = {"colorspace": 6, "color_range": 1, "color_primaries": 6, "color_trc": 6}


def is_done_or_refused(done: subprocess.CompletedProcess[str], folder: Path) -> bool:
    """Whether a run ended well, or in one line with nothing left; else fails with its words."""
    left = {path.name for path in folder.iterdir()} - {"in.mp4"}
    if done.returncode == 0:
        return left == {"out.mkv"}
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (1, 1), done.stderr
    assert lines[0].startswith("vsr: "), done.stderr
    return not left


@pytest.mark.parametrize(
    "files", [8, *(pytest.param(files, marks=pytest.mark.slow) for files in (5, 11, 14))]
)
def test_too_few_open_files(files: int, tmp_path: Path) -> None:
    done = restore("RLIMIT_NOFILE", files, tmp_path)
    assert is_done_or_refused(done, tmp_path)
    assert done.returncode == 0 or "Too many open files" in done.stderr


@pytest.mark.parametrize("mebibytes", [100, 1535])
def test_an_address_space_too_small_for_the_libraries(mebibytes: int, tmp_path: Path) -> None:
    done = restore("RLIMIT_AS", mebibytes << 20, tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        f"vsr: the address space is limited to {mebibytes} MiB, and the smallest run takes 1536; "
        "raise the limit (ulimit -v)\n",
    )


def test_the_smallest_address_space_suffices_for_a_small_run(tmp_path: Path) -> None:
    done = restore("RLIMIT_AS", 3 << 29, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_done_or_refused(done, tmp_path)


@pytest.mark.slow
def test_a_limit_of_a_files_size_ends_the_encoder_and_is_reported(tmp_path: Path) -> None:
    done = restore("RLIMIT_FSIZE", 2048, tmp_path)
    assert is_done_or_refused(done, tmp_path)
    assert "raise the limit of a file's size (ulimit -f)" in done.stderr


@pytest.mark.parametrize("words", [("models",), ("models", "--json")])
def test_a_full_disk_under_the_output_of_a_command(words: tuple[str, ...]) -> None:
    done = limited("RLIMIT_NOFILE", 256, *words, stdout="/dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "vsr: No space left on device; make room on the disk\n",
    )


@pytest.mark.slow
def test_a_full_disk_under_the_output_of_a_run(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=8, colour=TAGGED))
    words = ("restore", source, "-", "-m", "bicubic-x2", "-q")
    done = limited("RLIMIT_NOFILE", 256, *words, stdout="/dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "No space left on device" in done.stderr


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=$1 none "$2" && cd "$2" && shift 2 || exit 99
"$@"
code=$?
ls -A
exit $code
"""


@pytest.mark.parametrize(
    ("size", "segment"),
    [
        ("64k", "20"),
        pytest.param("64k", "0", marks=pytest.mark.slow),
        pytest.param("512k", "0", marks=pytest.mark.slow),
        pytest.param("512k", "20", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_under_the_target(size: str, segment: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=100, colour=TAGGED))
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", ON_A_SMALL_DISK]
    command += ["sh", size, str(disk)]
    if subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    words = ["restore", str(source), "out.mkv", "-m", "identity", "--encoder", "rawvideo", "-q"]
    words += ["--chunk", "4", "--look-ahead", "0", "--segment", segment]
    run = [sys.executable, "-m", "vsr", *map(str, words)]
    done = subprocess.run(
        [*command, *run], capture_output=True, text=True, check=False, timeout=120
    )
    *_, line = done.stderr.splitlines()
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert line.startswith("vsr: ")
    assert "No space left on device" in line
    assert done.stdout.split() in ([], ["out.mkv.resume"])
