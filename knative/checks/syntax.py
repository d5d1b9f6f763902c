"""Explanations for PyYAML's syntax errors, with the fix for each.

Source: PyYAML, scanner.py, parser.py, composer.py and constructor.py (their error messages).
"""

import re
from typing import Final, NamedTuple


class Explanation(NamedTuple):
    """The problem and the next step."""

    what: str
    fix: str


_OPENS: Final = {"]": "[", "}": "{"}
_EXPLANATIONS: Final[tuple[tuple[str, Explanation], ...]] = (  # {0}: the group of the pattern; {start}: a line number
    (
        "found unexpected end of stream",
        Explanation("the quoted string that starts in line {start} is not closed", "add the closing quote"),
    ),
    (
        r"expected ',' or '([\]}])'",
        Explanation("the {opens} in line {start} is not closed, or a comma is missing inside it", "close it with {0}"),
    ),
    (
        "expected the node content, but found '<stream end>'",
        Explanation("the file ends before a value: a [ or a { is not closed", "close it with ] or }"),
    ),
    (
        "expected the node content, but found '(.+)'",
        Explanation("found {0} instead of a value", "remove it, or quote the value"),
    ),
    (
        "mapping values are not allowed here",
        Explanation(
            "unexpected colon: the line is indented too far, or an unquoted string contains a colon",
            "indent the line like the other fields of the mapping, or quote the string",
        ),
    ),
    (
        "expected <block end>",
        Explanation(
            "the indentation of the line does not match the block that starts in line {start}",
            "indent it with as many spaces as the other lines of the block",
        ),
    ),
    (r"found character '\\t'", Explanation("a tab in the indentation", "indent with spaces")),
    (
        "found character '(.)' that cannot start",
        Explanation("an unquoted string cannot start with {0}", "quote the string"),
    ),
    ("could not find expected ':'", Explanation("line {start} is not a field with a value", "write it as name: value")),
    (
        "found unhashable key",
        Explanation("a mapping is used as a name, for example because of unquoted braces", "quote the braces"),
    ),
    (
        "found unknown escape character '(.)'",
        Explanation(
            "\\{0} is not an escape sequence in double quotes",
            "write two backslashes, or use single quotes, where a backslash has no special meaning",
        ),
    ),
)


def explain(message: str, start: int | None) -> Explanation:
    """Explain a message of PyYAML. `start` is the line, from 1, where the incomplete value starts, if known."""
    for pattern, explanation in _EXPLANATIONS:
        if match := re.search(pattern, message):
            group = match[1] if match.lastindex else ""
            facts = {"{0}": group, "{opens}": _OPENS.get(group, ""), "{start}": str(start or "?")}
            return Explanation(*(_filled(text, facts) for text in explanation))
    return Explanation(f"invalid YAML: {message}", "correct the line, or quote the string")


def _filled(text: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        text = text.replace(name, value)
    return text
