"""The packages' imports: one direction, no cycle."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import REPOSITORY

FOLDERS = ("vsr", "streams", "models", "configs")


def _name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    parts = parts if parts[0] == "vsr" else ("vsr", *parts)
    return ".".join(parts).removesuffix(".__init__")


MODULES = {_name(path): path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")}


def _node(module: str) -> str:
    """A package below the first level; a module that lies directly in vsr, streams or models."""
    is_package = MODULES[module].name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    return module if package in ("vsr", "vsr.streams", "vsr.models", "vsr.live") else package


def _imports(module: str) -> Iterator[str]:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _graph() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        if module not in ("vsr", "vsr.streams"):  # these give out names of the packages below
            found = {_node(name) for name in _imports(module) if name in MODULES}
            graph.setdefault(_node(module), set()).update(found - {_node(module)})
    return graph


def test_packages_import_each_other_in_one_direction() -> None:
    graph, done = _graph(), set[str]()

    def visit(package: str, above: tuple[str, ...]) -> None:
        assert package not in above, " -> ".join([*above, package])
        if package not in done:
            for below in graph.get(package, ()):
                visit(below, (*above, package))
            done.add(package)

    for package in graph:
        visit(package, ())


def test_streams_and_models_know_neither_each_other_nor_the_pipeline() -> None:
    common = {f"vsr{name}" for name in ("", ".address", ".types", ".errors", ".chunks", ".files")}
    for package, below in _graph().items():
        for own in ("vsr.streams", "vsr.models"):
            if package.startswith(own):
                assert {b for b in below if not b.startswith(own)} <= common, package


def test_the_architecture_page_names_modules_that_exist_and_every_package() -> None:
    page = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:vsr|streams|models|tests)/[\w/.]+\.py)`", page)
    assert named
    assert not [name for name in named if not (REPOSITORY / name).is_file()]
    packages = sorted(path.parent.name for path in (REPOSITORY / "vsr").glob("*/__init__.py"))
    assert not [name for name in packages if f"vsr/{name}" not in page]


def test_the_readme_is_short_and_draws_every_package() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    drawing = readme.partition("## Where things live")[2].partition("```\n\n")[0]
    packages = sorted(path.parent.name for path in (REPOSITORY / "vsr").glob("*/__init__.py"))
    assert not [name for name in packages if f"vsr/{name}" not in drawing]
    assert len(readme.splitlines()) < 150
