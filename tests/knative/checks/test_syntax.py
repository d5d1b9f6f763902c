"""Explanations of syntax errors: the problem, the line and the fix."""

import pytest

from knative.checks.reading import finding_of
from knative.checks.syntax import explain
from knative.resources import BadManifest
from knative.resources.documents import documents


@pytest.mark.parametrize(
    ("text", "where", "what", "fix"),
    [
        ("a: [1,\nb: 2\n", "f:3", "the [ in line 1 is not closed", "close it with ]"),
        ("a: 1\nc: {x: 1\nb: 2\n", "f:3", "the { in line 2 is not closed", "close it with }"),
        ("a: [\n", "f:2", "the file ends before a value", "close it with ] or }"),
        ("a: ]\n", "f:1", "found ] instead of a value", "remove it"),
        ('a: 1\nb: "x\nc: 2\n', "f:4", "the quoted string that starts in line 2 is not closed", "closing quote"),
        ("a: 1\n  b: 2\n", "f:2", "unexpected colon", "indent the line"),
        ("a:\n  b: 1\n c: 2\n", "f:3", "does not match the block that starts in line 1", "indent it"),
        ("a:\n\tb: 1\n", "f:2", "a tab in the indentation", "indent with spaces"),
        ("a: %x\n", "f:1", "an unquoted string cannot start with %", "quote the string"),
        ("a: 1\nb\n", "f:3", "line 2 is not a field with a value", "name: value"),
        ("a: {{ env:X }}\n", "f:1", "a mapping is used as a name", "quote the braces"),
        ('a: "\\q"\n', "f:1", "\\q is not an escape sequence", "single quotes"),
        ("a: *x\n", "f:1", "invalid YAML: found undefined alias 'x'", "correct the line"),
        ("a: 2024-13-45\n", "f", "invalid YAML: month must be in 1..12", "correct the line"),
    ],
)
def test_a_syntax_error_is_explained(text: str, where: str, what: str, fix: str) -> None:
    with pytest.raises(BadManifest) as fault:
        documents(text, file="f")
    found = finding_of(fault.value)
    assert (found.code, found.where) == ("bad-manifest", where)
    assert what in found.what
    assert fix in found.fix


def test_an_unknown_start_line_is_a_question_mark() -> None:
    assert "starts in line ?" in explain("found unexpected end of stream", None).what
