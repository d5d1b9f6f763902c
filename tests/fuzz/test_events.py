"""Events in binary mode with any headers and any data."""

from http.client import HTTPConnection

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import law
from tests.fuzz.test_bodies import SETTINGS
from tests.runtime.frontends.conftest import Served
from tests.waiting import DEADLINE

# Any byte that HTTP allows in a value; a client never sends the others.
VALUES = st.binary(max_size=12).map(lambda value: bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F))
NAMES = st.sampled_from(
    ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-tensorshape", "ce-x", "ce-x-y", "content-type"]
)
VALID = {
    "ce-specversion": b"1.0",
    "ce-id": b"1",
    "ce-source": b"/s",
    "ce-type": b"t",
    "content-type": b"application/json",
}


@SETTINGS
@given(
    changed=st.dictionaries(
        NAMES, VALUES | st.sampled_from([b"%41", b'"a"', b"%ff", b"application/octet-stream"]), max_size=3
    ),
    missing=st.sets(NAMES, max_size=1),
    body=st.binary(max_size=20) | st.just(b'{"inputs": [1, 2]}'),
)
def test_any_event_is_no_server_error(
    served: Served, changed: dict[str, bytes], missing: set[str], body: bytes
) -> None:
    headers = {name: value for name, value in (VALID | changed).items() if name not in missing}
    connection = HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE)
    try:
        connection.request("POST", "/events", body, headers)
        answer = connection.getresponse()
        law.rest("/events", answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
