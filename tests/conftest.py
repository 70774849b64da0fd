"""Marks, threads and shared data of all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.mirror import Mirror, serve_mirror

pytest_plugins = ["tests.command_line"]

REPOSITORY = Path(__file__).resolve().parents[1]

# The networks of tests are tiny: a second thread would only wait, and long where its core is taken.
torch.set_num_threads(1)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Half as many again as there are cores: tests of running streams wait most of the time."""
    return (os.cpu_count() or 1) * 3 // 2


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None or torch.cuda.is_available():
        return
    if os.environ.get("VSR_REQUIRE_GPU") == "1":
        pytest.fail("VSR_REQUIRE_GPU=1, and there is no CUDA device")
    pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference data beside the checkout: footage, and outputs of the published networks."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"reference data is not beside the checkout ({folder.name}/)")
    return folder


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A server of checkpoints, reached without a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve_mirror() as running:
        yield running


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache; its folder is not there yet."""
    monkeypatch.setenv("VSR_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
