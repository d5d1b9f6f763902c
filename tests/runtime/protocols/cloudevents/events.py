"""Events for tests: strategies, and the smallest event in each mode."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from runtime.http.messages import Headers, Request
from runtime.protocols.cloudevents import Event, Mode, read_message, write_structured

MINIMAL: Mapping[str, Any] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
HEADERS: Headers = [(b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t")]

_NON_CHARACTERS = "".join(
    map(chr, [*range(0xFDD0, 0xFDF0), *(each for p in range(17) for each in (p * 65536 + 65534, p * 65536 + 65535))])
)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=_NON_CHARACTERS), max_size=12)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20).filter(
    lambda name: (
        name not in {"id", "source", "type", "specversion", "time", "subject", "dataschema", "datacontenttype", "data"}
    )
)
binary_types = st.sampled_from(["application/octet-stream", "image/png", "text/plain; charset=iso-8859-1"])
text_types = st.sampled_from(["text/plain", "text/csv; charset=UTF-8", "application/xml", "image/svg+xml", "TEXT/HTML"])
json_types = st.sampled_from(["application/json", "application/json; charset=utf-8", "text/json", "application/x+JSON"])


json_documents: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Return an event with bytes, with text, with JSON text as bytes, with a JSON document, or without data."""
    required = [draw(texts.filter(bool)) for _ in range(3)]
    attributes = draw(st.dictionaries(names, texts, max_size=3))
    if draw(st.booleans()):
        attributes |= {"time": "2026-04-05T17:31:00.5+02:00", "subject": draw(texts.filter(bool))}
    content_type, data, *document = draw(
        st.one_of(
            st.tuples(binary_types, st.binary(min_size=1, max_size=20)),
            st.tuples(text_types, st.text(min_size=1, max_size=9).map(str.encode)),
            st.tuples(text_types, st.binary(min_size=1, max_size=9)),
            st.tuples(json_types, st.just(b""), json_documents),
            st.tuples(st.none() | binary_types, st.just(b"")),
        )
    )
    event_id, source, kind = required
    return Event(event_id, source, kind, attributes, content_type, data, *document)


def request(headers: Headers, body: bytes = b"") -> Request:
    return Request("POST", "/", b"/", b"", headers, "1.1", body)


def finish(steps: Any) -> Any:  # noqa: ANN401 - the value of any generator
    """Run a generator to its end, and return its value."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def check(event: Event) -> None:
    """Check that an event is valid: it can be written and read again."""
    again = read_message([], write_structured(event), Mode.STRUCTURED)
    assert (again.key, again.type, again.attributes) == (event.key, event.type, event.attributes)
