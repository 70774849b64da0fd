"""`vsr live` as a process of its own, and the figures it serves."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class LiveProcess:
    """`vsr live`, running.

    Attributes:
        process: It; its standard output is JSON.
        page: Address of its figures.
    """

    process: subprocess.Popen[str]
    page: str

    def figures(self) -> dict[str, float]:
        """Counters and gauges that have one value, by name."""
        with build_opener(ProxyHandler({})).open(f"{self.page}metrics") as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        return {sample.name: sample.value for sample in samples if "le" not in sample.labels}

    def resident_mib(self) -> float:
        """Its memory, as it says itself."""
        return self.figures()["process_resident_memory_bytes"] / 2**20

    def helpers_mib(self) -> float:
        """Memory of the processes it started, as Linux says: the encoder, and one for each sink."""
        helpers = self._children()
        pages = [_read(Path(f"/proc/{helper}/statm")).split()[1:2] for helper in helpers]
        return sum(int(one) for few in pages for one in few) * resource.getpagesize() / 2**20

    def _children(self) -> list[str]:
        listed = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [child for file in listed for child in _read(file).split()]

    def passed_through(self) -> int:
        """Frames that were only enlarged so far."""
        return round(self.figures()["vsr_passed_through_total"])

    def terminate(self) -> str:
        """End it in order; what it prints in the end."""
        self.process.terminate()
        return self.process.communicate(timeout=60)[0]


def _read(path: Path) -> str:
    """A file of /proc; empty where its thread or process has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


@contextmanager
def restoring(words: list[str]) -> Iterator[LiveProcess]:
    """Run `vsr live` meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vsr", "live", *words, "--status", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    while line and "figures at" not in line:
        line = process.stderr.readline()
    said = threading.Thread(target=lambda: sys.stderr.writelines(process.stderr or ()), daemon=True)
    said.start()
    try:
        if not line:
            sys.exit("vsr live ended before it began")
        yield LiveProcess(process, line.split()[-1])
    finally:
        process.kill()
        process.wait()
