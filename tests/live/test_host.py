"""Hosts of addresses that are looked up before a stream begins."""

from __future__ import annotations

import pytest

from vsr.errors import OpenError
from vsr.live.input.address import check_host


def test_a_host_that_does_not_exist_is_named_and_the_key_is_not() -> None:
    with pytest.raises(OpenError, match=r"nowhere\.invalid") as caught:
        check_host("rtmp://nowhere.invalid/app/s3cret")
    assert "s3cret" not in str(caught.value)


def test_malformed_addresses_are_reported_without_their_text() -> None:
    with pytest.raises(OpenError, match="rtmp://… is no address") as caught:
        check_host("rtmp://[::1/app/s3cret")
    assert "s3cret" not in str(caught.value)
