"""The request of `scalezero event send`: what each option becomes, and what is refused with the right form."""

from pathlib import Path
from typing import Any

import pytest

from runtime.errors import BadEvent, BadSetting
from runtime.protocols.cloudevents import Event, Mode, read_batch, read_message
from runtime.sending.composing import Options, compose

DEFAULT = Options("t", "/s", None, None, (), (), None, Mode.BINARY, ())


def sent(options: Options) -> list[Event]:
    composed = compose(options)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in composed.headers.items()]
    if options.mode is Mode.BATCHED:
        return read_batch(composed.body)
    return [read_message(headers, composed.body, options.mode)]


@pytest.mark.parametrize("mode", list(Mode))
def test_each_mode_has_the_same_attributes_and_data(mode: Mode) -> None:
    extensions = ("team=risk", "note=50 % ä=b")
    options = DEFAULT._replace(id="1", subject="a/b", extensions=extensions, data=('{"x": 1}',), mode=mode)
    [event] = sent(options)
    assert (event.type, event.source, event.id, event.content_type) == ("t", "/s", "1", "application/json")
    attributes = dict(event.attributes)
    assert attributes.pop("time").endswith("Z")
    assert attributes == {"subject": "a/b", "team": "risk", "note": "50 % ä=b"}
    assert event.body() in {b'{"x": 1}', b'{"x":1}'}


def test_without_an_id_each_event_has_its_own() -> None:
    assert sent(DEFAULT)[0].id != sent(DEFAULT)[0].id


def test_an_event_may_have_no_data() -> None:
    [event] = sent(DEFAULT)
    assert (event.content_type, event.body()) == (None, b"")


def test_data_that_is_not_json_is_bytes_unless_its_type_is_stated(tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"\x89PNG")
    assert sent(DEFAULT._replace(data=(f"@{file}",)))[0].content_type == "application/octet-stream"
    [event] = sent(DEFAULT._replace(data=(f"@{file}",), content_type="image/png", mode=Mode.STRUCTURED))
    assert (event.content_type, event.body()) == ("image/png", b"\x89PNG")


def test_a_batch_has_an_event_for_each_data() -> None:
    events = sent(DEFAULT._replace(id="n", data=("1", "2"), mode=Mode.BATCHED))
    assert [(each.id, each.body()) for each in events] == [("n-0", b"1"), ("n-1", b"2")]


def test_headers_are_added() -> None:
    assert compose(DEFAULT._replace(headers=("Authorization: Bearer x",))).headers["authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"data": ("1", "2")}, "--data='2 times': expected once, or several times with --batch"),
        ({"data": ("{x",), "content_type": "application/json"}, "--data='{x': expected JSON"),
        ({"data": ("@/missing",)}, "--data='@/missing': expected @FILE of a file that can be read"),
        ({"extensions": ("team",)}, "--extension='team': expected NAME=VALUE"),
        ({"headers": ("authorization",)}, "--header='authorization': expected NAME:VALUE"),
        ({"extensions": ("my-team=x",)}, "letters a to z and digits"),
        ({"extensions": ("data=x",), "mode": Mode.STRUCTURED}, "--extension='data=x'"),
        ({"extensions": ("time=now",)}, "RFC 3339"),
        ({"source": ""}, "ce-source: got an empty string"),
        ({"subject": "a\nb"}, "without control characters"),
        ({"content_type": "text/plain\nx"}, "no control characters"),
    ],
)
def test_what_no_receiver_could_read_is_refused(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises((BadSetting, BadEvent)) as caught:
        compose(DEFAULT._replace(**changed))
    assert expected in caught.value.message
