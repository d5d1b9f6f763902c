"""The replies to events: their attributes, and how each mode writes them. Pure, except for the time and the ids.

Each reply is written once, in binary mode, which senders such as a Broker use. The other modes are made from it.
"""

import hashlib
import os
from collections.abc import Sequence
from http import HTTPStatus
from itertools import count
from time import time
from typing import Final

from runtime.frontends.events.window import Reply
from runtime.http.messages import Answer, Headers
from runtime.protocols import cloudevents
from runtime.protocols.cloudevents import BATCH_TYPE, STRUCTURED_TYPE, Event, Mode, binary
from runtime.protocols.cloudevents.binary import encoded
from runtime.protocols.cloudevents.reply import CARRIED, CAUSE, traced
from runtime.protocols.cloudevents.timestamps import Timestamps

JSON: Final = "application/json"
ERROR_TYPE: Final = "ml.error.v1"  # of an event that states why an event of a batch is refused
_OK: Final = HTTPStatus.OK.value
NO_REPLY: Final = Reply(HTTPStatus.NO_CONTENT.value, (), b"")
_ID_CHARS: Final = 32
_NO_MODEL: Final = "scalezero"  # the source outside of a cluster if no model is the main model
_SPECVERSION: Final = (b"ce-specversion", b"1.0")
_CAUSE: Final = f"ce-{CAUSE}".encode()
_CARRIED: Final = tuple((name, f"ce-{name}".encode()) for name in CARRIED)


class Replies:
    """Writes the replies of one process, all with one type."""

    def __init__(self, kind: str | None, *, source: str | None) -> None:
        """`kind` is the type of each reply, None: none is wanted; `source` None: the model's name."""
        self._kind = kind
        self._source = source
        self._prefix = os.urandom(8).hex().encode()  # of the ids, which no other process then has
        self._count = count(1)
        self._times = Timestamps(digits=3)
        self._constant: dict[tuple[str, str], Headers] = {}  # by model and version

    def of_model(self, event: Event, data: bytes, *, model: str, version: str) -> Answer:
        """Return the reply, in binary mode, to an event that a model has answered; `data` is JSON."""
        if self._kind is None:
            return Answer(NO_REPLY.status, b"", [])
        constant = self._constant.get((model, version))
        if constant is None:
            constant = self._headers(self._kind, JSON, model, f"{model}/{version}")
            self._constant[model, version] = constant
        return Answer(_OK, data, self._with_headers(event, constant))

    def of_function(self, event: Event, content_type: str, data: bytes, *, model: str | None) -> Reply:
        """Return the reply to an event that the author's function has answered with this data.

        `model` is the main model, which names the source outside of a cluster.
        """
        if self._kind is None:
            return NO_REPLY
        headers = self._headers(self._kind, content_type, model)
        return Reply(_OK, self._with_headers(event, headers), data)

    def of_kserve(self, event: Event, content_type: str, data: bytes, *, source: str) -> Reply:
        """Return the reply to an event that was posted to a route of KServe."""
        headers = self._headers(self._kind or "", content_type, source)
        return Reply(_OK, self._with_headers(event, headers), data)

    def of_error(self, event: Event, document: bytes, *, model: str | None) -> Event:
        """Return an event with the error that refuses an event of a batch; `document` is the error as JSON.

        The same event gets the same one, so its id is a hash, and it has no time. `model` names the source outside of
        a cluster.
        """
        digest = hashlib.sha256("\0".join(event.key).encode()).hexdigest()[:_ID_CHARS]
        return Event(digest, self._source_of(model), ERROR_TYPE, traced(event), JSON, document)

    def of_event(self, event: Event, answer: Event) -> Reply:
        """Return the author's own event as the reply. The attributes that trace an event are added if it has none."""
        attributes = {**traced(event), **answer.attributes}
        headers, body = cloudevents.write_binary(answer._replace(attributes=attributes))
        return Reply(_OK, headers, body)

    def _source_of(self, model: str | None) -> str:
        return self._source or model or _NO_MODEL

    def _headers(self, kind: str, content_type: str, model: str | None, subject: str | None = None) -> Headers:
        headers = [_SPECVERSION, (b"ce-type", encoded(kind)), (b"ce-source", encoded(self._source_of(model)))]
        if subject is not None:
            headers.append((b"ce-subject", encoded(subject)))
        return [*headers, (b"content-type", content_type.encode("latin-1"))]

    def _with_headers(self, event: Event, constant: Headers) -> Headers:
        """Return these headers and those that differ in each reply."""
        headers = [
            *constant,
            (b"ce-id", b"%b-%d" % (self._prefix, next(self._count))),
            (b"ce-time", self._times.at(time())),
            (_CAUSE, encoded(event.id)),
        ]
        attributes = event.attributes
        for name, header in _CARRIED:
            if name in attributes:
                headers.append((header, encoded(attributes[name])))
        return headers


def in_mode(reply: Reply, mode: Mode) -> Answer:
    """Return a reply as the response to an event in this mode. Errors and empty replies are the same in each mode."""
    if mode is Mode.STRUCTURED and reply.status == _OK:
        headers = [each for each in reply.headers if not _is_of_event(each[0])]
        body = cloudevents.write_structured(event_of(reply))
        return Answer(reply.status, body, [(b"content-type", STRUCTURED_TYPE), *headers])
    return Answer(reply.status, reply.body, [*reply.headers])


def in_batch(events: Sequence[Event]) -> Answer:
    """Return several replies as one response."""
    return Answer(HTTPStatus.OK, cloudevents.write_batch(list(events)), [(b"content-type", BATCH_TYPE)])


def event_of(reply: Reply) -> Event:
    """Return the event in a reply with status 200."""
    return binary.read(list(reply.headers), reply.body)


def _is_of_event(header: bytes) -> bool:
    return header.startswith(b"ce-") or header == b"content-type"
