"""``vsr eval`` as people and programs meet it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.command_line import Run
from tests.evaluation.eval_trees import (
    measured,
    write_reds4_of_basicsr,
    write_reds4_of_mmagic,
    write_textured_pair,
    write_vid4,
    write_vimeo,
)

SCORES = {"psnr_rgb", "ssim_rgb", "psnr_y", "ssim_y"}


@pytest.mark.slow
def test_bicubic_on_vid4_scores_as_published(vsr: Run, shared: Path) -> None:
    done = vsr("eval", "vid4", "--root", shared / "data/eval/vid4", "-m", "bicubic-x4", "--json")
    found = measured(done.out)
    means = found["means"]["streamed"]
    assert means["psnr_y"] == pytest.approx(23.784, abs=0.003)
    assert means["ssim_y"] == pytest.approx(0.6347, abs=5e-5)
    assert means["psnr_rgb"] == pytest.approx(22.369, abs=0.003)
    of_clips = [result["means"]["psnr_y"] for result in found["results"]]
    assert of_clips == pytest.approx([20.395, 25.165, 23.471, 26.104], abs=0.003)
    assert [len(result["frames"]) for result in found["results"]] == [41, 34, 49, 47]


@pytest.mark.parametrize(
    "write",
    [write_reds4_of_mmagic, pytest.param(write_reds4_of_basicsr, marks=pytest.mark.slow)],
)
def test_a_table_of_reds4_has_its_clips_counts_and_published_figures(
    write: Callable[[Path], Path], vsr: Run, tmp_path: Path
) -> None:
    root = write(tmp_path / "data")
    report = tmp_path / "report"
    done = vsr("eval", "reds4", "--root", root, "-m", "bicubic-x4", "--report", report)
    assert done.code == 0, done.err
    lines = [line.split() for line in done.out.splitlines() if line.strip()]
    assert lines[0][:4] == ["clip", "frames", "PSNR-RGB", "SSIM-RGB"]
    assert [line[:2] for line in lines[1:6]] == [
        ["000", "100"],
        ["011", "100"],
        ["015", "100"],
        ["020", "100"],
        ["mean", "400"],
    ]
    assert ["basicvsr_reds4", "31.417", "0.8909", "mmagic", "model", "zoo"] in lines
    assert done.out.splitlines()[-1] == str(report / "index.html")
    page = (report / "index.html").read_text()
    for word in ("000", "011", "015", "020", "mmagic model zoo", "<svg", "data:image/png", "torch"):
        assert word in page
    assert page.count("<polyline") == 4
    # The first frame is of one colour, which bicubic restores exactly: an infinite PSNR has no dot.
    assert page.count("<circle") == 4 * 99


def test_the_stream_the_whole_clip_and_what_streaming_loses_are_set_side_by_side(
    vsr: Run, pair: list[str | Path], weights: Path
) -> None:
    words = ["eval", *pair, "-m", weights, "--whole-clip"]
    both = measured(vsr(*words, "--chunk", "2", "--look-ahead", "0", "--json").out)
    assert both["ways"] == ["streamed", "whole"]
    means = both["means"]
    assert both["loss_db"] == means["whole"]["psnr_y"] - means["streamed"]["psnr_y"] != 0
    table = vsr(*words, "--chunk", "2", "--look-ahead", "0").out
    headings, *rows = [line.split("  ") for line in table.splitlines()[:5]]
    assert [cell.strip() for cell in headings if cell.strip()][-3:-1] == ["whole PSNR-Y", "loss dB"]
    assert f"{both['loss_db']:+.3f}" in rows[-1][-2] + rows[-1][-3] + rows[-1][-4]
    exact = measured(vsr(*words, "--chunk", "2", "--look-ahead", "full", "--json").out)
    assert exact["loss_db"] == pytest.approx(0, abs=1e-4)
    whole = measured(vsr(*words, "--json").out)
    assert whole["ways"] == ["whole"]
    assert whole["by_clip"] == {k: v for k, v in both["by_clip"].items() if k[1] == "whole"}


def test_missing_extras_are_one_line(
    vsr: Run, pair: list[str | Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for extra, words in (("perceptual", ["--metrics", "musiq"]), ("ray", ["--ray", "local"])):
        monkeypatch.setitem(sys.modules, {"perceptual": "pyiqa", "ray": "ray"}[extra], None)
        done = vsr("eval", *pair, "-m", "bicubic-x4", *words)
        assert (done.code, done.err.count("\n"), done.out) == (1, 1, "")
        assert f"vsr-stream[{extra}]" in done.err


def test_scores_over_time_have_columns_of_their_own(vsr: Run, pair: list[str | Path]) -> None:
    done = vsr("eval", *pair, "-m", "bicubic-x4", "--metrics", "psnr,tof,warp")
    assert "tOF" in done.out
    assert "warp 10⁻³" in done.out
    exact = vsr("eval", *pair, "-m", "bicubic-x4", "--metrics", "psnr,tof,warp", "--json")
    assert f"{json.loads(exact.out)['means']['streamed']['warp']:.3f}" in done.out
    found = measured(vsr("eval", *pair, "-m", "bicubic-x4", "--metrics", "tof", "--json").out)
    assert set(found["by_clip"]["a", "streamed"]) == SCORES | {"tof"}
    assert found["by_clip"]["a", "streamed"]["tof"][0] is None


@pytest.mark.parametrize(("model", "precision"), [("bicubic-x4", "float32"), (None, "bfloat16")])
def test_the_described_origin_is_true(
    model: str | None, precision: str, vsr: Run, pair: list[str | Path], weights: Path
) -> None:
    words = ["eval", *pair, "-m", model or weights, "--precision", "bfloat16", "--json"]
    given = json.loads(vsr(*words).out)
    assert given["origin"]["precision"] == precision
    assert all(clip["input_checksum"] for clip in given["results"])
    made = json.loads(vsr("eval", *pair[:2], *words[5:]).out)
    assert [clip["input_checksum"] for clip in made["results"]] == [None] * 3


def test_a_set_of_many_clips_is_folded(vsr: Run, tmp_path: Path) -> None:
    root = write_textured_pair(tmp_path / "pair", {f"{i:02}": 1 for i in range(61)})
    words = ["eval", "--gt", root / "GT", "-m", "bicubic-x4", "--metrics", "tof"]
    done = vsr(*words, "--report", tmp_path / "report")
    assert done.out.startswith("61 clips; --json and --report have each of them")
    assert "mean  61" in done.out
    page = (tmp_path / "report" / "index.html").read_text()
    assert "<summary>All 61 clips</summary>" in page
    assert page.count("<svg") == 60
    assert page.count("<img") == 12 * 3 * 2


def test_equal_frames_have_an_infinite_psnr_that_json_can_say(
    vsr: Run, pair: list[str | Path], tmp_path: Path
) -> None:
    words = ["eval", "--gt", pair[1], "--lq", pair[1], "-m", "identity", "--out", tmp_path / "out"]
    for _ in range(2):
        assert measured(vsr(*words, "--json").out)["means"]["streamed"]["psnr_y"] == "inf"
    assert " inf " in vsr(*words).out


def test_partial_sets_are_scored_and_reported(vsr: Run, tmp_path: Path) -> None:
    write_vid4(tmp_path)
    for frame in (tmp_path / "GT" / "city").iterdir():
        frame.unlink()
    (tmp_path / "GT" / "city").rmdir()
    (tmp_path / "GT" / "walk" / "00000030.png").unlink()
    words = ["eval", "vid4", "--root", tmp_path, "-m", "bicubic-x4"]
    refused = vsr(*words)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "'city'" in refused.err
    done = vsr(*words, "--partial")
    assert done.code == 0
    assert "mean      136" in done.out
    assert "'city'" in done.err
    assert "'00000030'" in done.err
    quiet = vsr(*words, "--partial", "--quiet")
    assert quiet.err == ""


def test_vimeo_scores_one_frame_a_clip(vsr: Run, tmp_path: Path, weights: Path) -> None:
    write_vimeo(tmp_path / "vimeo")
    words = ["eval", "vimeo90k-t", "--root", tmp_path / "vimeo", "-m", weights, "--partial"]
    found = measured(vsr(*words, "--json").out)
    assert [result["frames"] for result in found["results"]] == [["im4"], ["im4"]]
    assert vsr(*words, "--report", tmp_path / "report").code == 0
    assert (tmp_path / "report" / "clips" / "streamed" / "00001__0266.json").is_file()


@pytest.mark.slow
def test_a_network_on_another_degradation_than_its_own_is_noted(
    vsr: Run, tmp_path: Path, weights: Path
) -> None:
    words = ["eval", "vid4", "--root", write_vid4(tmp_path), "--degradation", "BD"]
    done = vsr(*words, "-m", "basicvsr_vimeo90k_bi", "--weights", weights)
    assert "basicvsr_vimeo90k_bi was trained for BI; on BD a network loses 2 to 6 dB" in done.err
    assert "Vid4, BD input made here" in done.out
    assert "basicvsr_vimeo90k_bd" in done.out
    dialect = vsr(*words[:-1], "BD-13", "-m", "bicubic-x4")
    assert "BD-13" in dialect.out
    assert "basicvsr_vimeo90k_bd" not in dialect.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "give DATASET with --root, or --gt"),
        (["vid4"], 2, "give DATASET with --root, or --gt"),
        (["vid4", "--root", ".", "--gt", "."], 2, "give DATASET with --root, or --gt"),
        (["vid5", "--root", "."], 2, "'vid5' is unknown"),
        (["vid4", "--root", "."], 1, "does not hold Vid4"),
        (["--gt", "nowhere"], 1, "'nowhere' is not there"),
        (["--gt", "GT", "--ensemble", "mean"], 2, "'mean' is unknown; give spatial, flip"),
        (["--gt", "GT", "--degradation", "BX"], 2, "known are BI, BD"),
        (["--gt", "GT", "--lq", "LQ", "--degradation", "BI"], 2, "leave one out"),
        (["--gt", "GT", "--crop", "40"], 2, "SSIM needs 11 a side"),
        (["--gt", "GT", "-m", "compact-x5"], 2, "did you mean compact-x4"),
        (["--gt", "GT", "--look-ahead", "many"], 2, "0 or more frames, or full"),
        (["--gt", "GT", "--lq", "GT", "-m", "bicubic-x4"], 1, "64x48 is not 4 times"),
        (["--gt", "mixed"], 1, "is 72x48, images before it are 64x48"),
        (["--gt", "GT", "--report", "GT/a/00000000.png/x"], 1, "cannot be written"),
    ],
)
def test_impossible_options_are_reported_in_one_line(
    words: list[str],
    code: int,
    said: str,
    vsr: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_textured_pair(tmp_path, {"a": 2})
    (tmp_path / "mixed").mkdir()
    for name, width in (("0", 64), ("1", 72)):
        Image.new("RGB", (width, 48)).save(tmp_path / "mixed" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    done = vsr("eval", *words, *([] if "-m" in words else ["-m", "bicubic-x4"]))
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_result_is_kept_for_both_weights_of_a_pair(
    vsr: Run, pair: list[str | Path], weights: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(weights.read_bytes())
    words = ["eval", *pair, "-m", f"{weights}+{other}", "--fidelity", "0.5"]
    told = [*words, "--out", tmp_path / "kept", "--json"]
    first, again = (json.loads(vsr(*told).out) for _ in range(2))
    assert (first["reused"], again["reused"]) == (0, len(first["results"]))
    save_file({k: 2 * v for k, v in load_file(weights).items()}, other)
    changed = json.loads(vsr(*told).out)
    assert changed["reused"] == 0
    assert changed["means"] != first["means"]
