"""The examples in deploy/ are what the program takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.live.harness import NO_SERVER, has_server
from vsr.cli.live import live
from vsr.live.options import StreamOptions
from vsr.live.streams_file import read_streams

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_the_example_of_several_streams_is_read() -> None:
    yard, gate = read_streams(DEPLOY / "streams.toml", StreamOptions(source="", target=""))
    assert (yard.latency_s, gate.latency_s) == (0.8, 1.5)
    assert gate.listen


@pytest.mark.parametrize("name", ["vsr-live.service", "compose.yaml", "streams.toml"])
def test_options_that_are_written_there_exist(name: str) -> None:
    text = (DEPLOY / name).read_text()
    known = {word for parameter in live.params for word in parameter.opts}
    lines = [line for line in text.splitlines() if "live" in line or re.match(r"\s*- --", line)]
    written = {word for line in lines for word in re.findall(r"(?<=[ ])--[a-z-]+", line)}
    assert written - {"--build", "--now"} <= known
    assert "--status" in written


def test_the_unit_is_exposed_to_little() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze (apt-get install systemd)")
    unit = DEPLOY / "vsr-live.service"
    words = [program, "security", "--no-pager", "--offline=yes", "--threshold=25", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    for bound in ("MemoryMax=", "WatchdogSec=", "UMask=0077", "LoadCredential="):
        assert bound in unit.read_text()


def test_the_containers_have_bounds_and_no_rights_they_do_not_need() -> None:
    compose = (DEPLOY / "compose.yaml").read_text()
    services = re.split(r"\n  (?=\w+:\n)", compose.partition("\nservices:")[2])[1:]
    restorer = next(one for one in services if one.startswith("restorer"))
    server = next(one for one in services if one.startswith("server"))
    for service in (restorer, server):
        for word in (
            "read_only: true",
            "cap_drop:",
            "no-new-privileges",
            "mem_limit:",
            "pids_limit:",
        ):
            assert word in service, word
    for name in ("Dockerfile", "server.Dockerfile"):
        users = re.findall(r"^USER (.+)$", (DEPLOY / name).read_text(), re.MULTILINE)
        assert users
        assert users[-1] not in {"root", "0"}


def test_the_servers_configuration_is_one() -> None:
    if not has_server():
        pytest.skip(NO_SERVER)
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert program is not None
    done = subprocess.run(
        [program, "-t", "-q", "-c", str(DEPLOY / "nginx.conf"), "-e", "stderr"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or "permission" in done.stderr.lower(), done.stderr


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze (apt-get install systemd)")
    text = (DEPLOY / "vsr-live.service").read_text()
    unit = tmp_path / "vsr-live.service"
    # Only the program itself is not there.
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    words = [program, "verify", "--man=no", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
    assert (done.returncode, ours) == (0, [])


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile and their arguments, lines joined."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(line[0], line[1] if len(line) > 1 else "") for line in lines]


DOCKERFILES = ("Dockerfile", "server.Dockerfile")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_keep_to_the_rules_of_linters(name: str) -> None:
    """Those of hadolint that apply: versions, one command, nothing left behind, no root."""
    told = instructions(DEPLOY / name)
    by_kind: dict[str, list[str]] = {}
    for kind, text in told:
        by_kind.setdefault(kind, []).append(text)
    assert set(by_kind) <= {
        "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "RUN", "STOPSIGNAL", "USER",
        "WORKDIR",
    }  # fmt: skip
    for image in by_kind["FROM"]:
        assert re.match(r"\S+:(?!latest)\S+", image), image
    for folder in by_kind.get("WORKDIR", []):
        assert folder.startswith("/")
    for kind in ("CMD", "ENTRYPOINT"):
        assert len(by_kind.get(kind, [])) <= 1
        assert all(json.loads(text) for text in by_kind.get(kind, []))
    for run in by_kind["RUN"]:
        assert not re.search(r"\b(sudo|cd|ssh|vim|apt)\b ", run), run
        if "apt-get install" in run:
            assert "--yes" in run
            assert "--no-install-recommends" in run
            assert run.rstrip().endswith("rm -rf /var/lib/apt/lists/*")
            assert run.startswith("apt-get update && ")
        if "pip install" in run:
            assert "--no-cache-dir" in run
    last = max(place for place, (kind, _) in enumerate(told) if kind == "FROM")
    assert any(kind == "USER" and text != "root" for kind, text in told[last:])


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_copy_what_exists(name: str) -> None:
    context = DEPLOY.parent if name == "Dockerfile" else DEPLOY
    for kind, text in instructions(DEPLOY / name):
        if kind == "COPY" and "--from" not in text:
            for path in text.split()[:-1]:
                assert (context / path).exists(), path


@pytest.mark.parametrize("place", [0, 1])
def test_jobs_of_the_example_cluster_find_the_program(place: int, tmp_path: Path) -> None:
    lines = (DEPLOY / "cluster.yaml").read_text().splitlines()
    starts = [
        line.strip().removeprefix("- ")
        for line in lines
        if " ray start" in line or "/ray start" in line
    ]
    programs = tmp_path / "vsr/bin"
    programs.mkdir(parents=True)
    (programs / "ray").write_text('#!/bin/sh\necho "$PATH"\n')
    (programs / "ray").chmod(0o755)
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    words = ["bash", "-c", starts[place]]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{programs}:")
