"""The queue between two stages."""

from __future__ import annotations

import threading

import pytest

from vsr.offline.queue import StageQueue


def test_queued_items_are_delivered_in_order_before_the_end() -> None:
    channel: StageQueue[int] = StageQueue(3)
    for item in range(3):
        channel.put(item)
    channel.close()
    assert list(channel) == [0, 1, 2]


def test_a_full_channel_holds_its_sender_back() -> None:
    channel: StageQueue[int] = StageQueue(1)
    sender = threading.Thread(target=lambda: [channel.put(item) for item in range(4)])
    sender.start()
    received = []
    for item in channel:
        received.append(item)
        if item == 3:
            break
    sender.join(timeout=10)
    assert received == [0, 1, 2, 3]
    assert not sender.is_alive()


def test_closing_frees_a_sender_that_waits_and_tells_it() -> None:
    channel: StageQueue[int] = StageQueue(1)
    channel.put(0)
    answers: list[bool] = []
    sender = threading.Thread(target=lambda: answers.append(channel.put(1)))
    sender.start()
    channel.close()
    sender.join(timeout=10)
    assert answers == [False]


def test_an_error_reaches_the_receiver_after_what_came_before_it() -> None:
    channel: StageQueue[int] = StageQueue(2)
    channel.put(7)
    channel.close(ValueError("broken"))
    received: list[int] = []
    with pytest.raises(ValueError, match="broken"):
        received.extend(channel)
    assert received == [7]


def test_an_error_reaches_the_sender_too() -> None:
    channel: StageQueue[int] = StageQueue(2)
    channel.close(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        channel.put(1)
