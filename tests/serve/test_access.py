"""Who may ask, and what an answer allows: everything that is not our own page with this start's token is refused."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest

pytestmark = [pytest.mark.peer("starlette"), pytest.mark.peer("uvicorn")]
QUESTION = json.dumps({"text": "x**2", "values": {"x": "3"}}).encode()


def test_the_address_gives_the_page_and_a_cookie_for_later(site) -> None:
    answer = site.send("GET", f"/?token={site.access.token}")
    assert answer.status == 200 and b"<textarea" in answer.body
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    later = site.send("GET", "/", Cookie=cookie.split(";")[0])
    assert later.status == 200 and "set-cookie" not in later.headers


def test_the_token_is_long_and_new_at_every_start(site) -> None:
    from symdiff.serve.access import Access

    assert len(site.access.token) >= 40
    assert Access(1).token != Access(1).token


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=%C3%A9", "?token={token}&token={token}"])
@pytest.mark.parametrize("path", ["/", "/playground.js", "/examples.json", "/nothing", "/document/x"])
def test_without_the_token_there_is_nothing(site, path: str, query: str) -> None:
    answer = site.send("GET", path + query.format(token=site.access.token))
    assert answer.status == 403
    assert site.access.token.encode() not in answer.body and "set-cookie" not in answer.headers


@pytest.mark.parametrize("cookie", ["", "symdiff=1", "{name}=", "{name}=wrong", "other={token}", "{name}x={token}"])
def test_a_wrong_cookie_is_refused(site, cookie: str) -> None:
    text = cookie.format(name=site.access.cookie, token=site.access.token)
    assert site.post(QUESTION, Cookie=text).status == 403


def test_a_token_in_the_address_opens_the_page_alone(site) -> None:
    path = f"/question?token={site.access.token}"
    assert site.send("POST", path, QUESTION, **{**site.own, "Cookie": ""}).status == 403


def test_a_program_may_send_the_token_as_a_header(site) -> None:
    own = {**site.own, "Cookie": "", "Origin": "", "X_Symdiff_Token": site.access.token}
    assert site.send("POST", "/question", QUESTION, **own).status == 200
    assert site.send("POST", "/question", QUESTION, **{**own, "X_Symdiff_Token": "wrong"}).status == 403
    assert site.send("POST", "/question", QUESTION, **{**own, "Origin": "http://evil.example"}).status == 403


def test_the_ticket_for_a_browser_is_good_once(site) -> None:
    address = site.access.address_once
    path = address[address.index("/?") :]
    assert site.access.token not in path
    assert site.send("GET", path).status == 200
    assert site.send("GET", path).status == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.2:{port}",
        "0.0.0.0:{port}",
        "[::1]:{port}",
        "127.0.0.1:{port}@evil.example",
        " ",
    ],
)
def test_a_foreign_host_is_refused(site, host: str) -> None:
    text = host.format(port=site.access.port)
    assert site.send("GET", f"/?token={site.access.token}", Host=text).status in (400, 403)
    assert site.post(QUESTION, Host=text).status in (400, 403)


def test_a_request_without_a_host_is_refused(site) -> None:
    assert site.post(QUESTION, Host="").status in (400, 403)


def test_localhost_is_the_same_page(site) -> None:
    own = {"Host": f"localhost:{site.access.port}", "Origin": f"http://localhost:{site.access.port}"}
    assert site.post(QUESTION, **own).status == 200


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://127.0.0.1"]
)
def test_a_foreign_origin_is_refused(site, origin: str) -> None:
    assert site.post(QUESTION, Origin=origin.format(port=site.access.port)).status == 403


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
def test_what_another_page_makes_the_browser_send_is_refused(site, where: str) -> None:
    cookie = site.own["Cookie"]
    assert site.post(QUESTION, Sec_Fetch_Site=where).status == 403
    assert site.send("GET", "/examples.json", Cookie=cookie, Sec_Fetch_Site=where).status == 403
    assert site.send("GET", "/examples.json", Cookie=cookie, Sec_Fetch_Site="same-origin").status == 200


def test_only_the_loopback_address_listens(site) -> None:
    from symdiff.serve.server import LOOPBACK, listening

    assert LOOPBACK == "127.0.0.1"
    with listening(0) as made:
        assert made.getsockname()[0] == "127.0.0.1" and made.family == socket.AF_INET


# -- requests that are no questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/playground.js/../../../pyproject.toml",
        "/playground.js%00",
        "/playground.html.j2",
        "/document/../../x",
        "/document/",
        "/document/x",
        "/document/..%2f..%2fpyproject.toml",
        "/templates/",
        "/question/",
        "/html",
    ],
)
def test_no_path_leads_to_a_file(site, path: str) -> None:
    answer = site.send("GET", path, Cookie=site.own["Cookie"])
    assert answer.status == 404
    assert len(answer.body) < 100


@pytest.mark.parametrize(("method", "path"), [("GET", "/question"), ("POST", "/"), ("PUT", "/"), ("TRACE", "/")])
def test_other_methods_are_refused(site, method: str, path: str) -> None:
    assert site.send(method, path, **site.own).status == 405


def test_a_large_body_is_refused_before_it_is_read(site) -> None:
    answer = site.post(b'{"text": "' + b"x" * 70_000 + b'"}')
    assert answer.status == 413
    parts = b"400\r\n" + b"x" * 1024 + b"\r\n"
    chunked = {**site.own, "Transfer_Encoding": "chunked", "Content_Length": ""}
    assert site.send("POST", "/question", parts * 80 + b"0\r\n\r\n", **chunked).status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"null",
        b'"x"',
        b'{"text": 1}',
        b'{"file": "/etc/passwd"}',
        b'{"wrt": "x"}',
        b'{"wrt": [1]}',
        b'{"values": []}',
        b'{"values": {"x": 1}}',
        b'{"want": "files"}',
        b'{"page": "a b"}',
        b'{"page": ""}',
        b"\xff\xfe",
        b'{"text": "x"',
        b"[" * 60000,
    ],
)
def test_what_is_no_question_is_refused(site, body: bytes) -> None:
    answer = site.post(body)
    assert answer.status == 400
    assert b"Traceback" not in answer.body and len(answer.body) < 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_of_another_page_could_not_be_a_question(site, kind: str) -> None:
    assert site.post(QUESTION, Content_Type=kind).status == 415


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def answers(site) -> Iterator[list]:
    cookie = site.own["Cookie"]
    paths = ("/", "/playground.js", "/playground.css", "/examples.json", "/nothing")
    yield [*(site.send("GET", path, Cookie=cookie) for path in paths), site.send("GET", "/"), site.post(QUESTION)]


def test_every_answer_forbids_other_origins(answers) -> None:
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert "server" not in answer.headers


def test_the_page_has_no_script_or_style_of_its_own_and_no_foreign_address(site) -> None:
    page = site.send("GET", "/", Cookie=site.own["Cookie"]).body.decode()
    assert not re.search(r"<style|\son\w+=|\sstyle=|<script(?! src=\"playground.js\" type=\"module\"><)", page)
    for path in ("/", "/playground.js", "/playground_tables.js", "/playground.css"):
        text = site.send("GET", path, Cookie=site.own["Cookie"]).body.decode()
        assert not re.search(r"https?://|//[a-z]+\.", text), path
