"""The command line as people and programs meet it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from tests.command_line import Run, until_it_has_grown
from tests.media import Clip, write_clip, write_images
from tests.networks import ALL, basicvsr
from tests.streams.encoding import frame_seconds
from vsr.evaluation.speed import measure
from vsr.streams import open_reader
from vsr.streams.colour import yuv_native as compiled_yuv


def test_a_file_is_restored_and_summed_up_as_json(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=7))
    done = vsr("restore", source, tmp_path / "out.mp4", "-m", "bicubic-x2", "--json")
    summary = json.loads(done.out)
    assert done.code == 0
    assert (summary["frames_in"], summary["frames_out"], summary["passed_through"]) == (7, 7, 0)
    assert summary["peak_memory_bytes"] > 0
    assert summary["fps"] > 0
    assert Path(summary["output"]) == tmp_path / "out.mp4"


def test_the_summary_is_one_line_on_stdout(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    done = vsr("restore", source, tmp_path / "out.mp4", "-m", "identity")
    assert done.out.count("\n") == 1
    assert "3 frames" in done.out


def test_encoder_arguments_and_times_reach_their_places(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=20))
    words = [
        "--encoder",
        "ffv1",
        "--encode-args",
        "-level 3 -g 1",
        "--start",
        "0.2",
        "--end",
        "0:0.4",
    ]
    done = vsr("restore", source, tmp_path / "out.mkv", "-m", "identity", "--json", *words)
    assert json.loads(done.out)["frames_out"] == 5


def test_a_folder_of_images_goes_in_and_out(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    assert vsr("restore", source, tmp_path / "frames", "-m", "identity").code == 0
    done = vsr("restore", tmp_path / "frames", tmp_path / "larger", "-m", "bicubic-x2", "--json")
    assert json.loads(done.out)["frames_out"] == 3
    assert len(list((tmp_path / "larger").iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ([], "25"),
        (["--frame-rate", "10"], "10"),
        (["--frame-rate", "23.976"], "24000/1001"),
        (["--frame-rate", "30000/1001", "--start", "0.05"], "30000/1001"),
    ],
)
def test_images_have_the_rate_they_are_given(
    words: list[str], rate: str, vsr: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = write_images(tmp_path / "in", 4), tmp_path / "out.mp4"
    assert vsr("restore", source, target, "-m", "identity", *words).code == 0
    assert json.loads(vsr("info", target, "--json").out)["frame_rate"] == rate
    assert ("25 frames/s are taken; --frame-rate" in caplog.text) == (not words)


def test_only_images_are_given_a_rate(
    vsr: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_images(tmp_path / "in", 3)
    assert vsr("restore", source, tmp_path / "out", "-m", "identity").code == 0
    assert caplog.text == ""
    video = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    for words in ([], ["--dry-run"], ["--preview", "0"]):
        rated = ["-m", "identity", "--frame-rate", "10", *words]
        done = vsr("restore", video, tmp_path / "out.mp4", *rated)
        assert (done.code, "has times of its own" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "frames", "said"),
    [
        ("-vf fps=5", 4, "16 frames left out by the encoder's arguments"),
        ("-vf fps=50", 40, "20 frames added by the encoder's arguments"),
        ("-ss 0.4", 10, "10 frames left out by the encoder's arguments"),
        ("-vf hflip", 20, ""),
    ],
)
def test_frames_are_counted_in_the_output(
    arguments: str, frames: int, said: str, vsr: Run, tmp_path: Path
) -> None:
    source, target = write_clip(tmp_path / "in.mp4", Clip(num_frames=20)), tmp_path / "out.mkv"
    words = ["-m", "identity", "--encoder", "ffv1", "--encode-args", arguments, "-y"]
    summary = json.loads(vsr("restore", source, target, *words, "--json").out)
    assert len(frame_seconds(target)) == frames
    assert (summary["frames_out"], summary["added"]) == (frames, frames - 20)
    out = vsr("restore", source, target, *words).out
    assert f"{frames} frames in" in out
    assert (said in out) if said else ("arguments" not in out)


def test_a_change_of_size_is_reported(vsr: Run, tmp_path: Path) -> None:
    source = tmp_path / "in.h264"
    parts = [write_clip(tmp_path / f"{h}.h264", Clip(num_frames=2, height=h)) for h in (72, 96)]
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    done = vsr("restore", source, tmp_path / "out.mp4", "-m", "identity")
    assert "the source's size changes once: all are scaled to the first frame's" in done.out
    done = vsr("restore", source, tmp_path / "b.mp4", "-m", "identity", "--json")
    assert json.loads(done.out)["size_changes"] == 1


def test_a_tiny_video_is_restored(vsr: Run, tmp_path: Path) -> None:
    options = {"codec": "ffv1", "options": {}}
    source = write_clip(tmp_path / "in.mkv", Clip(num_frames=3, height=2, width=4, **options))  # type: ignore[arg-type]
    assert vsr("restore", source, tmp_path / "out.mp4").code == 0
    with open_reader(str(tmp_path / "out.mp4")) as reader:
        assert (reader.info.height, reader.info.width) == (8, 16)


def text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("these are notes\n" * 50)
    return folder / "notes.txt"


def nothing(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def truncated(folder: Path) -> Path:
    whole = write_clip(folder / "whole.mp4", Clip(num_frames=30))
    (folder / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    whole.unlink()
    return folder / "cut.mp4"


def only_sound(folder: Path) -> Path:
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    path = folder / "sound.mp4"
    command = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", str(path)]
    subprocess.run(command, check=True)
    return path


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def no_images(folder: Path) -> Path:
    (folder / "no_images").mkdir()
    return folder / "no_images"


@pytest.mark.parametrize("make", [missing, text, nothing, truncated, only_sound, no_images])
def test_a_source_that_cannot_be_read_gives_one_line_and_no_output(
    make: Callable[[Path], Path], vsr: Run, tmp_path: Path
) -> None:
    source = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = vsr("restore", source, tmp_path / "out.mp4", "-m", "identity")
    assert done.code == 1
    assert done.err.startswith("vsr: ")
    assert done.err.count("\n") == 1
    assert source.name in done.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-m", "compact-x5"], 2, "did you mean compact-x4"),
        (["-m", "basicvsr"], 2, "--weights"),
        (["-m", "nowhere.pth"], 1, "'nowhere.pth' is not there"),
        (["-m", __file__], 1, "is not a checkpoint (torch did not write it); give a .pth"),
        (["--chunk", "0"], 2, "x>=1"),
        (["--look-ahead", "many"], 2, "0 or more frames, or full"),
        (["--start", "soon"], 2, "give seconds"),
        (["--start", "inf"], 2, "give seconds"),
        (["--frame-rate", "nan"], 2, "24000/1001"),
        (["--scale", "nan"], 2, "give a number above 0"),
        (["--scale", "0"], 2, "give a number above 0"),
        (["--device", "cuda:77"], 2, "give auto or cpu"),
        (["--device", "mps"], 2, "give auto, cpu, cuda or cuda:N"),
        (["--precision", "half"], 2, "float16"),
        (["--encoder", "libx999"], 2, "libx999"),
        (["--encode-args", "'open"], 2, "check its quotes"),
        (["--start", "2", "--end", "1"], 2, ""),
    ],
)
def test_options_that_cannot_work_give_one_line_and_no_output(
    words: list[str], code: int, said: str, vsr: Run, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    done = vsr("restore", source, tmp_path / "out.mp4", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4"]


def test_a_checkpoint_of_another_network_is_refused(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    torch.save(basicvsr().state_dict(), tmp_path / "weights.pth")
    words = ["-m", "compact-x4", "--weights", tmp_path / "weights.pth"]
    done = vsr("restore", source, tmp_path / "out.mp4", *words)
    assert done.code == 1
    assert "give one of compact" in done.err
    assert not (tmp_path / "out.mp4").exists()


def test_a_missing_folder_and_an_existing_target_are_reported_before_any_work(
    vsr: Run, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    no_folder = vsr("restore", source, tmp_path / "nowhere" / "out.mp4")
    assert (no_folder.code, no_folder.err.count("\n")) == (1, 1)
    assert "nowhere" in no_folder.err
    (tmp_path / "out.mp4").write_text("precious")
    existing = vsr("restore", source, tmp_path / "out.mp4", "-m", "identity")
    assert (existing.code, "allow overwriting (-y)" in existing.err) == (1, True)
    assert (tmp_path / "out.mp4").read_text() == "precious"
    assert vsr("restore", source, tmp_path / "out.mp4", "-m", "identity", "-y").code == 0
    assert vsr("restore", source, source, "-m", "identity", "-y").code == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no file, not even from root")
@pytest.mark.parametrize("words", [[], ["--preview", "0"]])
def test_a_folder_that_takes_no_file_is_reported(
    words: list[str], vsr: Run, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3))
    closed = vsr("restore", source, "/proc/out.mkv", "-m", "identity", *words)
    assert (closed.code, closed.err.count("\n")) == (1, 1)
    assert "cannot be written (No such file or directory); give a name in" in closed.err


@pytest.mark.slow
def test_ctrl_c_leaves_a_playable_file_and_exit_code_130(tmp_path: Path) -> None:
    clip = Clip(num_frames=250, height=36, width=48, audio="aac")
    source = write_clip(tmp_path / "in.mp4", clip)
    command = [sys.executable, "-m", "vsr", "restore", str(source), str(tmp_path / "out.mkv")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command += ["--chunk", "1", "--encoder", "ffv1", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        part = tmp_path / "out.partial.mkv"
        until_it_has_grown(tmp_path, process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    summary = json.loads(out)
    assert summary["interrupted"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", part.name]
    with open_reader(str(part)) as reader:
        assert sum(len(chunk) for chunk in reader.chunks(8)) == summary["frames_out"]


@pytest.mark.slow
def test_ctrl_c_ends_a_run_whose_source_is_silent(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(num_frames=400))
    command = [sys.executable, "-m", "vsr", "restore", "-", str(tmp_path / "out.mkv")]
    command += ["-m", "identity", "--chunk", "1", "--encoder", "ffv1", "--json"]
    command += ["--encode-args", "-flush_packets 1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(source.read_bytes())
        process.stdin.flush()  # and nothing more: it stays open
        until_it_has_grown(tmp_path, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
        assert process.stdout is not None
        summary = json.loads(process.stdout.read())
    assert summary["interrupted"]
    with open_reader(str(tmp_path / "out.partial.mkv")) as reader:
        assert sum(len(chunk) for chunk in reader.chunks(8)) == summary["frames_out"] > 0


def test_ctrl_c_ends_a_run_whose_source_never_begins(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    command = [sys.executable, "-m", "vsr", "restore", "-", str(target), "-m", "identity"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        while not (tmp_path / ".out.mkv.lock").exists() and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stdout is not None
        assert process.stdout.read() == (
            "interrupted before the first frame; nothing was written, and the same command "
            "starts again\n"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "info -",
        "assess -",
        "degrade - out.mkv --preset web",
        "restore - out.mkv -m identity --dry-run",
        "restore - out.mkv -m identity --preview 1",
    ],
)
def test_ctrl_c_ends_whatever_waits_for_a_silent_pipe_in_one_line(
    words: str, tmp_path: Path
) -> None:
    """The pipe holds what a reader of it takes at first: once that is gone, PyAV waits for more."""
    reading, writing = os.pipe()
    os.write(writing, b"\0")
    command = [sys.executable, "-m", "vsr", *words.split()]
    with subprocess.Popen(
        command, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        while select.select([reading], [], [], 0)[0] and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    os.close(reading)
    os.close(writing)
    assert (process.returncode, out, err.decode()) == (130, b"", "vsr: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_help_is_there_for_every_command(vsr: Run) -> None:
    overview = vsr("--help")
    assert overview.code == 0
    for command in ("restore", "train", "bench", "models", "info"):
        assert command in overview.out
        assert vsr(command, "--help").code == 0


def test_models_and_info_speak_to_people_and_programs(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=3, audio="aac"))
    assert "compact-x4" in vsr("models").out
    assert "compact-x4" in json.loads(vsr("models", "--json").out)
    assert "frame rate" in vsr("info", source).out
    facts = json.loads(vsr("info", source, "--json").out)
    assert (facts["height"], facts["frame_rate"]) == (72, "25")
    assert facts["others"][0]["kind"] == "audio"


@pytest.mark.parametrize("built", [True, False])
def test_info_says_what_is_installed(
    vsr: Run, built: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_yuv, "BUILT", built)
    facts = json.loads(vsr("info", "--json").out)
    assert Path(facts["ffmpeg"]).is_file()
    assert facts["colour_conversion"].startswith("compiled" if built else "by torch")
    assert "colour conversion" in vsr("info").out


@pytest.mark.parametrize("name", ["compact", "edvr", "srvgg"])
def test_bench_measures_networks_of_every_kind_at_any_chunk(name: str) -> None:
    measured = measure("it", ALL[name](), height=16, width=24, chunk=1, look_ahead=3, seconds=0.0)
    assert measured.fps > 0


def test_bench_reports_a_rate_and_the_machines_own(vsr: Run) -> None:
    words = ["--size", "32x24", "--seconds", "0.1", "--device", "cpu"]
    measured = json.loads(vsr("bench", *words, "--json").out)
    assert measured["fps"] > 0
    assert measured["machine_tflops"] > 0
    assert "frames/s" in vsr("bench", *words, "-m", "bicubic-x2").out


def test_training_from_the_command_line_names_what_is_missing(vsr: Run, tmp_path: Path) -> None:
    done = vsr("train", tmp_path / "no.toml", "--data", tmp_path, "--out", tmp_path / "run")
    assert (done.code, done.err.count("\n")) == (2, 1)
