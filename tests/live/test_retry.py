"""When what failed is tried again, and when not."""

from __future__ import annotations

from vsr.live.input.retry import LONGEST_DELAY_S, Retry


def test_attempts_come_ever_later_up_to_a_bound() -> None:
    retry = Retry(None)
    delays = [retry.next_delay_s() for _ in range(8)]
    assert delays == sorted(delays, key=lambda delay: delay or 0)
    assert delays[0] != delays[-1] == LONGEST_DELAY_S
    retry.succeeded()
    assert retry.next_delay_s() == delays[0]


def test_attempts_end_where_a_number_is_given() -> None:
    retry = Retry(2)
    assert [retry.next_delay_s() is None for _ in range(3)] == [False, False, True]
