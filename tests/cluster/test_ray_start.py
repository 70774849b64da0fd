"""A cluster that ``ray start`` has made, reached by its addresses, and lost while it works."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.cluster.footage import Footage, make_footage
from vsr.cluster.restore import restore

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

TOKEN = {"RAY_AUTH_TOKEN": "of these tests"}
QUICK_LOSS = {"RAY_CLIENT_RECONNECT_GRACE_PERIOD": "5"}
PATIENCE_S = 300


@dataclass(frozen=True, kw_only=True)
class Head:
    """A running head node.

    Attributes:
        process: ``ray start --head --block``, the leader of the group of all its processes.
        port: Port of the cluster.
        client_port: Port of Ray's client.
    """

    process: subprocess.Popen[bytes]
    port: int
    client_port: int

    def address(self, prefix: str) -> str:
        return f"{prefix}127.0.0.1:{self.client_port if prefix else self.port}"

    def kill(self) -> None:
        """End everything that runs on the head, as a power cut does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def head_node() -> Iterator[Head]:
    """Start a head node with two cores that asks for a token, and end it."""
    port, client_port = free_ports(2)
    words = ["--head", "--block", "--num-cpus=2", "--include-dashboard=false"]
    words += [f"--port={port}", f"--ray-client-server-port={client_port}"]
    # Paths of sockets have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", *words, f"--temp-dir={folder}"],
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **TOKEN, "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"},
        )
        head = Head(process=process, port=port, client_port=client_port)
        try:
            assert process.stdout is not None
            said: list[bytes] = []
            for line in iter(process.stdout.readline, b""):
                said.append(line)
                if b"will now block" in line:
                    break
            else:
                pytest.fail(b"".join(said).decode())
            yield head
        finally:
            head.kill()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return make_footage(tmp_path_factory.mktemp("footage"))


def start(footage: Footage, target: Path, address: str) -> subprocess.Popen[str]:
    words = [
        *(sys.executable, "-m", "vsr", "restore", str(footage.source), str(target)),
        *("--model", str(footage.options.model), "--chunk", "5", "--look-ahead", "2"),
        *("--segment", "10", "--scenes", "every 10", "--device", "cpu", "--json"),
        *("--cluster", address, "--worker-cores", "1"),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_AUTH_MODE"}
    return subprocess.Popen(
        words,
        env={**environment, **TOKEN, **QUICK_LOSS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def killed_if_it_hangs(process: subprocess.Popen[str]) -> Iterator[None]:
    """Leave no process to later tests."""
    try:
        yield
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail("it hangs: " + "".join(process.communicate()))


@pytest.mark.parametrize("prefix", ["", "ray://"])
def test_its_file_is_that_of_one_machine_which_continues_where_the_head_is_lost(
    footage: Footage, tmp_path: Path, prefix: str
) -> None:
    whole, begun = tmp_path / "whole.mp4", tmp_path / "begun.mp4"
    journal = tmp_path / "begun.mp4.resume" / "journal.jsonl"
    with head_node() as head:
        out, said = start(footage, whole, head.address(prefix)).communicate(timeout=PATIENCE_S)
        assert out, said
        assert len(json.loads(out)["workers"]) == 2
        assert whole.read_bytes() == footage.content

        driver = start(footage, begun, head.address(prefix))
        while not (journal.exists() and journal.read_text().count("\n") >= 2):
            assert driver.poll() is None, driver.communicate()
            time.sleep(0.02)
        head.kill()
        with killed_if_it_hangs(driver):
            _, said = driver.communicate(timeout=PATIENCE_S)
    if driver.returncode == 0:  # all was done by then
        assert begun.read_bytes() == footage.content
        return
    assert driver.returncode == 1
    assert said.splitlines()[-1].startswith("vsr: the cluster is lost (")
    assert not begun.exists()
    options = replace(footage.options, resume=True)
    assert restore(str(footage.source), str(begun), options).resumed >= 10
    assert begun.read_bytes() == footage.content
