"""Tests that the key of an image changes if and only if one of its inputs changes."""

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
def test_a_changed_or_a_new_file_changes_the_key(tree: Path, changed: str) -> None:
    before = key(tree)
    (tree / changed).parent.mkdir(exist_ok=True)
    (tree / changed).write_text("changed")
    assert key(tree) != before


def test_a_moved_file_changes_the_key(tree: Path) -> None:
    before = key(tree)
    (tree / "runtime" / "module.py").rename(tree / "runtime" / "other.py")
    assert key(tree) != before


def test_the_other_inputs_are_separate_parts_of_the_key(tree: Path) -> None:
    assert key(tree, "ab", "c") != key(tree, "a", "bc")
