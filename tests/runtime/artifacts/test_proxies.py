"""Tests of the choice of a proxy, and of pulls through real proxies."""

import socket
import threading
from base64 import b64encode
from contextlib import suppress

import pytest

from runtime.artifacts.proxies import Proxy, proxy_for
from runtime.errors import BadSetting, StoreUnreachable
from tests.runtime.artifacts.conftest import SHORT_TIMEOUTS, Bench
from tests.runtime.artifacts.hostile import HostileServer, send_and_close
from tests.runtime.faulty_s3 import FaultyS3

HOST = "s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "http://p:3128"}, Proxy("p", 3128)),
        ({"HTTPS_PROXY": "p:3128"}, Proxy("p", 3128)),
        ({"HTTPS_PROXY": "http://p"}, Proxy("p", 80)),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"}, Proxy("q", 2)),
        ({"ALL_PROXY": "http://p:1"}, Proxy("p", 1)),
        ({"HTTPS_PROXY": "http://u:p%40ss@p:1"}, Proxy("p", 1, f"Basic {b64encode(b'u:p@ss').decode()}")),
        ({"HTTPS_PROXY": "http://u@p:1"}, Proxy("p", 1, f"Basic {b64encode(b'u:').decode()}")),
    ],
)
def test_the_proxy_is_read_from_the_environment(environ: dict[str, str], proxy: Proxy | None) -> None:
    assert proxy_for("https", HOST, environ) == proxy


@pytest.mark.parametrize(
    ("host", "excluded", "direct"),
    [
        (HOST, "*", True),
        (HOST, "localhost, .amazonaws.com", True),
        (HOST, "AMAZONAWS.com", True),
        (HOST, HOST, True),
        (HOST, "naws.com,,", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.2.0.0/16", False),
        ("::1", "::1", True),
        ("10.1.2.3", "", False),
    ],
)
def test_an_excluded_host_needs_no_proxy(host: str, excluded: str, *, direct: bool) -> None:
    assert (proxy_for("http", host, {"HTTP_PROXY": "http://p:1", "NO_PROXY": excluded}) is None) is direct


@pytest.mark.parametrize("value", ["https://p:1", "socks5://p:1", "http://:1", "http://p:port", "http://u:pa55@p q:x"])
def test_the_error_for_an_invalid_proxy_does_not_contain_its_value(value: str) -> None:
    with pytest.raises(BadSetting, match=r"^HTTPS_PROXY: expected http") as raised:
        proxy_for("https", HOST, {"HTTPS_PROXY": value})
    assert "pa55" not in f"{raised.value}{raised.value.details}"


def test_plain_http_is_sent_to_the_proxy_with_the_complete_url(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = bench.put(b"content")
    monkeypatch.setenv("AWS_ENDPOINT_URL", bench.s3.endpoint_url)
    monkeypatch.setenv("NO_PROXY", "")
    with FaultyS3(bench.s3.endpoint_url) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.endpoint_url.replace("http://", "http://user:password@"))
        assert bench.fetch(stored.uri).path.read_bytes() == b"content"
        (seen,) = proxy.seen
    assert seen.path == bench.s3.endpoint_url + stored.path
    assert seen.headers["proxy-authorization"] == f"Basic {b64encode(b'user:password').decode()}"
    assert bench.faulty.seen == []


def forward_bytes(connection: socket.socket, target: str) -> None:
    """Forward all bytes in both directions, as a proxy does after CONNECT."""
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port))) as server:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def forward_response() -> None:
            with suppress(OSError):  # the client may close the connection first
                while piece := server.recv(65536):
                    connection.sendall(piece)

        response = threading.Thread(target=forward_response, daemon=True)
        response.start()
        while piece := connection.recv(65536):
            server.sendall(piece)
        with suppress(OSError):  # the server may have closed it
            server.shutdown(socket.SHUT_RDWR)
        response.join()  # before its sockets are closed


def test_a_proxy_that_refuses_connect_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(send_and_close(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.invalid")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        with pytest.raises(StoreUnreachable, match="the proxy answered CONNECT with status 407"):
            bench.fetch("s3://models/m.onnx", policy=SHORT_TIMEOUTS)
    assert proxy.heads[0].startswith("CONNECT s3.invalid:443 HTTP/1.1\r\n")
