"""The packages that a function needs in addition to the runtime: requirements.txt, or the PEP 723 block of main.py.

`python -m scripts.images.requirements FOLDER COPY` writes them to COPY/requirements.txt, with included files.

Sources: pip, "Requirements File Format"; the specification of inline script metadata
(https://packaging.python.org/en/latest/specifications/inline-script-metadata/).
"""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.images.faults import CannotBuild

FILE: Final = "requirements.txt"
HANDLER: Final = "main.py"
_BLOCK: Final = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_INCLUDE: Final = re.compile(r"(?m)^\s*(?:-r|--requirement|-c|--constraint)[ =]*(?P<file>[^\s#]+)")


def copy(folder: Path, destination: Path) -> None:
    """Write the requirements of the function in `folder` to `destination`/requirements.txt, empty if it has none.

    Files that requirements.txt includes (-r, -c) are copied to the same relative paths. Raises CannotBuild if a
    function has both a requirements.txt and a script block, if the block is not TOML, and if an included file is
    missing or outside the folder.
    """
    block = of_block((folder / HANDLER).read_text("utf-8"), function=folder.name)
    destination.mkdir(parents=True)
    if not (folder / FILE).is_file():
        (destination / FILE).write_text("".join(f"{each}\n" for each in block))
        return
    if block:
        raise CannotBuild(f"{folder.name} has both {FILE} and a script block in {HANDLER}; expected only one of them")
    for file in sorted(_with_included(folder, Path(FILE))):
        (destination / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / file, destination / file)


def has_any(folder: Path) -> bool:
    """Return whether the function in `folder` needs packages of its own. Raises CannotBuild for an invalid block."""
    file = folder / FILE
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    stated = any(line.strip() and not line.lstrip().startswith("#") for line in lines)
    return stated or bool(of_block((folder / HANDLER).read_text("utf-8"), function=folder.name))


def of_block(source: str, *, function: str) -> list[str]:
    """Return the dependencies in the script block of a main.py; none without a block. Raises CannotBuild."""
    found = _BLOCK.search(source)
    if found is None:
        return []
    text = "".join(
        line[2:] if line.startswith("# ") else line[1:] for line in found["content"].splitlines(keepends=True)
    )
    try:
        dependencies = tomllib.loads(text).get("dependencies", [])
    except tomllib.TOMLDecodeError as error:
        raise CannotBuild(f"the script block of {function}/{HANDLER} is not TOML: {error}") from error
    if not isinstance(dependencies, list):
        raise CannotBuild(f"{function}/{HANDLER}: dependencies = {dependencies!r}; expected a list of strings")
    return [str(each) for each in dependencies]


def _with_included(folder: Path, start: Path) -> set[Path]:
    """Return the file and all files that it includes, relative to the folder."""
    found: set[Path] = set()
    pending = [start]
    while pending:
        file = pending.pop()
        if file not in found:
            found.add(file)
            pending.extend(_included(folder, file))
    return found


def _included(folder: Path, file: Path) -> Iterator[Path]:
    for match in _INCLUDE.finditer((folder / file).read_text("utf-8")):
        if "://" in match["file"]:  # pip downloads it
            continue
        path = (folder / file.parent / match["file"]).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise CannotBuild(
                f"{folder.name}/{file} includes {match['file']}; expected an existing file in the function's folder"
            )
        yield path.relative_to(folder.resolve())


if __name__ == "__main__":
    try:
        copy(Path(sys.argv[1]), Path(sys.argv[2]))
    except CannotBuild as error:
        sys.exit(str(error))
