"""The blocks of a document, so that tests can run them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Command(NamedTuple):
    """A command of a console block, and the output that the document shows below it."""

    line: str
    output: str


def blocks(page: Path, language: str) -> list[str]:
    """Return the contents of the fenced blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> Iterator[Command]:
    """Yield the commands of all console blocks. A backslash continues a command in the next line."""
    for block in blocks(page, "console"):
        for found in re.findall(r"^\$ ((?:.*\\\n)*.*\n)((?:(?!\$ ).*\n)*)", block, flags=re.MULTILINE):
            yield Command(found[0].strip(), found[1].strip())
