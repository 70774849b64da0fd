"""Run the core of the tests on other versions of Python: ``make test-pythons``.

Each version gets an environment of its own, with the newest releases that ``pyproject.toml``
allows; it takes gigabytes, and is removed after its tests. A version that this machine lacks is
named, and so is every release of a direct dependency that is newer than its range: nothing is
skipped silently.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

CORE = (
    "tests/cli/test_cli.py",
    "tests/cli/test_starting.py",
    "tests/engine/test_restorer.py",
    "tests/live/test_running.py",
    "tests/models/test_network_contract.py::test_a_step_leaves_the_state_it_was_given_unchanged",
    "tests/offline/test_pipeline.py",
    "tests/resume/test_journal.py",
    "tests/streams/test_deinterlacing.py",
    "tests/streams/test_kept_or_said.py",
    "tests/streams/test_open_errors.py",
    "tests/streams/test_readers.py",
    "tests/streams/test_writers.py",
)
"""Opening, decoding, restoring, encoding, resuming, running streams, the command line and a step of
every network: what other releases of Python, PyAV, torch, NumPy, Pillow and click can break."""

WORKERS = ("--numprocesses", "auto", "--maxprocesses", "8", "--dist", "worksteal")
"""Options of pytest as `make test` has them."""


def find_python(version: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Find an interpreter: on the path, in Debian's folder, or among pyenv's versions.

    Args:
        version: Such as 3.13.
        environment: PATH, HOME and PYENV_ROOT are looked at.

    Returns:
        The first that runs and is of this version; None where there is none. pyenv's commands on
        the path only run for the versions that are switched on.
    """
    return next((found for found in _candidates(version, environment) if _is(found, version)), None)


def _candidates(version: str, environment: Mapping[str, str]) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}", path=environment.get("PATH", ""))
    if on_path:
        yield Path(on_path)
    yield Path("/usr/bin") / f"python{version}"
    for root in _pyenv_roots(environment):
        folders = [f for f in (root / "versions").glob(f"{version}.*") if _patch(f).isdecimal()]
        newest_first = sorted(folders, key=lambda folder: int(_patch(folder)), reverse=True)
        yield from (folder / "bin" / "python" for folder in newest_first)


def _patch(folder: Path) -> str:
    """The last part of a release; no number for a pre-release such as 3.13.0rc1."""
    return folder.name.rpartition(".")[2]


def _pyenv_roots(environment: Mapping[str, str]) -> Iterator[Path]:
    pyenv = shutil.which("pyenv", path=environment.get("PATH", ""))
    if pyenv:
        said = subprocess.run(
            [pyenv, "root"], capture_output=True, text=True, check=False, env=dict(environment)
        )
        if said.returncode == 0:
            yield Path(said.stdout.strip())
    if environment.get("PYENV_ROOT"):
        yield Path(environment["PYENV_ROOT"])
    if environment.get("HOME"):
        yield Path(environment["HOME"]) / ".pyenv"


def _is(python: Path, version: str) -> bool:
    """Whether an interpreter runs and is of a version."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        said = subprocess.run(
            [python, "-I", "-c", program], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return said.returncode == 0 and said.stdout.strip() == version


def make_environment(python: Path, folder: Path) -> Path:
    """Install the project and its newest dependencies into a folder; give its interpreter.

    An environment that is there is updated. pip is this interpreter's own: Debian's Python can make
    environments only without one.
    """
    inside = folder / "bin" / "python"
    if not _is(inside, _version(python)):
        _run(python, "-m", "venv", "--clear", "--without-pip", folder)
    newest = ("install", "--quiet", "--upgrade", "--upgrade-strategy", "eager")
    _run(sys.executable, "-m", "pip", "--python", inside, *newest, "--editable", ".[test]")
    return inside


def _version(python: Path) -> str:
    said = subprocess.run([python, "-I", "-V"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+\.\d+", said)
    return found[0] if found else ""


def held_back(inside: Path) -> list[str]:
    """Releases that are newer than those installed, of packages that ``pyproject.toml`` names."""
    words = ("-m", "pip", "--python", inside, "list", "--outdated", "--format=json")
    listed = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    return [
        f"{one['name']} {one['version']} < {one['latest_version']}"
        for one in json.loads(listed)
        if one["name"].lower() in _named_packages()
    ]


def _named_packages() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in asked}


def test_core(version: str, python: Path, folder: Path) -> str:
    """Test one version in an environment; give a line that begins with ``passed`` or ``failed``."""
    started = time.monotonic()
    inside = make_environment(python, folder)
    _say(f"Python {version}: newer, but out of range: {', '.join(held_back(inside)) or 'nothing'}")
    ready = time.monotonic()
    words = ("-m", "pytest", "-q", *WORKERS, "-m", "not slow")
    tests = subprocess.run([inside, *words, *CORE], cwd=ROOT, check=False)
    done = "passed" if tests.returncode == 0 else "failed"
    return f"{done} (environment {ready - started:.0f} s, tests {time.monotonic() - ready:.0f} s)"


def main() -> None:
    """Test the requested versions; fail if one that is installed here fails."""
    parser = argparse.ArgumentParser(description="Run the core of the tests on other Pythons.")
    parser.add_argument("versions", nargs="+", metavar="3.N")
    parser.add_argument("--newest", action="store_true", help="only the newest that is here")
    parser.add_argument("--keep", action="store_true", help="keep environments, .venv-3.N")
    asked = parser.parse_args()
    found = {version: find_python(version) for version in asked.versions}
    results = {version: _absent(version) for version, python in found.items() if python is None}
    here = sorted(((v, p) for v, p in found.items() if p), key=lambda one: _numbers(one[0]))
    for version, python in here[-1:] if asked.newest else here:
        folder = ROOT / f".venv-{version}"
        try:
            results[version] = test_core(version, python, folder)
        finally:
            if not asked.keep:
                shutil.rmtree(folder, ignore_errors=True)
    for version in sorted(results, key=_numbers):
        _say(f"Python {version}: {results[version]}")
    sys.exit(int(any(result.startswith("failed") for result in results.values())))


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _absent(version: str) -> str:
    return f"not tested: no python{version} on PATH, in /usr/bin or among pyenv's versions"


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
