"""REST bodies that are truncated, corrupted or inconsistent, and headers that do not match them."""

import gzip
import socket
import zlib
from collections.abc import Iterator
from http.client import HTTPConnection

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import law
from tests.fuzz.conftest import LIMIT
from tests.fuzz.messages import BODIES, MULTIPART, invalid_npy
from tests.runtime.frontends.conftest import Served
from tests.waiting import DEADLINE

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
JSON = [each for each in BODIES if each[1] == "application/json"]
IDS = [f"{path} {kind.partition(';')[0]}" for path, kind in BODIES]
VALUES = (
    b"null", b"true", b'""', b"[]", b"{}", b"1e999", b"-0", b"9" * 400, b"1e-400", b'"\\ud800"', b"NaN", b"-Infinity",
    b"[[[[]]]]", b'{"b64":"="}', b"[" * 2000, b'"\xff"', b"18446744073709551616", b'{"":{}}', b'[1,"a",null]', b"\0",
)  # fmt: skip
HEADERS = ("-1", "0", "1", "999999", "1e3", "0x10", "", "9" * 400)


@pytest.fixture
def connection(served: Served) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE)
    yield connection
    connection.close()


def send(connection: HTTPConnection, path: str, kind: str, body: bytes, **fields: str) -> int:
    """Send a body, check the answer, and return its status."""
    headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in fields.items()}}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    law.rest(path, answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    return answer.status


@pytest.mark.parametrize(("path", "kind"), BODIES, ids=IDS)
def test_a_truncated_body_is_no_server_error(connection: HTTPConnection, path: str, kind: str) -> None:
    body = BODIES[path, kind]
    for end in range(len(body)):
        send(connection, path, kind, body[:end])


@pytest.mark.parametrize(("path", "kind"), BODIES, ids=IDS)
@SETTINGS
@given(data=st.data())
def test_a_corrupted_body_is_no_server_error(served: Served, path: str, kind: str, data: st.DataObject) -> None:
    body = bytearray(BODIES[path, kind])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        end = at + data.draw(st.integers(0, 6))
        body[at:end] = data.draw(st.one_of(st.sampled_from(VALUES), st.binary(max_size=3)))
    connection = HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE)
    try:
        send(connection, path, kind, bytes(body))
    finally:
        connection.close()


@pytest.mark.parametrize(("path", "kind"), JSON, ids=[path for path, _ in JSON])
def test_any_value_in_a_document_is_no_server_error(connection: HTTPConnection, path: str, kind: str) -> None:
    text = BODIES[path, kind].replace(b"NaN", b"1").replace(b"-Infinity", b"2")
    document = orjson.loads(text)
    for path_to_value in paths_to_values(document):
        marked = orjson.dumps(replaced(document, path_to_value, "\x7f"))
        for value in VALUES:
            send(connection, path, kind, marked.replace(b'"\x7f"', value))
    send(connection, path, kind, b"[" * LIMIT)
    send(connection, path, kind, b'{"a":' * (LIMIT // 6))


@pytest.mark.parametrize(("path", "kind"), BODIES, ids=IDS)
def test_invalid_encodings_and_compression_bombs(connection: HTTPConnection, path: str, kind: str) -> None:
    body = BODIES[path, kind]
    status, bomb = send(connection, path, kind, body), bytes(50 * LIMIT)
    compressed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}
    for coding, content in compressed.items():
        assert send(connection, path, kind, content, content_encoding=coding) == status
        send(connection, path, kind, content[:-5], content_encoding=coding)
        send(connection, path, kind, body, content_encoding=coding)
        send(connection, path, kind, content * 3, content_encoding=coding)
    assert send(connection, path, kind, gzip.compress(bomb), content_encoding="gzip") in {400, 413}
    assert send(connection, path, kind, body, content_encoding="br") in {400, 415}
    assert send(connection, path, kind, bytes(LIMIT + 1)) == 413


@pytest.mark.parametrize("value", HEADERS)
@pytest.mark.parametrize(("path", "kind"), BODIES, ids=IDS)
def test_an_invalid_length_of_the_binary_header(connection: HTTPConnection, path: str, kind: str, value: str) -> None:
    send(connection, path, kind, BODIES[path, kind], Inference_Header_Content_Length=value)


@pytest.mark.parametrize("size", [0, 15, 17, -1, 10**30, True, "16", None, 1.5])
def test_binary_data_with_a_wrong_size(connection: HTTPConnection, size: object) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": size}}
    head = (
        orjson.dumps({"inputs": [tensor]})
        if size != 10**30
        else b'{"inputs":[{"parameters":{"binary_data_size":1e30}}]}'
    )
    status = send(
        connection, "/v2/models/m/infer", "x", head + bytes(16), Inference_Header_Content_Length=str(len(head))
    )
    assert status == 400


@pytest.mark.parametrize(
    "shape", ["(2, 2)", "(4,)", "()", "(-1,)", "(2**62, 2**62)", "(0, 5)", "(1,) * 70", "'x'", "None", "(True,)"]
)
@pytest.mark.parametrize(
    "descr", ["'<f4'", "'|O'", "'<U4'", "'|V4'", "[('a','<f4')]", "'>f4'", "'<M8[s]'", "'<f16'", "7"]
)
def test_an_invalid_npy_header(connection: HTTPConnection, shape: str, descr: str) -> None:
    send(connection, "/predictions/m", "application/x-npy", invalid_npy(shape, descr))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"--zz--", b"--zz--\r\n", b"--zz\r\n\r\n\r\n--zz--\r\n", b"--zz\r\n" * 3000, b"--zy\r\n", b"\r\n" * 5000,
        b"--zz\r\n" + b"a:b\r\n" * 20 + b"\r\n1\r\n--zz--\r\n", b"--zz\r\ncontent-disposition: " + b"x" * 5000,
        b'--zz\r\ncontent-disposition: form-data; name="\xff"\r\n\r\n1\r\n--zz--\r\n',
        b"--zz\r\ncontent-disposition: form-data; name*=utf-8''%ff\r\n\r\n1\r\n--zz--\r\n",
        b"--zz\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n" * 300 + b"--zz--\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "kind",
    [MULTIPART, "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "z" * 5000],
)
def test_an_invalid_multipart_form(connection: HTTPConnection, body: bytes, kind: str) -> None:
    assert send(connection, "/predictions/m", kind, body) >= 400


@pytest.mark.parametrize(("path", "kind"), BODIES, ids=IDS)
@pytest.mark.parametrize("length", ["-1", "x", "1, 2", "99999999999999999999", "+5", "5", "0"])
def test_a_wrong_content_length(served: Served, path: str, kind: str, length: str) -> None:
    """Bytes after the stated length are an invalid request; the server answers it and closes the connection."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        connection.sendall(head.encode() + BODIES[path, kind] + b"\r\n\r\n")
        answers = b""
        while piece := connection.recv(65536):
            answers += piece
    statuses = [int(each[:3]) for each in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses
    assert max(statuses) < 500


def paths_to_values(value: object) -> Iterator[tuple[object, ...]]:
    """Yield the path to every value of a document, as keys and indices."""
    yield ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        for rest in paths_to_values(each):
            yield (key, *rest)


def replaced(value: object, path: tuple[object, ...], new: object) -> object:
    """Return the document with a new value at this path."""
    if not path:
        return new
    key, *rest = path
    if isinstance(value, dict):
        return {each: replaced(old, tuple(rest), new) if each == key else old for each, old in value.items()}
    assert isinstance(value, list)
    return [replaced(old, tuple(rest), new) if each == key else old for each, old in enumerate(value)]
