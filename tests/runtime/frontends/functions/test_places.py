"""A failure is described by its type and the author's line."""

import sys
from pathlib import Path

import pytest

from runtime.frontends.functions import places

HERE = Path(__file__).resolve().parent


def failing(code: str, file: Path) -> BaseException:
    """Return the exception that the code raises, as if it were in this file."""
    try:
        exec(compile(code, file, "exec"), {})  # noqa: S102 - as an import does
    except BaseException as error:  # noqa: BLE001 - the result
        return error
    raise AssertionError(code)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\nx['secret']", "TypeError at main.py:2"),
        ("def f():\n    raise SystemExit('secret')\nf()", "SystemExit at main.py:2"),
        ("import json\n\njson.loads('secret')", "JSONDecodeError at main.py:3"),
        ("secret secret", "SyntaxError at main.py:1"),
    ],
)
def test_a_failure_has_its_type_and_the_innermost_line_of_the_folder(tmp_path: Path, code: str, expected: str) -> None:
    assert places.failure(failing(code, tmp_path / "main.py"), tmp_path) == expected


@pytest.mark.parametrize("file", ["../main.py", ".venv/lib/site-packages/x.py"])
def test_a_failure_has_no_line_of_a_file_outside_of_the_folder(tmp_path: Path, file: str) -> None:
    assert places.failure(failing("1 / 0", tmp_path / file), tmp_path) == "ZeroDivisionError"
    assert places.failure(failing("1 1", tmp_path / file), tmp_path) == "SyntaxError"


def test_the_line_of_a_thread_is_the_innermost_line_of_the_folder() -> None:
    line = places.line_of(sys._getframe(), HERE)
    assert line is not None
    assert line.startswith("test_places.py:")


def test_a_thread_outside_of_the_folder_has_no_line(tmp_path: Path) -> None:
    assert places.line_of(sys._getframe(), tmp_path) is None
