"""What PyYAML says of a text that is no YAML, in words, and what would mend it.

Source: PyYAML, scanner.py, parser.py, composer.py and constructor.py (the problems that they name).
"""

import re
from typing import Final, NamedTuple


class Told(NamedTuple):
    """What is wrong, and what to do about it."""

    what: str
    fix: str


_OPENS: Final = {"]": "[", "}": "{"}
_PROBLEMS: Final[tuple[tuple[str, Told], ...]] = (  # {0} is what the pattern's group found, {began} the line
    (
        "found unexpected end of stream",
        Told("the text in quotes that begins in line {began} is not closed", "write the quote that closes it"),
    ),
    (
        r"expected ',' or '([\]}])'",
        Told("the {opens} of line {began} is not closed, or a comma is missing in it", "close it with {0}"),
    ),
    (
        "expected the node content, but found '<stream end>'",
        Told("the file ends where a value would be: a [ or a { is not closed", "close it with ] or }"),
    ),
    (
        "expected the node content, but found '(.+)'",
        Told("{0} stands where a value would be", "take it out, or put the value into quotes"),
    ),
    (
        "mapping values are not allowed here",
        Told(
            "a colon where none may be: the line is indented deeper than the one it belongs beside, or a text has it",
            "indent the line as its neighbours are, or put the text into quotes",
        ),
    ),
    (
        "expected <block end>",
        Told(
            "the line does not fit what begins in line {began}: its indentation is another",
            "indent it by as many blanks as its neighbours",
        ),
    ),
    (r"found character '\\t'", Told("a tab where blanks would be", "indent with blanks")),
    (
        "found character '(.)' that cannot start",
        Told("{0} begins a text that is not in quotes", "put the text into quotes"),
    ),
    ("could not find expected ':'", Told("line {began} is no name with a value", "write it as name: value")),
    (
        "found unhashable key",
        Told("a mapping stands where a name would be, as of braces without quotes", "put the braces into quotes"),
    ),
    (
        "found unknown escape character '(.)'",
        Told(
            "\\{0} means nothing between double quotes",
            "write two backslashes, or single quotes, where one is itself",
        ),
    ),
)


def explained(problem: str, began: int | None) -> Told:
    """Put a problem into words; `began` is the line, from 1, where what it concerns began, if that is known."""
    for pattern, told in _PROBLEMS:
        if match := re.search(pattern, problem):
            group = match[1] if match.lastindex else ""
            facts = {"{0}": group, "{opens}": _OPENS.get(group, ""), "{began}": str(began or "?")}
            return Told(*(_filled(text, facts) for text in told))
    return Told(f"it is no YAML: {problem}", "mend the place, or put the text there into quotes")


def _filled(text: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        text = text.replace(name, value)
    return text
