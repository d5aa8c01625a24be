"""The page's border: who may ask, and what a request may do."""

import http.client
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from interlayer.generators import ToyGenerator

from .browsing import free_port, served

guard = pytest.importorskip("interlayer.app.demo.guard", reason="needs the extra demo")

FORM = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\nabc\r\n--x--\r\n"
MULTIPART = "multipart/form-data; boundary=x"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, int, Path]]:
    """A page of the toy, its port, and the folder of its uploads."""
    uploads = tmp_path_factory.mktemp("uploads")
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    port = free_port()
    shown, _ = served(ToyGenerator(), port)
    yield shown, port, uploads
    shown.close()
    if before is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


def ask(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[int, bytes]:
    """Status and content of an answer; ``Host`` is as given, or none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    try:
        content = b"" if "event-stream" in answer.headers.get("content-type", "") else answer.read()
        return answer.status, content
    finally:
        connection.close()


def routes(shown: Any) -> list[tuple[str, str]]:
    """Method and path of every route, with something in the place of each parameter."""
    found, pending = [], list(shown.app.routes)
    while pending:
        route = pending.pop()
        pending += getattr(getattr(route, "original_router", None), "routes", [])
        path = re.sub(r"\{[^}]*\}", "x", getattr(route, "path", "/"))
        found += [(method, path) for method in sorted(getattr(route, "methods", None) or {"GET"})]
    return found


def test_every_route_is_refused_under_another_name(page):
    shown, port, uploads = page
    everything = routes(shown)
    assert ("POST", "/gradio_api/upload") in everything and len(everything) > 60
    for method, path in everything:
        headers = {"Host": "evil.example", "Content-Type": MULTIPART}
        assert ask(port, method, path, headers, FORM)[0] == 403, (method, path)
    assert not [path for path in uploads.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "host", ["evil.example:7860", "", "127.0.0.1.evil.example", "169.254.1.1", "localhost@evil"]
)
def test_hosts_that_are_not_this_machine_are_refused(page, host):
    assert ask(page[1], "GET", "/health", {"Host": host})[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9999", "[::1]:7860", "LOCALHOST"])
def test_names_of_this_machine_are_admitted_through_any_port(page, host):
    assert ask(page[1], "GET", "/health", {"Host": host})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_a_form_of_another_site_uploads_nothing(page, headers):
    _, port, uploads = page
    own = {"Host": f"127.0.0.1:{port}", "Content-Type": MULTIPART}
    assert ask(port, "POST", "/gradio_api/upload", own | headers, FORM)[0] == 403
    assert not [path for path in uploads.rglob("*") if path.is_file()]


def test_the_page_itself_may_upload(page):
    _, port, uploads = page
    own = {"Host": f"127.0.0.1:{port}", "Origin": f"http://127.0.0.1:{port}"}
    status, content = ask(
        port, "POST", "/gradio_api/upload", own | {"Content-Type": MULTIPART}, FORM
    )
    assert status == 200 and json.loads(content)
    for path in uploads.rglob("a.png"):
        path.unlink()


def test_two_hundred_requests_at_once_make_no_error_of_the_server(page):
    _, port, _ = page
    own = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json"}
    kinds = [
        ("GET", "/", b""),
        ("GET", "/config", b""),
        ("GET", "/health", b""),
        ("GET", "/gradio_api/info", b""),
        ("GET", "/gradio_api/file=/etc/passwd", b""),
        ("GET", "/nothing/there", b""),
        ("POST", "/gradio_api/queue/join", b'{"data": [], "fn_index": 0, "session_hash": "a"}'),
        ("POST", "/gradio_api/queue/join", b'{"data": 1}'),
        ("POST", "/gradio_api/queue/join", b"{"),
        ("POST", "/gradio_api/upload", b"{}"),
    ]
    requests = 20 * kinds

    def answered(number: int) -> int:
        method, path, body = requests[number]
        return ask(port, method, path, own, body)[0]

    with ThreadPoolExecutor(len(requests)) as visitors:
        statuses = list(visitors.map(answered, range(len(requests))))
    failed = {requests[n] for n, status in enumerate(statuses) if status >= 500}
    assert len(requests) == 200 and not failed
    assert ask(port, "GET", "/health", own)[0] == 200


@pytest.mark.parametrize(
    ("listening", "name", "known"),
    [
        ("127.0.0.1", "192.168.1.5", False),
        ("0.0.0.0", "192.168.1.5", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "localhost", True),
        ("photos.example", "photos.example", True),
    ],
)
def test_a_page_on_the_network_knows_addresses_and_its_own_name(listening, name, known):
    assert guard.HostGuard(lambda *_: None, listening).knows(name) is known
