"""Runs of one process leave each other, and the program around them, their threads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.media import Clip, write_clip
from tests.networks import moving_clip
from tests.streaming import pieces
from vsr.engine.batch import BatchRestorer
from vsr.engine.cpu_threads import use_one_core
from vsr.live.shared_network import NetworkShare, SharedNetwork
from vsr.models.architectures.baselines import Identity
from vsr.offline.pipeline import run
from vsr.restorer import Restorer
from vsr.streams import open_reader, open_writer


class Noting(Identity):
    """Notes with how many threads torch works in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def step(self, window_BTCHW: Tensor, *rest: Any, **named: Any) -> tuple[Tensor, Any]:
        self.threads.append(torch.get_num_threads())
        return super().step(window_BTCHW, *rest, **named)


@pytest.fixture
def three_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def restore(source: Path, network: Noting) -> None:
    with open_reader(str(source)) as reader:
        restorer = Restorer(network, chunk=2, look_ahead=0, device="cpu", precision="float32")
        info = reader.info
        run(reader, restorer, open_writer("null", info, height=info.height, width=info.width))


@pytest.mark.usefixtures("three_threads")
def test_steps_of_two_runs_in_two_threads_have_all_the_threads(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=8))
    networks = [Noting(), Noting(), Noting()]
    restore(source, networks[0])
    workers = [threading.Thread(target=restore, args=(source, n)) for n in networks[1:]]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [network.threads for network in networks] == [[3] * 4] * 3
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_only_the_network_of_streams_that_share_one_takes_all_the_threads() -> None:
    network, between = Noting(), list[int]()
    batch = BatchRestorer(network, chunk=2, look_ahead=0, device="cpu", precision="float32")

    def stream() -> None:
        use_one_core()
        share = NetworkShare(SharedNetwork(batch), "one")
        for piece in pieces(moving_clip(4, 8, 8, 0), 2):
            share.push(piece)
            between.append(torch.get_num_threads())

    worker = threading.Thread(target=stream)
    worker.start()
    worker.join()
    assert network.threads == [3, 3]
    assert between == [1, 1]
