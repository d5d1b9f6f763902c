"""The attributes of a model's events around the data: in binary mode, and in structured mode. Pure.

Only the id, the time and the trace differ between the events of a model, so the rest is encoded once, by the translator
of CloudEvents.
"""

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from runtime.protocols.cloudevents import Event, write_binary
from runtime.protocols.cloudevents.structured import document_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_JSON: Final = "application/json"
_TRACE: Final = "traceparent"
_VALID_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_VARYING: Final = ("id", "time", _TRACE)


class Stamp(NamedTuple):
    """What differs between the events of a model."""

    id: str
    time: bytes  # RFC 3339
    trace: str | None = None  # as received; an invalid one is left out


class Envelope:
    """The attributes of one model's events."""

    __slots__ = ("_has_trace", "_headers", "_members")

    def __init__(self, *, type: str, source: str, subject: str, extensions: "Mapping[str, str]") -> None:  # noqa: A002 - the attribute's name
        event = Event("", source, type, {"subject": subject, **extensions}, _JSON)
        headers, _ = write_binary(event)
        varying = {f"ce-{name}".encode() for name in _VARYING} - {f"ce-{name}".encode() for name in extensions}
        self._headers = b"".join(b"%b: %b\r\n" % pair for pair in headers if pair[0] not in varying)
        constant = {name: value for name, value in document_of(event).items() if name != "id"}
        self._members = orjson.dumps(constant)[:-1]
        self._has_trace = _TRACE in extensions

    def headers(self, stamp: Stamp) -> bytes:
        """Return the lines of the headers of an event in binary mode."""
        lines = b"%bce-id: %b\r\nce-time: %b\r\n" % (self._headers, stamp.id.encode(), stamp.time)
        if (trace := self._trace(stamp)) is not None:
            lines += b"ce-traceparent: %b\r\n" % trace
        return lines

    def structured(self, stamp: Stamp, data: bytes) -> bytes:
        """Return an event in structured mode, without a line break; `data` is JSON."""
        trace = self._trace(stamp)
        return b'%b,"id":"%b","time":"%b"%b,"data":%b}' % (
            self._members,
            stamp.id.encode(),
            stamp.time,
            b"" if trace is None else b',"traceparent":"%b"' % trace,
            data,
        )

    def _trace(self, stamp: Stamp) -> bytes | None:
        trace = stamp.trace
        if trace is None or self._has_trace or not _VALID_TRACE.fullmatch(trace):
            return None
        return trace.encode()
