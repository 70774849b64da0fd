"""The examples in deploy/ are what the program takes."""

from __future__ import annotations

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
