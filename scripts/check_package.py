"""Build the distribution and test it in a clean environment: ``make package``.

sdist → wheel → are all files of the tree in it → clean environment → import every module, start
the command line and restore a clip, from an empty folder. A sub-package that ``pyproject.toml``
forgets works in an editable install and is absent from the wheel; this is what notices.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import textwrap
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

COMPILED = {"vsr/streams/_yuv.abi3.so"}
"""What is optional for who installs from source, but never absent from a wheel."""

IMPORT_ALL = """
import importlib, pkgutil, sys, vsr
from vsr.errors import MissingDependency
names = {module.name for module in pkgutil.walk_packages(vsr.__path__, "vsr.")}
for name in sorted(names):
    try: importlib.import_module(name)
    except MissingDependency as error: print(f"{name}: {error}")
    except ModuleNotFoundError as error:
        if error.name not in {"anyio", "starlette", "uvicorn"}: raise  # the extra `web`
        print(f"{name}: {error}")
if missing := set(sys.argv[1:]) - names: sys.exit(f"not in the installed package: {missing}")
"""

MAKE_CLIP = """
import subprocess, sys
from vsr.streams.ffmpeg.process import find_ffmpeg
words = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.4"]
subprocess.run([find_ffmpeg(), *words, "-pix_fmt", "yuv420p", sys.argv[1]], check=True)
"""


def package_folders(root: Path) -> dict[str, Path]:
    """Give the folder of each top-level package, as ``pyproject.toml`` maps them."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    folders: dict[str, str] = settings["tool"]["setuptools"]["package-dir"]
    return {name: root / folder for name, folder in folders.items()}


def tree_files(root: Path) -> set[str]:
    """Give the path in a wheel of every file that belongs to a package and is not compiled."""
    return {
        (Path(*name.split(".")) / file.relative_to(folder)).as_posix()
        for name, folder in package_folders(root).items()
        for file in folder.rglob("*")
        if _is_packed(file)
    }


def _is_packed(file: Path) -> bool:
    if "__pycache__" in file.parts or file.name.startswith("."):
        return False
    return file.is_file() and file.suffix not in {".c", ".h", ".so"}


def wheel_files(wheel: Path) -> set[str]:
    """Give the files of a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    return {name for name in names if ".dist-info/" not in name}


def module_names(files: Iterable[str]) -> set[str]:
    """Give the modules below ``vsr`` that these files make."""
    modules = (Path(file.split(".")[0]) for file in files if file.endswith((".py", ".so")))
    names = (".".join(m.parent.parts if m.name == "__init__" else m.parts) for m in modules)
    return {name for name in names if name != "vsr"}


def find_faults(expected: set[str], packed: set[str]) -> list[str]:
    """Give one line for each file that one side has and the other lacks."""
    return [
        *(f"missing from the wheel: {file}" for file in sorted(expected - packed)),
        *(f"in the wheel, not in the tree: {file}" for file in sorted(packed - expected)),
    ]


def run(*command: str | Path, folder: Path = ROOT) -> None:
    """Run a program to its end; its failure ends this one."""
    shown = " ".join(str(word) for word in command if "\n" not in str(word))
    _say(f"$ {textwrap.shorten(shown, 160, placeholder=' …')}")
    subprocess.run([str(word) for word in command], cwd=folder, check=True)


def build(into: Path) -> Path:
    """Build the sdist and, from it, the wheel."""
    run(sys.executable, "-m", "build", "--quiet", "--outdir", into, ROOT)
    (wheel,) = into.glob("*.whl")
    return wheel


def try_wheel(wheel: Path, modules: set[str], folder: Path) -> None:
    """Install a wheel into a fresh environment and use it from an empty folder."""
    empty, environment = folder / "empty", folder / "environment"
    empty.mkdir()
    venv.create(environment, symlinks=True)
    python, vsr = environment / "bin" / "python", environment / "bin" / "vsr"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel)
    run(python, "-I", "-c", IMPORT_ALL, *sorted(modules), folder=empty)
    run(vsr, "--help", folder=empty)
    run(vsr, "models", folder=empty)
    run(python, "-m", "vsr", "models", folder=ROOT)  # where folders of the tree have like names
    run(python, "-I", "-c", MAKE_CLIP, "clip.mp4", folder=empty)
    run(vsr, "restore", "clip.mp4", "restored.mp4", "--quiet", folder=empty)


def main() -> None:
    """Run all steps; a distribution that passed stays in ``dist/``."""
    with tempfile.TemporaryDirectory(prefix="vsr-package-") as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        expected = tree_files(ROOT) | COMPILED
        if faults := find_faults(expected, wheel_files(wheel)):
            sys.exit("\n".join(faults))
        try_wheel(wheel, module_names(expected), folder)
        shutil.copytree(folder / "dist", ROOT / "dist", dirs_exist_ok=True)
        _say(f"{wheel.name}: {len(expected)} files, every module imports")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
