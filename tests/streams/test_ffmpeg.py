"""The ffmpeg program: which one is used, how a run of it fails, and that it never hangs us."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.streams.encoding import encode
from vsr.errors import EncodeError, MissingDependency, StreamTimeout
from vsr.streams.ffmpeg.log import causes, in_one_line
from vsr.streams.ffmpeg.process import FFmpegProcess, find_ffmpeg, query_ffmpeg

READS_NOTHING = [sys.executable, "-c", "input_is_ignored = __import__('signal').pause()"]
TALKS = "import sys; sys.stderr.write('[warning] much to say\\n' * 50_000); sys.stdin.read()"
LEAVES = [sys.executable, "-c", "import sys; sys.exit('[error] the disk is full.')"]


def test_the_shipped_binary_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VSR_FFMPEG", raising=False)
    assert "imageio_ffmpeg" in find_ffmpeg()
    assert query_ffmpeg("-version").stdout.startswith("ffmpeg version")


def test_another_binary_is_used_where_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("VSR_FFMPEG", str(program))
    assert find_ffmpeg() == str(program)
    monkeypatch.setenv("VSR_FFMPEG", "system")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == str(program)


def test_a_missing_binary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSR_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(MissingDependency, match="/nowhere/ffmpeg"):
        find_ffmpeg()


def write_without_end(process: FFmpegProcess) -> None:
    while True:
        process.write(bytes(1 << 20))


def check_without_end(process: FFmpegProcess) -> None:
    while True:
        process.check()
        time.sleep(0.01)


def test_a_process_that_takes_nothing_is_given_up() -> None:
    process = FFmpegProcess(READS_NOTHING, timeout_s=0.1)
    with pytest.raises(StreamTimeout, match="no progress"):
        write_without_end(process)
    process.kill()


def test_a_process_that_takes_nothing_is_noticed_however_much_room_there_is() -> None:
    process = FFmpegProcess(READS_NOTHING, timeout_s=0.1)
    process.check()
    process.write(b"a little")
    with pytest.raises(StreamTimeout, match="no progress"):
        check_without_end(process)
    process.kill()


def test_a_process_that_talks_without_end_is_listened_to() -> None:
    process = FFmpegProcess([sys.executable, "-c", TALKS])
    for _ in range(8):
        process.write(bytes(1 << 20))
    process.finish()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_process_that_does_not_end_is_killed() -> None:
    process = FFmpegProcess(READS_NOTHING, timeout_s=0.1)
    with pytest.raises(StreamTimeout):
        process.finish()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_process_that_moves_its_file_in_the_end_is_waited_for(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    moves = (
        "import sys, time; from pathlib import Path; sys.stdin.read(); target = Path(sys.argv[1])\n"
        "for size in range(25): target.write_bytes(bytes(size)); time.sleep(0.1)"
    )
    process = FFmpegProcess(
        [sys.executable, "-c", moves, str(target)], timeout_s=0.5, target=target
    )
    process.finish()
    assert target.stat().st_size == 24


def test_a_process_that_leaves_says_why() -> None:
    process = FFmpegProcess(LEAVES)
    with pytest.raises(EncodeError, match=r"ffmpeg stopped: the disk is full$"):
        write_without_end(process)
    process.kill()


def test_killing_from_another_thread_ends_a_write() -> None:
    process = FFmpegProcess(READS_NOTHING)
    process.write(bytes(1 << 16))
    killer = threading.Timer(0.05, process.kill)
    killer.start()
    with pytest.raises(EncodeError):
        write_without_end(process)
    killer.join()


def test_an_interrupt_from_the_keyboard_does_not_reach_it() -> None:
    process = FFmpegProcess(READS_NOTHING)
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    process.kill()


def test_an_interrupt_from_the_keyboard_is_no_answer_of_a_query_or_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, groups = tmp_path / "ffmpeg", tmp_path / "groups"
    program.write_text(
        f'#!/bin/sh\ncut -d" " -f5 /proc/$$/stat >> {groups}\nexec {find_ffmpeg()} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("VSR_FFMPEG", str(program))
    query_ffmpeg("-version")
    encode(tmp_path / "out.mkv")
    started = groups.read_text().split()
    assert len(started) >= 3
    assert str(os.getpgid(0)) not in started


def test_a_cause_is_reported_without_its_consequences() -> None:
    said = [
        "[libx264 @ 0x55] [info] using cpu capabilities",
        "[libx264 @ 0x55] [error] width not divisible by 2 (321x241)",
        "[vost#0:0/libx264 @ 0x5] [enc:libx264 @ 0x56] [error] Error while opening encoder - maybe",
        "[out#0/mp4 @ 0x56] [error] Nothing was written into output file, because",
        "[fatal] Error opening output files: Invalid argument",
    ]
    assert causes(said) == ["width not divisible by 2 (321x241)"]
    assert in_one_line([]) == "it gave no reason"
