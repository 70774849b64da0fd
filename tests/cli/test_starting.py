"""Packages and modules that are loaded before a run begins."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.command_line import Run
from tests.conftest import REPOSITORY
from tests.media import Clip, write_clip
from vsr.cli.main import vsr as command_line

COMPILER = "torch._dynamo"
"""Takes as long to load as all the rest of torch; no run needs it."""


def test_a_run_does_not_load_torchs_compiler(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "clip.mp4", Clip(num_frames=2))
    words = ("restore", str(source), "null", "--model", "compact-x4", "--quiet")
    _, modules = run_listing_modules(*words)
    assert "torch" in modules
    assert COMPILER not in modules


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_numpy_starts_no_threads() -> None:
    program = "import os, vsr.cli.startup; vsr.cli.startup.prepare(); import numpy; "
    program += "print(len(os.listdir('/proc/self/task')))"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert said.stdout.split() == [b"1"]


PRINT_MODULES = """
import atexit, sys
atexit.register(lambda: print(sorted(sys.modules), file=sys.stderr))
from vsr.cli.startup import main
sys.argv = ["vsr", *sys.argv[1:]]
main()
"""
HEAVY = ("torch", "av", "numpy", "PIL", "safetensors", "ffmpeg")
"""Packages that take from a tenth of a second to several seconds to load."""

COMMANDS = (
    "restore",
    "live",
    "web",
    "assess",
    "eval",
    "train",
    "degrade",
    "bench",
    "models",
    "info",
)


def run_listing_modules(*words: str, **environment: str) -> tuple[str, list[str]]:
    """What a command prints, and the modules that it loaded."""
    ended = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES, *words],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    modules: list[str] = ast.literal_eval(ended.stderr.splitlines()[-1])
    return ended.stdout, modules


def complete(line: str) -> tuple[str, list[str]]:
    """What bash is offered after a line, as far as it is typed."""
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return run_listing_modules(_VSR_COMPLETE="bash_complete", **environment)


@pytest.mark.parametrize(
    "words",
    [("--help",), *((command, "--help") for command in COMMANDS), ("models", "pull", "--help")],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    said, modules = run_listing_modules(*words)
    assert "Usage: " in said
    assert not {*HEAVY, "rich"} & set(modules)


def test_the_list_of_models_loads_nothing_heavy() -> None:
    said, modules = run_listing_modules("models")
    assert "compact-x4" in said
    assert not set(HEAVY) & set(modules)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vsr ", "plain,restore"),
        ("vsr restore --look", "plain,--look-ahead"),
        ("vsr restore ", "file,"),
        ("vsr restore in.mp4 out.mp4 --model basicvsr_r", "plain,basicvsr_reds4"),
        ("vsr restore in.mp4 out.mp4 --model mine/", "file,mine/"),
        ("vsr live a b --on-overload d", "plain,degrade"),
        ("vsr eval --precision bf", "plain,bfloat16"),
        ("vsr bench --model compact", "plain,compact-x4"),
        ("vsr models pull iconvsr_r", "plain,iconvsr_reds4"),
        ("vsr train --da", "plain,--data"),
        ("vsr info --j", "plain,--json"),
    ],
)
def test_completion_offers_words_and_loads_nothing_heavy(line: str, offered: str) -> None:
    said, modules = complete(line)
    assert offered in said.splitlines()
    assert not {*HEAVY, "rich"} & set(modules)


def options_of(command: click.Command) -> Iterator[click.Option]:
    yield from (one for one in command.params if isinstance(one, click.Option))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from options_of(below)


def test_every_option_has_a_variable_named_after_it() -> None:
    named = [option.envvar for option in options_of(command_line)]
    assert {
        "VSR_RESTORE_DEVICE",
        "VSR_LIVE_LATENCY",
        "VSR_MODELS_PULL_FORCE",
        "VSR_VERBOSE",
    } <= set(named)
    assert len(named) == len(set(named))


def test_a_variable_sets_its_option(vsr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSR_LIVE_LATENCY", "soon")
    ended = vsr("live", "a", "b")
    assert ended.code == 2
    assert "'soon' is not a time" in ended.err


def test_the_version_is_no_variable(vsr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSR_VERSION", "2.1")
    done = vsr("models", "path", "compact-x4")
    assert (done.code, Path(done.out.strip()).name) == (0, "compact_x4.safetensors")


def test_the_environments_variables_are_documented() -> None:
    documented = (REPOSITORY / "docs/command_line.md").read_text(encoding="utf-8")
    sources = (
        path
        for folder in ("vsr", "streams", "models")
        for path in (REPOSITORY / folder).rglob("*.py")
    )
    named = {
        n
        for path in sources
        for n in re.findall(r"\bVSR_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))
    }
    assert {"VSR_HOME", "VSR_FFMPEG"} <= named
    assert not {name for name in named if name not in documented}
