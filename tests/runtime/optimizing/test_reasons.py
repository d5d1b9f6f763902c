"""Tests of the texts of reasons."""

import errno
import os

import pytest

from runtime.optimizing.reasons import disk_full, one_line, reason_of


def test_a_reason_is_one_line_of_limited_length() -> None:
    assert one_line("two\n  lines") == "two lines"
    assert one_line("x" * 200) == "x" * 200
    assert one_line("x" * 201) == f"{'x' * 197}..."


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no operator"), "no operator"),
        (IndexError("list index out of range"), "IndexError: list index out of range"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError: 'utf-8' codec"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_the_exception_of_a_library_is_named(error: Exception, expected: str) -> None:
    assert reason_of(error).startswith(expected)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_without_room_is_recognized_also_in_the_text_of_another_error(number: int) -> None:
    text = os.strerror(number)
    assert disk_full(OSError(number, text)) == text
    assert disk_full(RuntimeError(f"cannot save the model: {text}")) == text
    assert disk_full(OSError(errno.EACCES, "denied")) is None
    assert disk_full(ValueError("no operator")) is None
