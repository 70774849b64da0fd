"""All files of the tree are in the package, and nothing imports under another name."""

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from scripts.check_package import (
    COMPILED,
    ROOT,
    find_faults,
    module_names,
    package_folders,
    tree_files,
    wheel_files,
)

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
OUTSIDE_VSR = sorted(set(package_folders(ROOT)) - {"vsr"})


def test_every_folder_with_modules_is_a_listed_package() -> None:
    folders = {Path(file).parent for file in tree_files(ROOT) if file.endswith(".py")}
    assert {".".join(folder.parts) for folder in folders} == set(SETTINGS["setuptools"]["packages"])


def test_every_data_file_is_listed() -> None:
    listed = SETTINGS["setuptools"]["package-data"]
    for file in map(Path, tree_files(ROOT)):
        patterns = listed.get(".".join(file.parent.parts), ())
        assert file.suffix == ".py" or any(file.match(pattern) for pattern in patterns), file


def test_the_package_says_that_it_is_typed() -> None:
    assert "vsr/py.typed" in tree_files(ROOT)


@pytest.mark.parametrize("package", OUTSIDE_VSR)
def test_type_checkers_find_the_folder(package: str) -> None:
    folder = package_folders(ROOT)[package]
    assert (ROOT / "typings" / Path(*package.split("."))).resolve() == folder


@pytest.mark.parametrize("package", OUTSIDE_VSR)
def test_a_folder_cannot_be_imported_under_its_bare_name(package: str) -> None:
    folder = package_folders(ROOT)[package]
    spec = importlib.util.spec_from_file_location(folder.name, folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ImportError, match=package):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_a_forgotten_sub_package_is_noticed(tmp_path: Path) -> None:
    expected = {"vsr/__init__.py", "vsr/streams/__init__.py", "vsr/streams/colour.py"}
    wheel = tmp_path / "vsr.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("vsr/__init__.py", "vsr/old.py", "vsr_stream-1.dist-info/METADATA"):
            archive.writestr(name, "")
    assert find_faults(expected, wheel_files(wheel)) == [
        "missing from the wheel: vsr/streams/__init__.py",
        "missing from the wheel: vsr/streams/colour.py",
        "in the wheel, not in the tree: vsr/old.py",
    ]


def test_modules_are_named_as_they_are_imported() -> None:
    files = ["vsr/__init__.py", "vsr/types.py", "vsr/streams/__init__.py", "vsr/configs/a.toml"]
    files += ["vsr/streams/_yuv.abi3.so", "vsr/streams/_yuv.pyi"]
    assert module_names(files) == {"vsr.types", "vsr.streams", "vsr.streams._yuv"}


@pytest.mark.slow
def test_a_module_that_is_gone_is_not_packed_again(tmp_path: Path) -> None:
    tree, wheels = tmp_path / "tree", tmp_path / "wheels"
    apart = shutil.ignore_patterns(".*", "*.egg-info", "tests", "build", "dist", "docs", "runs")
    shutil.copytree(ROOT, tree, ignore=apart)
    words = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, tree)
    old = tree / "vsr/old.py"
    old.write_text("")
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (wheel,) = wheels.iterdir()
    assert "vsr/old.py" in wheel_files(wheel)
    old.unlink()
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    assert find_faults(tree_files(tree) | COMPILED, wheel_files(wheel)) == []


WITHOUT_EDITABLE = "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
"""With Python's -S, packages are found, and nothing that an editable installation arranges."""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(
            "sys.argv.append('models'); runpy.run_module('vsr', run_name='__main__')", id="command"
        ),
        pytest.param(
            "import vsr; vsr.Restorer(vsr.load_network('identity')); print(vsr.open_reader)",
            id="library",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_clones_folder_hides_no_part_of_the_package(program: str) -> None:
    words = [sys.executable, "-S", "-c", WITHOUT_EDITABLE + program, sysconfig.get_path("purelib")]
    said = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "compact-x4" in said or "open_reader" in said
