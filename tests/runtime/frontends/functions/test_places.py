"""A fault is told by its type and the author's own line."""

import sys
from pathlib import Path

import pytest

from runtime.frontends.functions import places

HERE = Path(__file__).resolve().parent


def failing(code: str, file: Path) -> BaseException:
    """What the code raises, as if it stood in that file."""
    try:
        exec(compile(code, file, "exec"), {})  # noqa: S102 - as an import does
    except BaseException as error:  # noqa: BLE001 - the result
        return error
    raise AssertionError(code)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("x = 1\nx['secret']", "TypeError at main.py:2"),
        ("def f():\n    raise SystemExit('secret')\nf()", "SystemExit at main.py:2"),
        ("import json\n\njson.loads('secret')", "JSONDecodeError at main.py:3"),
        ("secret secret", "SyntaxError at main.py:1"),
    ],
)
def test_a_fault_is_told_by_its_type_and_the_innermost_line_of_the_folder(tmp_path: Path, code: str, told: str) -> None:
    assert places.failure(failing(code, tmp_path / "main.py"), tmp_path) == told


@pytest.mark.parametrize("file", ["../main.py", ".venv/lib/site-packages/x.py"])
def test_a_line_of_somebody_elses_file_is_not_told(tmp_path: Path, file: str) -> None:
    assert places.failure(failing("1 / 0", tmp_path / file), tmp_path) == "ZeroDivisionError"
    assert places.failure(failing("1 1", tmp_path / file), tmp_path) == "SyntaxError"


def test_a_thread_is_at_the_authors_line_that_called() -> None:
    line = places.line_of(sys._getframe(), HERE)
    assert line is not None
    assert line.startswith("test_places.py:")


def test_a_thread_that_is_nowhere_in_the_folder_is_at_none_of_its_lines(tmp_path: Path) -> None:
    assert places.line_of(sys._getframe(), tmp_path) is None
