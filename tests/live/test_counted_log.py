"""Log lines that come again and again are counted."""

from __future__ import annotations

import logging

import pytest

from vsr.live.monitor.counted_log import CountedLog


def test_repeated_events_are_counted_and_reported_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = CountedLog(logging.getLogger("vsr.live"))
    for second in range(130):
        counted.warning("level", f"full at {second}", second)
        counted.warning("other", "refused", 2 * second)
        counted.catch_up("level", "full now", second)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "full" in line] == [
        "full at 0",
        "full at 60 (59 more like it since the last line)",
        "full at 120 (59 more like it since the last line)",
    ]
    assert sum("refused" in line for line in lines) == 5
    counted.catch_up("level", "pass-through now", 200)
    assert caplog.records[-1].getMessage() == (
        "pass-through now (9 more like it since the last line)"
    )
    counted.catch_up("level", "pass-through now", 300)
    assert caplog.records[-1].getMessage().startswith("pass-through now (9")
