"""The names that an author's main.py defines, read without importing it."""

import ast
from collections.abc import Iterator
from pathlib import Path


def defined_names(file: Path) -> frozenset[str] | None:
    """Return the names that a module defines anywhere; None: unknown, for example because of `from x import *`."""
    try:
        module = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    names = frozenset(_names(module))
    return None if "*" in names else names


def _names(module: ast.Module) -> Iterator[str]:
    """Yield each name that is defined, assigned or imported anywhere in the module."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name
