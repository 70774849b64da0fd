"""Progress where stderr is no terminal: a line now and then."""

import pytest

from vsr.cli.progress import LINE_S, progress_bar
from vsr.results import Progress


def test_without_a_terminal_a_line_comes_every_so_often(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as show:
        for second in range(0, 3 * int(LINE_S) + 1, 2):
            show(Progress(frames=5 * second, total=1000, seconds=float(second)))
    assert capsys.readouterr().err.splitlines() == [
        "50 of 1000 frames, 5.0 frames/s, 0:03:10 left",
        "100 of 1000 frames, 5.0 frames/s, 0:03:00 left",
        "150 of 1000 frames, 5.0 frames/s, 0:02:50 left",
    ]


def test_a_source_of_unknown_length_has_no_end_in_its_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bar() as show:
        show(Progress(frames=300, total=None, seconds=LINE_S))
    assert capsys.readouterr().err == "300 frames, 30.0 frames/s\n"


def test_nothing_is_shown_where_it_is_to_be_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(hidden=True) as show:
        show(Progress(frames=300, total=None, seconds=60.0))
    assert capsys.readouterr().err == ""


def test_the_rates_of_a_clusters_workers_are_in_its_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    workers = {f"node{number}:7": float(number) for number in range(1, 7)}
    with progress_bar() as show:
        show(Progress(frames=300, total=600, seconds=LINE_S, workers=workers))
    rates = "(node6:7 6.0, node5:7 5.0, node4:7 4.0, node3:7 3.0, 2 more)"
    assert capsys.readouterr().err == (f"300 of 600 frames, 30.0 frames/s, 0:00:10 left {rates}\n")


def test_every_stage_of_a_run_has_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as show:
        show(Progress(frames=900, total=1000, seconds=9 * LINE_S, doing="assessing"))
        show(Progress(frames=10, total=1000, seconds=LINE_S / 2))
        show(Progress(frames=20, total=1000, seconds=LINE_S))
    assert [line.split(" frames")[0] for line in capsys.readouterr().err.splitlines()] == [
        "assessing: 900 of 1000",
        "20 of 1000",
    ]
