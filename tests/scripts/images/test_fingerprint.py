"""An image is built anew when something that goes into it changes, and only then."""

import re
from pathlib import Path

import pytest

from scripts.images.fingerprint import SOURCES, files, key
from tests import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for source in SOURCES:
        place = tmp_path / source
        if (ROOT / source).is_dir():
            place.mkdir()
            place = place / "module.py"
        place.write_text(source)
    return tmp_path


def test_the_same_sources_have_the_same_key(tree: Path) -> None:
    assert key(tree, "base") == key(tree, "base")


@pytest.mark.parametrize("changed", ["Containerfile", "runtime/module.py", "runtime/deeper/new.py"])
def test_a_changed_or_a_new_file_has_another(tree: Path, changed: str) -> None:
    before = key(tree)
    (tree / changed).parent.mkdir(exist_ok=True)
    (tree / changed).write_text("changed")
    assert key(tree) != before


def test_a_moved_file_has_another(tree: Path) -> None:
    before = key(tree)
    (tree / "runtime" / "module.py").rename(tree / "runtime" / "other.py")
    assert key(tree) != before


def test_bytecode_and_what_does_not_go_in_have_no_say(tree: Path) -> None:
    before = key(tree)
    (tree / "runtime" / "__pycache__").mkdir()
    (tree / "runtime" / "__pycache__" / "module.cpython-311.pyc").touch()
    (tree / "README.md").touch()
    assert key(tree) == before


def test_what_else_decides_has_a_say_part_by_part(tree: Path) -> None:
    assert key(tree, "ab", "c") != key(tree, "a", "bc")


def test_the_containerfile_copies_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert sorted([*copied, "Containerfile"]) == sorted(SOURCES)


def test_the_context_of_a_build_holds_just_that() -> None:
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    kept = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    assert sorted([*kept, "Containerfile"]) == sorted(SOURCES)
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()


def test_every_source_is_there() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in files(ROOT, SOURCES)} == set(SOURCES)
