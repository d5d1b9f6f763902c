"""YAML text in, documents out, each knowing the line of every field. The only importer of PyYAML.

A file is bounded before it costs anything: its size, and its values, where those behind an alias count each time. So an
alias bomb ends with the alias that goes too far.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import yaml

from knative.resources.errors import BadManifest, Violation

MOST_BYTES = 1 << 20  # of a file; a cluster keeps no object that is much larger
MOST_VALUES = 100_000  # of a file: seconds to read
MOST_DIGITS = 1000  # of a number or a time, which cost more than their length
MOST_REASON = 300  # characters of what PyYAML says, which may quote the file
COSTLY = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("float", "int", "timestamp"))

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a file: its data as plain values, and its nodes for the lines."""

    file: str
    data: object
    root: yaml.Node

    def line(self, path: Sequence[str | int]) -> int:
        """Find the line of a field, or of the nearest thing above it where there is no such field; from 1."""
        node, line = self.root, _line(self.root)
        for step in path:
            key, below = next(((key, below) for name, key, below in _children(node) if name == step), (None, None))
            if key is None or below is None:
                break
            node, line = below, _line(key)
        return line


def documents(text: str, *, file: str) -> list[Document]:
    """Parse a file of YAML documents; empty ones are left out. Raises `BadManifest`, also beyond the limits above."""
    if len(text) > MOST_BYTES:
        raise too_large(file)
    try:
        return [document for document in _parsed(_Loader(text, file), file) if document.data is not None]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise _not_yaml(file, line, error.problem or error) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _not_yaml(file, line, f"the character #x{error.character:04x}") from error
    except RecursionError as error:
        raise _not_yaml(file, None, "it is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # 2024-13-45
        raise _not_yaml(file, None, error) from error


def too_large(file: str) -> BadManifest:
    """Build the error for a file of more bytes than are read."""
    return BadManifest(file, None, "file", value=f"more than {MOST_BYTES} bytes", allowed=f"at most {MOST_BYTES} bytes")


def _parsed(loader: "_Loader", file: str) -> Iterator[Document]:
    while loader.check_node() and (root := loader.get_node()) is not None:
        _refuse_repeated(root, file)
        yield Document(file=file, root=root, data=loader.construct_document(root))


class _Loader(yaml.SafeLoader):
    """Counts the values of a file while they are composed, before anything is made of them."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text)
        self._file = file
        self._count = 0
        self._sizes: dict[yaml.Node, int] = {}  # of finished nodes, with all that is in them

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node:
        """Compose one value or alias. Raises `BadManifest` beyond the limits, and for a value that holds itself."""
        line, is_alias = self._next_line(), self.check_event(yaml.AliasEvent)
        before = self._count
        self._count += 0 if is_alias else 1
        node = cast("yaml.Node", super().compose_node(parent, index))
        if not is_alias:
            self._sizes[node] = self._count - before
        elif node in self._sizes:
            self._count += self._sizes[node]
        else:
            raise BadManifest(self._file, line, "document", value="an alias of what it stands in", allowed="no circle")
        self._check(node, line)
        return node

    def _next_line(self) -> int:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        return int(event.start_mark.line) + 1

    def _check(self, node: yaml.Node, line: int) -> None:
        if self._count > MOST_VALUES:
            value = f"more than {MOST_VALUES} values, counting those behind an alias each time"
            raise BadManifest(self._file, line, "document", value=value, allowed=f"at most {MOST_VALUES}")
        if node.tag in COSTLY and len(node.value) > MOST_DIGITS:
            value, allowed = f"a number of {len(node.value)} characters", f"at most {MOST_DIGITS}"
            raise BadManifest(self._file, line, "document", value=value, allowed=allowed)


class _Dumper(yaml.SafeDumper):
    """Writes a value that stands in two places twice, as a person would, and not as an alias of the first."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def text_of(values: Iterable[object]) -> str:
    """Write plain values as YAML documents, in the order of their fields."""
    return yaml.dump_all(values, Dumper=_Dumper, sort_keys=False)


def shown(path: Sequence[str | int]) -> str:
    """Write a field's path as a person would: spec.traffic[0].percent."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".") or "document"


def _children(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node, yaml.Node]]:
    """Yield name, the node that carries its line, and the value's node, of each thing in a mapping or a list."""
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, key, below) for key, below in node.value if isinstance(key, yaml.ScalarNode))
    elif isinstance(node, yaml.SequenceNode):
        yield from ((index, below, below) for index, below in enumerate(node.value))


def _refuse_repeated(root: yaml.Node, file: str) -> None:
    """Refuse a key that comes twice in one mapping: YAML forbids it, yet PyYAML silently takes the last."""
    waiting: list[tuple[yaml.Node, FieldPath]] = [(root, ())]
    seen: set[int] = set()  # an alias leads to a node again, or round in a circle
    while waiting:
        node, path = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        names: set[str | int] = set()
        for name, key, below in _children(node):
            if name in names:
                raise BadManifest(file, _line(key), shown((*path, name)), value="this field again", allowed="it once")
            names.add(name)
            waiting.append((below, (*path, name)))


def _not_yaml(file: str, line: int | None, reason: object) -> BadManifest:
    said = str(reason)
    text = said if len(said) <= MOST_REASON else f"{said[:MOST_REASON]}..."
    return BadManifest(file, line, "document", value=f"no YAML ({text})", allowed="YAML", violation=Violation.SYNTAX)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
