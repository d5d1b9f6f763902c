"""The build context of an image: the runtime, functions and their requirements.

LICENSE pyproject.toml knative/ runtime/      of this repository
functions/NAME/                               each function, from any folder
requirements/NAME/requirements.txt            its requirements; an empty file if it has none
install_requirements.py                       installs all requirements, and reports conflicts
check_functions.py                            imports each function in the finished image
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from scripts.images import requirements
from scripts.images.faults import CannotBuild
from scripts.images.requirements import HANDLER

SOURCES: Final = ("Containerfile", "LICENSE", "knative", "pyproject.toml", "runtime")
FUNCTIONS: Final = "functions"
REQUIREMENTS: Final = "requirements"
CHECK: Final = "check_functions.py"
STEPS: Final = (CHECK, "install_requirements.py")  # programs that the build runs
_IGNORED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


@contextmanager
def build_context(root: Path, functions: Sequence[Path]) -> Iterator[Path]:
    """Create the folder, and remove it after the block. Raises CannotBuild."""
    with TemporaryDirectory(prefix="scalezero-context-") as folder:
        context = Path(folder)
        for source in SOURCES:
            place = root / source
            if place.is_dir():
                shutil.copytree(place, context / source, ignore=_IGNORED)
            else:
                shutil.copyfile(place, context / source)
        for step in STEPS:
            shutil.copyfile(Path(__file__).with_name(step), context / step)
        _add_functions(context, root, functions)
        yield context


def repository_functions(root: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders of the repository's functions: those without packages of their own, and the others.

    The default image has the first ones, so packages of one function do not enlarge the image of all others.
    """
    found = sorted(path.parent for path in (root / FUNCTIONS).glob(f"*/{HANDLER}"))
    plain = [each for each in found if not requirements.has_any(each)]
    return plain, [each for each in found if each not in plain]


def find_function(root: Path, name: str) -> Path:
    """Return the folder of a function by its path, or by its name in functions/. Raises CannotBuild."""
    for folder in (Path(name), root / FUNCTIONS / name):
        if (folder / HANDLER).is_file():
            return folder.resolve()
    raise CannotBuild(f"no {HANDLER} in {name}, nor in {FUNCTIONS}/{name}; expected the folder of a function")


def _add_functions(context: Path, root: Path, functions: Sequence[Path]) -> None:
    (context / FUNCTIONS).mkdir()
    shutil.copyfile(root / FUNCTIONS / "__init__.py", context / FUNCTIONS / "__init__.py")
    (context / REQUIREMENTS).mkdir()
    for folder in functions:
        if (context / FUNCTIONS / folder.name).exists():
            raise CannotBuild(f"two functions have the name {folder.name}; rename one of their folders")
        shutil.copytree(folder, context / FUNCTIONS / folder.name, ignore=_IGNORED)
        requirements.copy(folder, context / REQUIREMENTS / folder.name)
