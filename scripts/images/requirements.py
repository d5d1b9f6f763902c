"""What a function needs beside the runtime: its requirements.txt, or the PEP 723 block of its main.py.

`python -m scripts.images.requirements FOLDER` prints it, one requirement per line.

Sources: pip, "Requirements File Format"; the specification of inline script metadata
(https://packaging.python.org/en/latest/specifications/inline-script-metadata/).
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from scripts.images.faults import CannotBuild

FILE: Final = "requirements.txt"
HANDLER: Final = "main.py"
_BLOCK: Final = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


class Stated(NamedTuple):
    """One requirement and the function that states it."""

    function: str
    requirement: Requirement


def read(folder: Path) -> list[str]:
    """The requirements of the function in that folder, as lines of a requirements file. Raises CannotBuild."""
    file = folder / FILE
    text = file.read_text("utf-8") if file.is_file() else None
    return lines(text, (folder / HANDLER).read_text("utf-8"), function=folder.name)


def lines(requirements: str | None, source: str, *, function: str) -> list[str]:
    """The lines of a requirements file: `requirements` is the text of requirements.txt, `source` that of main.py.

    Raises CannotBuild where both state requirements, or where the block is not TOML.
    """
    block = _of_block(source, function)
    if requirements is not None and block:
        raise CannotBuild(f"{function} has {FILE} and a script block in main.py; expected one of them")
    return block if requirements is None else requirements.splitlines()


def refuse_conflicts(by_function: Mapping[str, Sequence[str]]) -> None:
    """Raise CannotBuild where two functions pin a package to versions that exclude each other.

    pip finds every other conflict, but does not say which function states what.
    """
    stated = [Stated(name, each) for name, texts in by_function.items() for each in _requirements(texts, name)]
    for one, other in combinations(stated, 2):
        if one.requirement.name.lower() == other.requirement.name.lower() and _excludes(one, other):
            raise CannotBuild(
                f"{one.function} needs {one.requirement} and {other.function} needs {other.requirement}: "
                "one image cannot hold both; build one for each with scripts/image --function"
            )


def _of_block(source: str, function: str) -> list[str]:
    found = _BLOCK.search(source)
    if found is None:
        return []
    text = "".join(
        line[2:] if line.startswith("# ") else line[1:] for line in found["content"].splitlines(keepends=True)
    )
    try:
        dependencies = tomllib.loads(text).get("dependencies", [])
    except tomllib.TOMLDecodeError as error:
        raise CannotBuild(f"the script block of {function}/main.py is not TOML: {error}") from error
    return [str(each) for each in dependencies]


def _requirements(texts: Sequence[str], function: str) -> Iterator[Requirement]:
    """Those that name a package; pip reads the options, URLs and continued lines."""
    for text in texts:
        line = re.sub(r"(^|\s)#.*", "", text).strip()
        if not line or line.startswith("-") or "://" in line or line.endswith("\\"):
            continue
        try:
            yield Requirement(line)
        except InvalidRequirement as error:
            raise CannotBuild(f"{function} needs {line!r}, which is not a requirement: {error}") from error


def _excludes(one: Stated, other: Stated) -> bool:
    """Whether a version that one of them pins does not fit the other."""
    pinned = [
        (each.version, against.requirement.specifier)
        for stated, against in ((one, other), (other, one))
        for each in stated.requirement.specifier
        if each.operator == "==" and not each.version.endswith("*")
    ]
    return any(not specifier.contains(version, prereleases=True) for version, specifier in pinned)


if __name__ == "__main__":
    try:
        print("\n".join(read(Path(sys.argv[1]))))
    except CannotBuild as error:
        sys.exit(str(error))
