"""Access control of the page, and the policy of every answer."""

from __future__ import annotations

import pytest

from tests.web.conftest import TOKEN, Served


def cookie(served: Served) -> str:
    return f"vsr-web-{served.port}={TOKEN}"


def own(served: Served) -> str:
    return f"http://127.0.0.1:{served.port}"


def test_the_address_with_the_token_logs_in(served: Served) -> None:
    answer = served.ask(f"/?token={TOKEN}", token=None)
    assert answer.status == 200
    assert answer.headers["set-cookie"] == f"{cookie(served)}; HttpOnly; SameSite=Strict; Path=/"
    assert served.ask("/api/films", token=None, Cookie=cookie(served)).status == 200


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/api/films", f"/api/films?token={TOKEN}"])
def test_without_the_token_nothing_is_shown(served: Served, path: str) -> None:
    answer = served.ask(path, token=None)
    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    assert served.ask(path, token="wrong").status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_is_refused(served: Served, host: str) -> None:
    assert served.ask("/api/films", Host=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:{port}", "[::1]:{port}"])
def test_names_of_this_machine_are_accepted(served: Served, host: str) -> None:
    assert served.ask("/api/films", Host=host.format(port=served.port)).status == 200


def test_a_foreign_origin_changes_nothing(served: Served) -> None:
    for origin in ("http://evil.example", f"http://localhost:{served.port}", "null"):
        answer = served.ask(
            "/api/films?name=a.mp4",
            "PUT",
            body=b"",
            token=None,
            Cookie=cookie(served),
            Origin=origin,
        )
        assert answer.status == 403
    answer = served.ask("/api/films", "PUT", body=b"", token=None, Cookie=cookie(served))
    assert answer.status == 403


def test_our_own_page_may_change_things(served: Served) -> None:
    answer = served.ask(
        "/api/films?name=a.exe",
        "PUT",
        body=b"",
        token=None,
        Cookie=cookie(served),
        Origin=own(served),
        Sec_Fetch_Site="same-origin",
    )
    assert answer.status == 415


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_pages_of_this_browser_read_nothing(served: Served, site: str) -> None:
    answer = served.ask("/api/films", token=None, Cookie=cookie(served), Sec_Fetch_Site=site)
    assert answer.status == 403


def test_every_answer_carries_the_policy_and_no_cors(served: Served) -> None:
    for answer in (
        served.ask("/"),
        served.ask("/api/films", Origin="http://evil.example"),
        served.ask("/missing"),
        served.ask("/api/films", "OPTIONS", token=None),
    ):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not [name for name in answer.headers if name.startswith("access-control")]
