"""The note in a prepared file: how it was optimized, and the facts of the original graph.

    original's facts ──► note, appended to the prepared file ──► the pod's session reads it before it opens the file

Any writer of a file can write a note, and quantization keeps the note of its input. So a session reads the note only of
a file that was published as a prepared form, whose digest the manifest has.

The optimized graph has fused operators, whose properties the evidence for batching does not know. So the note has the
facts of the original, whose outputs are equal. It is an entry of the model's `metadata_props`. Protobuf joins repeated
fields of concatenated messages, so a writer appends the entry to the file:
https://protobuf.dev/programming-guides/encoding/#last-one-wins.
"""

import json
import mmap
from pathlib import Path
from typing import Any, Final, NamedTuple

from runtime.model.graph import GraphFacts, Operator, Use, is_ort_format
from runtime.protobuf import Buffer, Field, delimited, length_delimited
from runtime.variants.cpu_class import cpu_class

_METADATA: Final = 14  # of Model
_KEY, _VALUE = 1, 2  # of an entry
_NAME: Final = b"scalezero.prepared"


class Note(NamedTuple):
    """What a prepared file states about itself."""

    optimized_for: str | None  # the CPU class whose optimizations are all applied, so that a session applies none
    facts: GraphFacts  # of the original


def read_note(path: Path) -> Note | None:
    """Return the note of a prepared file; None: the file has none, or one of an unknown form."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return None if is_ort_format(buffer) else _note_in(buffer)
    except (OSError, RecursionError, ValueError):  # the session reports what is wrong with the file
        return None


def is_optimized(note: Note) -> bool:
    """Return whether all optimizations for this machine are applied. Another CPU class may have further ones."""
    return note.optimized_for == cpu_class()


def append_note(path: Path, note: Note) -> None:
    """Add the note to a model file. Raises OSError."""
    text = json.dumps(_data_of(note), separators=(",", ":"))
    entry = delimited(_KEY, _NAME) + delimited(_VALUE, text.encode())
    with path.open("ab") as file:
        file.write(delimited(_METADATA, entry))


def _note_in(buffer: Buffer) -> Note | None:
    found = None
    for part in length_delimited(buffer, 0, len(buffer)):
        if part.number == _METADATA:
            entry = _entry(buffer, part)
            found = entry.get(_VALUE) if entry.get(_KEY) == _NAME else found
    return None if found is None else _note_of(json.loads(found))


def _entry(buffer: Buffer, place: Field) -> dict[int, bytes]:
    return {
        part.number: bytes(buffer[part.start : part.end]) for part in length_delimited(buffer, place.start, place.end)
    }


def _data_of(note: Note) -> dict[str, Any]:
    facts = note.facts
    return {
        "optimizedFor": note.optimized_for,
        "known": facts.known,
        "uses": sorted([*use.operator, use.static_parameters] for use in facts.uses),
        "functions": sorted(map(list, facts.functions)),
        "scalars": sorted(facts.scalars),
        "unranked": sorted(facts.unranked),
        "steps": dict(facts.output_steps),
    }


def _note_of(data: Any) -> Note | None:  # noqa: ANN401 - JSON values are of any type
    try:
        facts = GraphFacts(
            known=bool(data["known"]),
            uses=frozenset(Use(Operator(domain, name), bool(static)) for domain, name, static in data["uses"]),
            functions=frozenset(Operator(domain, name) for domain, name in data["functions"]),
            scalars=frozenset(map(str, data["scalars"])),
            unranked=frozenset(map(str, data["unranked"])),
            output_steps={str(name): float(step) for name, step in data["steps"].items()},
        )
        optimized_for = data["optimizedFor"]
        return Note(optimized_for=None if optimized_for is None else str(optimized_for), facts=facts)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None
