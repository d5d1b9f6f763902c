"""An image is built anew when something that goes into it changes, and only then."""

from pathlib import Path

import pytest

from scripts.images.fingerprint import key


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for file in ("Containerfile", "runtime/module.py", "functions/f/main.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(file)
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


def test_what_else_decides_has_a_say_part_by_part(tree: Path) -> None:
    assert key(tree, "ab", "c") != key(tree, "a", "bc")
