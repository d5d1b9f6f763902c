"""The author's file, imported in this process by functions-framework."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_numbers = itertools.count()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that writes a file of its own; what its import leaves in the process is removed afterwards."""
    from functions_framework import _function_registry as registry

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(registry, "REGISTRY_MAP", {})
    monkeypatch.setattr(registry, "ASGI_FUNCTIONS", set())
    for name in ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"):  # set first, so that the value of the import is removed
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def write(text: str) -> Path:
        path = tmp_path / f"author_{next(_numbers)}.py"
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
        path.write_text(text)
        return path

    return write
