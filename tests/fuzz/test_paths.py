"""Known and unknown paths: any method, any body, and any text as a parameter."""

import re
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.frontends.catalogue import PROTOCOLS
from tests.fuzz import law
from tests.runtime.frontends.conftest import Served
from tests.waiting import DEADLINE

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
OURS = ("/api/v1/models", "/api/v1/models/{model}", "/api/v1/models/{model}/predict", "/healthz/ready", "/openapi.json")
PATTERNS = sorted(
    {path.pattern for each in PROTOCOLS if each.rest for path in (*each.rest.paths, *each.rest.generic)} | {*OURS}
)
PREFIXES = ("/v2", "/v1", "/v1/models", "/predictions", "/explanations", "/api/v1/models", "/healthz", "/nobody")
UNUSUAL = (
    "%6D",
    "m%2F..",
    "..",
    ".",
    "%2e%2e",
    "%00",
    "m%00",
    "x" * 10_000,
    "%ff",
    "%F0%9F%98%80",
    "m%0d%0aa:b",
    "m:predict",
    "%",
    "%zz",
    "9" * 400,
    "-1",
    "m%252e",
)
BODIES = (b"", b"{}", b"[]", b"\xff\xfe", b'{"inputs":[[1,2]]}')
SETTINGS = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
segments = st.one_of(
    st.sampled_from(UNUSUAL), st.text("abm%./:{}~\"'\\|^ 0", max_size=9).map(lambda text: text.replace(" ", "%20"))
)


@pytest.fixture
def connection(served: Served) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE)
    yield connection
    connection.close()


def send(
    connection: HTTPConnection, method: str, target: str, body: bytes = b"", kind: str = "application/json"
) -> HTTPResponse:
    """Send a target unchanged, and check the answer."""
    connection.putrequest(method, "/", skip_accept_encoding=True)
    connection._buffer[0] = f"{method} {target} HTTP/1.1".encode("latin-1")  # type: ignore[attr-defined]
    connection.putheader("content-type", kind)
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    law.rest(target, answer.status, headers, answer.read(), method=method)
    return answer


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_method_and_body_on_a_known_path(connection: HTTPConnection, pattern: str) -> None:
    target = re.sub(r"\{(model)\}", "m", pattern).replace("{version}", "1").replace("{label}", "stable")
    target = re.sub(r"\{[a-z.]+\}", "a/b" if "..." in pattern else "a", target)
    for method in METHODS:
        for body in BODIES if method not in {"GET", "HEAD", "TRACE"} else BODIES[:1]:
            send(connection, method, target, body)


@pytest.mark.parametrize("text", UNUSUAL, ids=range(len(UNUSUAL)))
def test_unusual_text_as_each_parameter(connection: HTTPConnection, text: str) -> None:
    for pattern in PATTERNS:
        for parameter in re.findall(r"\{[a-z.]+\}", pattern):
            target = re.sub(r"\{[a-z.]+\}", "m", pattern.replace(parameter, text))
            for method in ("GET", "POST"):
                send(connection, method, target, b"{}")


@pytest.mark.parametrize("prefix", PREFIXES)
@SETTINGS
@given(rest=st.lists(segments, max_size=4), method=st.sampled_from(METHODS))
def test_unknown_paths_below_every_prefix(served: Served, prefix: str, rest: list[str], method: str) -> None:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE)
    try:
        send(connection, method, "/".join([prefix, *rest]))
    finally:
        connection.close()


@pytest.mark.parametrize(
    "target",
    [
        "//",
        "/v2//",
        "/v2/models//infer",
        "/v1/models/:predict",
        "/predictions/",
        "/V1/MODELS/m:PREDICT",
        "*",
        "/?" + "a=b&" * 5000,
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_paths_with_empty_parts(connection: HTTPConnection, target: str, method: str) -> None:
    send(connection, method, target)
