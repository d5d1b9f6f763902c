"""What a compiled model states about itself: for which provider, version and CPU class, and its external files. Pure.

A provider compiles parts of a graph, or all of it, each into an EPContext node. The names of inputs and outputs, their
types and dynamic axes stay those of the model. The operators are no longer in the file. Sources: ONNX Runtime,
"EP context design", for the nodes; onnx.proto for the field numbers.
"""

import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from runtime.model.header import text_of
from runtime.protobuf import Buffer, Field, length_delimited, number

CPU_CLASS_KEY: Final = "scalezero.cpu_class"  # of the metadata: our own entry
_VERSION_KEY: Final = "ep_compatibility_info."  # the provider's own entry ends with its name
_GRAPH, _METADATA = 7, 14  # of Model
_NODE: Final = 1  # of Graph
_OPERATOR, _ATTRIBUTE = 4, 5  # of Node
_NAME, _I, _S = 1, 3, 4  # of Attribute
_KEY, _VALUE = 1, 2  # of an entry of the metadata
_CONTEXT: Final = "EPContext"
_LONGEST: Final = 2**16  # bytes of a text that is read


class Compiled(NamedTuple):
    """The facts of a compiled model."""

    providers: frozenset[str]  # of its nodes
    versions: Mapping[str, str]  # provider -> its version; a provider that states none is missing
    cpu_class: str | None  # None: not stated
    files: tuple[str, ...]  # the external files, relative to the folder of the model


def read_compiled(path: Path) -> Compiled | None:
    """Read the facts of a model file; None: it is not compiled, or not read here. Raises OSError."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return compiled_of(buffer)
    except ValueError:  # ONNX Runtime reports what is wrong with the file
        return None


def compiled_of(buffer: Buffer) -> Compiled | None:
    """Return the facts of a serialized model. Raises ValueError for bytes that are not a protobuf message."""
    metadata: dict[str, str] = {}
    contexts: list[dict[str, str]] = []
    for part in length_delimited(buffer, 0, len(buffer)):
        if part.number == _METADATA:
            texts = _texts(buffer, part)
            metadata[texts.get(_KEY, "")] = texts.get(_VALUE, "")
        elif part.number == _GRAPH:
            contexts += _contexts(buffer, part)
    if not contexts:
        return None
    stated = {key.removeprefix(_VERSION_KEY): text for key, text in metadata.items() if key.startswith(_VERSION_KEY)}
    return Compiled(
        providers=frozenset(each["source"] for each in contexts if "source" in each),
        versions={provider: version for provider, text in stated.items() if (version := _version(text))},
        cpu_class=metadata.get(CPU_CLASS_KEY),
        files=tuple(dict.fromkeys(each["file"] for each in contexts if "file" in each)),
    )


def reason_against(found: Compiled, *, provider: str, version: str, cpu_class: str) -> str | None:
    """Return why a compiled model cannot be opened on this version of a provider and this CPU; None: it can."""
    step = "compile it again here, or use the model's own file"
    if found.providers != {provider}:
        return f"it is compiled for {', '.join(sorted(found.providers)) or 'an unknown provider'}, not for {provider}"
    if found.versions.get(provider) != version:
        stated = f"version {found.versions[provider]}" if provider in found.versions else "an unknown version"
        return f"it is compiled for {stated} of {provider}; this machine has {version}: {step}"
    if found.cpu_class not in {None, cpu_class}:
        return f"it is compiled for CPUs of the class {found.cpu_class}; this one is {cpu_class}: {step}"
    return None


def _contexts(buffer: Buffer, graph: Field) -> Iterator[dict[str, str]]:
    """Yield the source and the external file of each EPContext node."""
    for node in length_delimited(buffer, graph.start, graph.end):
        if node.number == _NODE and _texts(buffer, node).get(_OPERATOR) == _CONTEXT:
            yield _context(buffer, node)


def _context(buffer: Buffer, node: Field) -> dict[str, str]:
    texts: dict[str, Field] = {}
    embedded = True  # the default of the attribute
    for part in length_delimited(buffer, node.start, node.end):
        if part.number != _ATTRIBUTE:
            continue
        attribute = {each.number: each for each in length_delimited(buffer, part.start, part.end)}
        name = text_of(buffer, attribute[_NAME]) if _NAME in attribute else ""
        if name == "embed_mode":
            embedded = bool(number(buffer, part.start, part.end, _I))
        elif _S in attribute:
            texts[name] = attribute[_S]
    if embedded:
        texts.pop("ep_cache_context", None)  # the compiled code itself
    wanted = {"source": "source", "ep_cache_context": "file"}
    return {wanted[name]: text_of(buffer, place) for name, place in texts.items() if name in wanted}


def _texts(buffer: Buffer, message: Field) -> dict[int, str]:
    """Return the last text of each field of a message. Longer ones, such as a vocabulary, are left out."""
    return {
        part.number: text_of(buffer, part)
        for part in length_delimited(buffer, message.start, message.end)
        if part.end - part.start < _LONGEST
    }


def _version(text: str) -> str | None:
    """Return the version in what OpenVINO states: JSON with `ovep_ver`."""
    try:
        stated = json.loads(text)
    except ValueError:
        return None
    version = stated.get("ovep_ver") if isinstance(stated, dict) else None
    return version if isinstance(version, str) else None
