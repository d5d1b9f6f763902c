"""Tests of the packages that a function needs in addition to the runtime."""

from pathlib import Path

import pytest

from scripts.images.faults import CannotBuild
from scripts.images.requirements import copy, of_block

BLOCK = """
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "humanize>=4",
#   "idna",
# ]
# ///
import humanize
"""


def function(folder: Path, source: str = "", **files: str) -> Path:
    folder.mkdir()
    (folder / "main.py").write_text(source)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_requirements_txt_is_copied_unchanged_with_its_included_files(tmp_path: Path) -> None:
    text = "-r more.txt\n--constraint=pins.txt\nidna==3.1 --hash=sha256:00\n"
    folder = function(tmp_path / "f", requirements=text, more="-r more.txt\n", pins="idna<4\n", notes="not included")
    copy(folder, tmp_path / "copy")
    assert (tmp_path / "copy" / "requirements.txt").read_text() == text
    assert sorted(each.name for each in (tmp_path / "copy").iterdir()) == ["more.txt", "pins.txt", "requirements.txt"]


@pytest.mark.parametrize("included", ["../outside.txt", "missing.txt"])
def test_an_included_file_must_be_in_the_folder(tmp_path: Path, included: str) -> None:
    (tmp_path / "outside.txt").touch()
    folder = function(tmp_path / "f", requirements=f"-r {included}\n")
    with pytest.raises(
        CannotBuild,
        match=rf"f/requirements\.txt includes {included}; expected an existing file in the function's folder",
    ):
        copy(folder, tmp_path / "copy")


@pytest.mark.parametrize(("source", "written"), [(BLOCK, "humanize>=4\nidna\n"), ("import json\n", "")])
def test_the_script_block_is_written_if_there_is_no_file(tmp_path: Path, source: str, written: str) -> None:
    copy(function(tmp_path / "f", source), tmp_path / "copy")
    assert (tmp_path / "copy" / "requirements.txt").read_text() == written


@pytest.mark.parametrize("source", ["", "import x\n", "# /// script\n# requires-python = '>=3.11'\n# ///\n"])
def test_a_function_may_have_no_requirements(source: str) -> None:
    assert of_block(source, function="f") == []


def test_a_file_and_a_script_block_together_are_refused(tmp_path: Path) -> None:
    folder = function(tmp_path / "f", BLOCK, requirements="idna\n")
    with pytest.raises(
        CannotBuild, match=r"^f has both requirements\.txt and a script block in main\.py; expected only one"
    ):
        copy(folder, tmp_path / "copy")


@pytest.mark.parametrize(("value", "message"), [("[", "is not TOML"), ("'idna'", "expected a list")])
def test_the_error_for_an_invalid_block_has_its_file(value: str, message: str) -> None:
    with pytest.raises(CannotBuild, match=rf"f/main\.py.*{message}"):
        of_block(f"# /// script\n# dependencies = {value}\n# ///\n", function="f")
