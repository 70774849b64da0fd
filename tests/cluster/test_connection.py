"""Connecting to a Ray cluster whose head node is busy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from vsr.cluster import ray_connection
from vsr.cluster.ray_connection import CONNECT_TRIES, connect
from vsr.errors import VSRError

ABORTED = ConnectionAbortedError(
    "Initialization failure from server:\nstarting proxy server failed"
)
"""What Ray 2.60 raises where the head was too slow to start the server of a client."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(ray_connection, "CONNECT_AGAIN_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"ray://127.0.0.1:{listening.getsockname()[1]}"


def ray_that_answers(*answers: Exception | None) -> SimpleNamespace:
    errors = SimpleNamespace(RayError=type("RayError", (Exception,), {}))
    return SimpleNamespace(init=Mock(side_effect=answers), exceptions=errors)


def test_an_aborted_connection_is_tried_again(address: str) -> None:
    ray = ray_that_answers(ABORTED, None)
    connect(ray, address)
    assert ray.init.call_count == 2


@pytest.mark.parametrize(
    ("error", "tries"), [(ABORTED, CONNECT_TRIES), (ConnectionError("no token"), 1)]
)
def test_what_does_not_answer_is_said_in_a_line(address: str, error: Exception, tries: int) -> None:
    ray = ray_that_answers(*[error] * tries)
    with pytest.raises(VSRError, match="no Ray cluster answers at 'ray://") as raised:
        connect(ray, address)
    assert ray.init.call_count == tries
    assert "\n" not in str(raised.value)
