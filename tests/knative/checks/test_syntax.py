"""Text that is no YAML is told in words: what is wrong, in which line it began, and what to do."""

import pytest

from knative.checks.reading import refused
from knative.checks.syntax import explained
from knative.resources import BadManifest
from knative.resources.documents import documents


@pytest.mark.parametrize(
    ("text", "where", "what", "fix"),
    [
        ("a: [1,\nb: 2\n", "f:3", "the [ of line 1 is not closed", "close it with ]"),
        ("a: 1\nc: {x: 1\nb: 2\n", "f:3", "the { of line 2 is not closed", "close it with }"),
        ("a: [\n", "f:2", "the file ends where a value would be", "close it with ] or }"),
        ("a: ]\n", "f:1", "] stands where a value would be", "take it out"),
        ('a: 1\nb: "x\nc: 2\n', "f:4", "the text in quotes that begins in line 2 is not closed", "closes it"),
        ("a: 1\n  b: 2\n", "f:2", "a colon where none may be", "indent the line"),
        ("a:\n  b: 1\n c: 2\n", "f:3", "does not fit what begins in line 1", "indent it"),
        ("a:\n\tb: 1\n", "f:2", "a tab where blanks would be", "indent with blanks"),
        ("a: %x\n", "f:1", "% begins a text that is not in quotes", "put the text into quotes"),
        ("a: 1\nb\n", "f:3", "line 2 is no name with a value", "name: value"),
        ("a: {{ env:X }}\n", "f:1", "a mapping stands where a name would be", "put the braces into quotes"),
        ('a: "\\q"\n', "f:1", "\\q means nothing between double quotes", "single quotes"),
        ("a: *x\n", "f:1", "it is no YAML: found undefined alias 'x'", "mend the place"),
        ("a: 2024-13-45\n", "f", "it is no YAML: month must be in 1..12", "mend the place"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_in_words(text: str, where: str, what: str, fix: str) -> None:
    with pytest.raises(BadManifest) as fault:
        documents(text, file="f")
    found = refused(fault.value)
    assert (found.code, found.where) == ("bad-manifest", where)
    assert what in found.what
    assert fix in found.fix


def test_a_line_that_nobody_knows_is_left_open() -> None:
    assert "begins in line ?" in explained("found unexpected end of stream", None).what
