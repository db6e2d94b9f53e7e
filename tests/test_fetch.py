"""Fetching a file over HTTP: resumed, checked, cached; against a real server here."""

import hashlib
import http.server
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.weights import zoo
from jaxsr.weights.fetch import fetch

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at any path.

    Attributes:
        breaks_off: close the connection in the middle of the answer.
        stalls: send nothing more from the middle of the answer on, until it is set.
        knows_ranges: answer requests for a part with that part.
        ranges: the Range header of each request so far.
    """

    breaks_off = False
    stalls: threading.Event | None = None
    knows_ranges = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/net_x2.safetensors"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = 0
        if asked and self.server.knows_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        body = CONTENT[start:]
        status = 206 if start else 200
        if start and not body:
            status = 416
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2
        if self.server.stalls is not None:
            self.wfile.write(body[:half])
            self.server.stalls.wait(60)
            return
        self.wfile.write(body[:half] if self.server.breaks_off else body)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server():
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_fetch_once(server, tmp_path):
    for _ in range(2):
        path = fetch(server.url, sha256=SHA256, folder=tmp_path)
        assert path.read_bytes() == CONTENT
    assert server.ranges == [None]  # the second time it was in the cache
    assert list(tmp_path.iterdir()) == [path]


def test_fetch_by_several_at_once(server, tmp_path):
    def get(_):
        return fetch(server.url, sha256=SHA256, folder=tmp_path).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(get, range(4))) == {CONTENT}
    assert server.ranges == [None]


def test_fetch_by_several_in_place_of_a_damaged_one(server, tmp_path):
    (tmp_path / "net_x2.safetensors").write_bytes(CONTENT[:-1])
    with ThreadPoolExecutor(4) as pool:
        paths = pool.map(
            lambda _: fetch(server.url, sha256=SHA256, folder=tmp_path), range(4)
        )
        assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.ranges == [None]


def _check_that_it_goes_on(server, folder):
    (part,) = folder.glob("*.part")
    got = part.stat().st_size
    assert 0 < got <= len(CONTENT) // 2
    path = fetch(server.url, sha256=SHA256, folder=folder)
    assert server.ranges == [None, f"bytes={got}-"]
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]


def test_fetch_goes_on_where_it_broke(server, tmp_path):
    server.breaks_off = True
    with pytest.raises(InputError, match="cannot be fetched from http.*where it broke"):
        fetch(server.url, sha256=SHA256, folder=tmp_path)
    server.breaks_off = False
    _check_that_it_goes_on(server, tmp_path)


def test_fetch_gives_a_silent_server_up_and_goes_on_later(server, tmp_path):
    server.stalls = threading.Event()
    begun = time.monotonic()
    try:
        with pytest.raises(InputError, match="cannot be fetched from http.*it broke"):
            fetch(server.url, sha256=SHA256, folder=tmp_path, patience=0.5)
    finally:
        server.stalls.set()
    assert time.monotonic() - begun < 20
    server.stalls = None
    _check_that_it_goes_on(server, tmp_path)


@pytest.mark.parametrize("knows_ranges, got", [(False, 1000), (True, len(CONTENT))])
def test_fetch_from_a_part(server, tmp_path, knows_ranges, got):
    """A server that sends all again, and a part that was all but moved in place."""
    server.knows_ranges = knows_ranges
    (tmp_path / "net_x2.safetensors.part").write_bytes(CONTENT[:got])
    path = fetch(server.url, sha256=SHA256, folder=tmp_path)
    assert path.read_bytes() == CONTENT


def test_fetch_another_content(server, tmp_path):
    with pytest.raises(InputError, match="expected a file of SHA-256 00, got another"):
        fetch(server.url, sha256="00", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fetch_offline(tmp_path):
    url = "http://127.0.0.1:9/net_x2.safetensors"
    with pytest.raises(InputError, match=r"does not come with jaxsr, is not in .* and"):
        fetch(url, sha256=SHA256, folder=tmp_path)


def test_weights_file_with_a_url(server, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSR_CACHE_DIR", str(tmp_path / "cache"))
    entry = {"file": "net_x2.safetensors", "url": server.url, "sha256": SHA256}
    path = zoo.weights_file(entry)
    assert path == tmp_path / "cache" / "net_x2.safetensors"
    assert path.read_bytes() == CONTENT
