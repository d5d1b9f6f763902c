"""From the options of `scalezero event send` to an HTTP request. Pure, but for the files that `--data @FILE` names."""

import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from runtime.errors import BadEvent, BadSetting
from runtime.protocols.cloudevents import (
    BATCH_TYPE,
    STRUCTURED_TYPE,
    Event,
    Mode,
    is_json,
    read_batch,
    read_message,
    write_batch,
    write_binary,
    write_structured,
)
from runtime.protocols.cloudevents.attributes import RESERVED

_NO_EXTENSIONS: Final = {*RESERVED, "id", "source", "type", "subject"}
_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"
_STANDARD_INPUT: Final = "@-"


class Options(NamedTuple):
    """The options about the events."""

    type: str
    source: str
    id: str | None  # None: a random one
    subject: str | None
    extensions: Sequence[str]  # NAME=VALUE
    data: Sequence[str]  # one for each event: a text, or @FILE
    content_type: str | None  # None: JSON if the data is JSON, else bytes
    mode: Mode
    headers: Sequence[str]  # NAME: VALUE


class Composed(NamedTuple):
    """The headers and the body of the request."""

    headers: Mapping[str, str]
    body: bytes


def compose(options: Options) -> Composed:
    """Return the request. Raises `BadSetting` and `BadEvent` with what would be right."""
    if len(options.data) > 1 and options.mode is not Mode.BATCHED:
        raise BadSetting("--data", value=f"{len(options.data)} times", allowed="once, or several times with --batch")
    attributes = _attributes(options)
    own = [_pair(each, "--header", ":") for each in options.headers]
    events = [_event(options, attributes, text, index) for index, text in enumerate(options.data or ("",))]
    headers, body = _written(events, options.mode)
    _check(headers, body, options.mode)
    return Composed({**{name.decode(): value.decode("latin-1") for name, value in headers}, **dict(own)}, body)


def _attributes(options: Options) -> Mapping[str, str]:
    found = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    if options.subject is not None:
        found["subject"] = options.subject
    for each in options.extensions:
        name, value = _pair(each, "--extension", "=")
        if name in _NO_EXTENSIONS:
            raise BadSetting("--extension", value=each, allowed=f"another name, as {name} has its own option")
        found[name] = value
    return found


def _pair(text: str, option: str, separator: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise BadSetting(option, value=text, allowed=f"NAME{separator}VALUE")
    return name.strip().lower(), value.strip() if separator == ":" else value


def _event(options: Options, attributes: Mapping[str, str], text: str, index: int) -> Event:
    data = _data(text)
    content_type = (options.content_type or _guess(data)) if data else options.content_type
    if options.content_type is not None and is_json(content_type) and data:
        _check_json(data, content_type or "")
    own = options.id or str(uuid.uuid4())
    event_id = f"{own}-{index}" if options.id and len(options.data) > 1 else own
    return Event(event_id, options.source, options.type, attributes, content_type, data)


def _data(text: str) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    if text == _STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        allowed = f"@FILE of a file that can be read ({error.strerror})"
        raise BadSetting("--data", value=text, allowed=allowed) from error


def _guess(data: bytes) -> str:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return _BYTES
    return _JSON


def _check_json(data: bytes, content_type: str) -> None:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        shown = data[:80].decode("utf-8", "replace")
        allowed = f"JSON, as --content-type is {content_type} ({error.msg} at character {error.pos})"
        raise BadSetting("--data", value=shown, allowed=allowed) from error


def _written(events: Sequence[Event], mode: Mode) -> tuple[list[tuple[bytes, bytes]], bytes]:
    if mode is Mode.BINARY:
        return write_binary(events[0])
    if mode is Mode.STRUCTURED:
        return [(b"content-type", STRUCTURED_TYPE)], write_structured(events[0])
    return [(b"content-type", BATCH_TYPE)], write_batch(list(events))


def _check(headers: list[tuple[bytes, bytes]], body: bytes, mode: Mode) -> None:
    """Read the request as a receiver would. Raises `BadEvent`."""
    if mode is Mode.BATCHED:
        read_batch(body)
        return
    for name, value in headers:
        if any(byte < 0x20 or byte == 0x7F for byte in value):  # noqa: PLR2004 - control characters
            raise BadEvent(name.decode(), got=repr(value.decode("latin-1"))[:80], expected="no control characters")
    read_message(headers, body, mode)
