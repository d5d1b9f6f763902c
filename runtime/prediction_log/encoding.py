"""Entries to events, and events to messages: one POST, one batch, or one line of a file."""

import os
import time
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from runtime.prediction_log import document, heads
from runtime.prediction_log.entries import LogEntry
from runtime.prediction_log.envelope import Envelope, Stamp
from runtime.prediction_log.heads import Heads
from runtime.protocols.cloudevents import BATCH_TYPE
from runtime.protocols.cloudevents.timestamps import Timestamps

if TYPE_CHECKING:
    from runtime.predictor import ReadyModel

_MOST_MODELS: Final = 64  # whose constant parts are kept


class Facts(NamedTuple):
    """What all events of a process have in common."""

    type: str
    service: str | None
    revision: str | None
    extensions: Mapping[str, str]


class Encoder:
    """Encodes the events of one process. Their ids are unique: a random part for the process, and a number."""

    def __init__(self, facts: Facts, *, most: int, path: str = "/", authority: str = "") -> None:
        """`most`: bytes of the data of one event; `path` and `authority` are those of the sink's URL."""
        self._facts = facts
        self._most = most
        self._heads: dict[tuple[str, str], Heads] = {}
        self._prefix = os.urandom(8).hex()
        self._number = 0
        self._times = Timestamps(digits=6)
        self._start = f"POST {path} HTTP/1.1\r\nhost: {authority}\r\n".encode("ascii")

    def heads_of(self, ready: "ReadyModel") -> Heads:
        """Return the constant parts of a model's events."""
        key = (ready.name, ready.version)
        known = self._heads.get(key)
        if known is None or known.signature is not ready.signature:
            if len(self._heads) >= _MOST_MODELS:
                self._heads.clear()
            known = self._heads[key] = self._new_heads(ready)
        return known

    def post(self, entry: LogEntry) -> bytes:
        """Return an HTTP request with one event in binary mode."""
        data = document.render(entry, self._most)
        headers = entry.heads.envelope.headers(self._stamp(entry))
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (self._start, headers, len(data), data)

    def batch(self, entries: Sequence[LogEntry]) -> bytes:
        """Return an HTTP request with several events in batched mode."""
        data = b"[%b]" % b",".join(map(self.structured, entries))
        return b"%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (self._start, BATCH_TYPE, len(data), data)

    def structured(self, entry: LogEntry) -> bytes:
        """Return an event in structured mode, as one line without its end."""
        return entry.heads.envelope.structured(self._stamp(entry), document.render(entry, self._most))

    def _stamp(self, entry: LogEntry) -> Stamp:
        self._number += 1
        answered = entry.answered + (time.time() - perf_counter())  # in seconds since the epoch
        return Stamp(f"{self._prefix}-{self._number}", self._times.at(answered), entry.trace)

    def _new_heads(self, ready: "ReadyModel") -> Heads:
        facts = self._facts
        envelope = Envelope(
            type=facts.type,
            source=f"/{quote(facts.service or 'scalezero')}/models/{quote(ready.name, safe='')}",
            subject=f"{ready.name}/{ready.version}",
            extensions=facts.extensions,
        )
        return Heads(
            ready.signature,
            heads.start(
                ready.name,
                ready.version,
                {"service": facts.service, "revision": facts.revision, **heads.variant_facts(ready.serving)},
            ),
            heads.tensor_starts(ready.signature.inputs),
            heads.tensor_starts(ready.signature.outputs),
            envelope,
        )
