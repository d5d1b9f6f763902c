"""Batched mode: a JSON list of events. Source: CloudEvents 1.0.2, HTTP protocol binding, section 3.3.

A batch has one HTTP status, so one invalid event refuses the whole batch, and the error lists every invalid one.
"""

from collections.abc import Generator, Iterable
from typing import Any, Final

from runtime.errors import BadEvent, InvalidInput
from runtime.protocols.cloudevents import structured
from runtime.protocols.cloudevents.event import Event
from runtime.protocols.json import slices
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show

_STEP: Final = 100  # events that are read without a pause, in about a millisecond
_LISTED: Final = 20  # invalid events in an error


def read(body: bytes) -> list[Event]:
    """Parse a small body at once; an empty batch is valid. Raises `BadEvent`."""
    try:
        document = json_tensors.load(body)
    except InvalidInput as fault:
        raise structured.not_json(fault) from None
    batch = _Batch()
    for index, each in enumerate(_items(document)):
        try:
            batch.events.append(structured.event_of(each, f"[{index}]"))
        except BadEvent as fault:
            batch.faults.append((index, fault))
    return batch.complete()


def read_slices(body: bytes) -> Generator[None, None, list[Event]]:
    """Parse a body of any size, as `read` does, in steps."""
    try:
        document = yield from slices.parse(body)
    except InvalidInput as fault:
        raise structured.not_json(fault) from None
    batch = _Batch()
    for index, each in enumerate(_items(document)):
        try:
            event = yield from structured.event_in_steps(each, f"[{index}]")
            batch.events.append(event)
        except BadEvent as fault:
            batch.faults.append((index, fault))
        if index % _STEP == _STEP - 1:
            yield
    return batch.complete()


class _Batch:
    """The valid and the invalid events of a batch."""

    __slots__ = ("events", "faults")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.faults: list[tuple[int, BadEvent]] = []  # each with the index of its event

    def complete(self) -> list[Event]:
        """Return the events. Raises `BadEvent` of the first invalid one, with a list of the others."""
        if not self.faults:
            return self.events
        _, first = self.faults[0]
        invalid = [{"index": index, "message": fault.message} for index, fault in self.faults[:_LISTED]]
        raise first.in_batch(invalid, count=len(self.faults))


def _items(document: object) -> list[Any]:
    if not isinstance(document, list):
        raise BadEvent("body", got=show(document), expected="a JSON list of events")
    return document


def write(events: Iterable[Event]) -> bytes:
    """Return the events as a JSON list."""
    return b"[%b]" % b",".join(map(structured.write, events))
