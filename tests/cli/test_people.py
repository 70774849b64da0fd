"""Output of the command line for people: notes, tables, facts, and the next step."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import Run, until_it_has_grown
from tests.conftest import REPOSITORY
from tests.media import Clip, write_clip, write_images
from vsr.streams import open_reader


def test_a_network_that_makes_more_than_4k_unasked_is_reported_with_its_time(
    vsr: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=2, height=640, width=1200))
    words = ["restore", source, "null", "-m", "bicubic-x4"]
    assert vsr(*words, "-q").code == 0
    assert re.search(
        r"the output is 4800x2560, above 4K: 2 frames take about \d+:\d\d:\d\d, encoding not "
        r"counted; --fit 2160 makes 4K, and a model of a smaller scale",
        caplog.text,
    )
    caplog.clear()
    assert vsr(*words, "-q", "--fit", "2400").code == 0
    assert "above 4K" not in caplog.text


@pytest.mark.parametrize("place", ["before", "last", "option"])
def test_compare_needs_no_value(place: str, vsr: Run, tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.mp4", Clip(num_frames=3)), tmp_path / "out.mp4"
    words = {
        "before": ["--compare", source, target, "-m", "bicubic-x2"],
        "last": [source, target, "-m", "bicubic-x2", "--compare"],
        "option": [source, target, "--compare", "-m", "bicubic-x2"],
    }[place]
    assert vsr("restore", *words).code == 0
    with open_reader(target) as reader:
        assert (reader.info.height, reader.info.width) == (144, 2 * 192)


def test_compare_takes_a_value_or_refuses_it(vsr: Run, tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.mp4", Clip(num_frames=3)), tmp_path / "out.mp4"
    assert vsr("restore", source, "--compare", "split", target, "-m", "bicubic-x2").code == 0
    with open_reader(target) as reader:
        assert (reader.info.height, reader.info.width) == (144, 192)
    wrong = vsr("restore", source, target, "-y", "--compare=both")
    assert (wrong.code, "'side', 'split'" in wrong.err) == (2, True)


def test_info_says_duration_codec_and_bit_rate(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=50, audio="aac"))
    facts = json.loads(vsr("info", source, "--json").out)
    assert facts["codec"] == "h264"
    assert facts["duration_s"] == pytest.approx(2, abs=0.1)
    assert facts["bit_rate"] == pytest.approx(8 * source.stat().st_size / 2, rel=0.1)
    assert facts["container"].startswith("mov,mp4")
    said = vsr("info", source).out.splitlines()
    lines = {line[:20].strip(): line[20:] for line in said}
    assert lines["duration"].startswith("0:00:02")
    assert lines["duration"].endswith(", 50 frames")
    assert lines["codec"].startswith("h264 (")
    assert lines["bit rate"].endswith("kbit/s")
    assert lines["stream 1"] == "audio (aac), fra, default"
    assert max(len(line) for line in said[1:]) <= 80


def test_info_of_images_says_how_long_they_last(vsr: Run, tmp_path: Path) -> None:
    write_images(tmp_path / "frames", 5)
    assert "0:00:00.2" in vsr("info", tmp_path / "frames").out


def test_the_table_of_models_explains_its_words_within_80_columns(vsr: Run) -> None:
    table = vsr("models").out
    assert re.search(r"^BI .*bicubic", table, re.MULTILINE)
    assert re.search(r"^BD .*blurred", table, re.MULTILINE)
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 80


def test_every_environment_variable_of_ours_is_documented() -> None:
    sources = [*REPOSITORY.glob("vsr/**/*.py"), *REPOSITORY.glob("streams/**/*.py")]
    sources += REPOSITORY.glob("models/**/*.py")
    pattern = re.compile(r"environ(?:\.get\(|\[)\s*\"(VSR_\w+)\"|envvar=\"(VSR_\w+)\"")
    named = {
        one or other
        for path in sources
        for one, other in pattern.findall(path.read_text(encoding="utf-8"))
    }
    documented = (REPOSITORY / "docs/command_line.md").read_text(encoding="utf-8")
    assert named
    assert not [name for name in named if f"`{name}`" not in documented]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_documented_completion_is_printed(shell: str) -> None:
    environment = {**os.environ, "_VSR_COMPLETE": f"{shell}_source"}
    script = "import sys; sys.argv[0] = 'vsr'; from vsr.cli.startup import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert "_VSR_COMPLETE" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("segment", "then"), [("20", "with --resume continues"), ("0", "starts again")]
)
def test_a_run_that_was_ended_names_the_next_step(segment: str, then: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=250))
    command = [sys.executable, "-m", "vsr", "restore", str(source), str(tmp_path / "out.mkv")]
    command += ["--chunk", "4", "--look-ahead", "1", "--encoder", "ffv1", "--segment", segment]
    folder = tmp_path / "out.mkv.resume" if segment != "0" else tmp_path
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        until_it_has_grown(folder, process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out.endswith(f"interrupted: this part is playable, and the same command {then}\n")
