"""The YAML parser: text to documents with the line of each field. The only importer of PyYAML.

The size of a file and the number of its values are limited while it is parsed. The values behind an alias count for
each use of the alias, so parsing an alias bomb stops at the alias that exceeds the limit.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import yaml

from knative.resources.errors import BadManifest, Violation

MAX_BYTES = 1 << 20  # of a file; a cluster stores no object that is much larger
MAX_VALUES = 100_000  # of a file; they take seconds to parse
MAX_DIGITS = 1000  # of a number or a time, which take superlinear time to parse
MAX_REASON = 300  # characters of PyYAML's message, which may quote the file
COSTLY_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("float", "int", "timestamp"))

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a file: its data as plain values, and its YAML nodes for the line numbers."""

    file: str
    data: object
    root: yaml.Node

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of a field, counted from 1. For a missing field, return the line of its closest parent."""
        node, line = self.root, _line(self.root)
        for step in path:
            key, below = next(((key, below) for name, key, below in _children(node) if name == step), (None, None))
            if key is None or below is None:
                break
            node, line = below, _line(key)
        return line


def documents(text: str, *, file: str) -> list[Document]:
    """Parse the YAML documents of a file, without empty ones. Raises `BadManifest`, also beyond the limits above."""
    if len(text) > MAX_BYTES:
        raise too_large(file)
    try:
        return [document for document in _parse(_Loader(text, file), file) if document.data is not None]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise _invalid_yaml(file, line, error.problem or error) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _invalid_yaml(file, line, f"the character #x{error.character:04x} is not allowed") from error
    except RecursionError as error:
        raise _invalid_yaml(file, None, "it is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an invalid date such as 2024-13-45
        raise _invalid_yaml(file, None, error) from error


def too_large(file: str) -> BadManifest:
    """Build the error for a file of more than `MAX_BYTES` bytes."""
    return BadManifest(file, None, "file", value=f"more than {MAX_BYTES} bytes", allowed=f"at most {MAX_BYTES} bytes")


def _parse(loader: "_Loader", file: str) -> Iterator[Document]:
    while loader.check_node() and (root := loader.get_node()) is not None:
        _refuse_duplicate_keys(root, file)
        yield Document(file=file, root=root, data=loader.construct_document(root))


class _Loader(yaml.SafeLoader):
    """A loader that counts the values of a file while it composes nodes, before it constructs any value."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text)
        self._file = file
        self._count = 0
        self._sizes: dict[yaml.Node, int] = {}  # number of values in each complete node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node:
        """Compose one value or alias. Raises `BadManifest` beyond the limits, and for a value that contains itself."""
        line, is_alias = self._next_line(), self.check_event(yaml.AliasEvent)
        before = self._count
        self._count += 0 if is_alias else 1
        node = cast("yaml.Node", super().compose_node(parent, index))
        if not is_alias:
            self._sizes[node] = self._count - before
        elif node in self._sizes:
            self._count += self._sizes[node]
        else:
            value, allowed = "an alias of a value that contains the alias", "an alias of a complete value"
            raise BadManifest(self._file, line, "document", value=value, allowed=allowed)
        self._check(node, line)
        return node

    def _next_line(self) -> int:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        return int(event.start_mark.line) + 1

    def _check(self, node: yaml.Node, line: int) -> None:
        if self._count > MAX_VALUES:
            value = f"more than {MAX_VALUES} values, counted again for each alias"
            raise BadManifest(self._file, line, "document", value=value, allowed=f"at most {MAX_VALUES}")
        if node.tag in COSTLY_TAGS and len(node.value) > MAX_DIGITS:
            value, allowed = f"a number of {len(node.value)} characters", f"at most {MAX_DIGITS}"
            raise BadManifest(self._file, line, "document", value=value, allowed=allowed)


class _Dumper(yaml.SafeDumper):
    """A dumper that writes no aliases: a value that occurs twice is written twice."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def dump_yaml(values: Iterable[object]) -> str:
    """Format plain values as YAML documents, with the fields in their order."""
    return yaml.dump_all(values, Dumper=_Dumper, sort_keys=False)


def format_path(path: Sequence[str | int]) -> str:
    """Format the path of a field, such as spec.traffic[0].percent."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".") or "document"


def _children(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node, yaml.Node]]:
    """Yield the name or index, the node that has the line, and the value's node for each entry of a mapping or list."""
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, key, below) for key, below in node.value if isinstance(key, yaml.ScalarNode))
    elif isinstance(node, yaml.SequenceNode):
        yield from ((index, below, below) for index, below in enumerate(node.value))


def _refuse_duplicate_keys(root: yaml.Node, file: str) -> None:
    """Refuse a duplicate key in a mapping: YAML forbids it, but PyYAML silently uses the last value."""
    pending: list[tuple[yaml.Node, FieldPath]] = [(root, ())]
    seen: set[int] = set()  # an alias visits a node again
    while pending:
        node, path = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        names: set[str | int] = set()
        for name, key, below in _children(node):
            if name in names:
                value, allowed = "a duplicate field", "each field once"
                raise BadManifest(file, _line(key), format_path((*path, name)), value=value, allowed=allowed)
            names.add(name)
            pending.append((below, (*path, name)))


def _invalid_yaml(file: str, line: int | None, reason: object) -> BadManifest:
    full = str(reason)
    text = full if len(full) <= MAX_REASON else f"{full[:MAX_REASON]}..."
    value, violation = f"invalid YAML ({text})", Violation.SYNTAX
    return BadManifest(file, line, "document", value=value, allowed="valid YAML", violation=violation)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
