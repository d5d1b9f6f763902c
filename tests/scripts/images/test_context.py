"""Tests that the build context contains exactly the files that the Containerfile copies."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.images import context
from scripts.images.context import build_context, find_function, repository_functions
from scripts.images.faults import CannotBuild
from scripts.images.requirements import has_any
from tests import ROOT


def function(folder: Path, source: str = "", requirements: str | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(source)
    if requirements is not None:
        (folder / "requirements.txt").write_text(requirements)
    return folder


def test_it_contains_the_files_of_the_containerfile(tmp_path: Path) -> None:
    written = (ROOT / "Containerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(\S+) ", written, re.MULTILINE)
    mounted = re.findall(r"type=bind,source=([^,]+)", written)
    with build_context(ROOT, repository_functions(ROOT)[0]) as folder:
        assert sorted(each.name for each in folder.iterdir()) == sorted([*copied, *mounted, "Containerfile"])
        assert not list(folder.rglob("__pycache__"))


def test_functions_with_packages_of_their_own_are_not_in_the_default_image() -> None:
    plain, others = repository_functions(ROOT)
    assert [each.name for each in plain] == ["digits", "file_type", "payment_model"]
    assert [each.name for each in others] == ["document_text"]


@pytest.mark.parametrize(
    ("requirements", "source", "expected"),
    [
        (None, "", False),
        ("# none\n\n", "", False),
        ("humanize\n", "", True),
        (None, '# /// script\n# dependencies = ["humanize"]\n# ///\n', True),
    ],
)
def test_packages_are_stated_in_requirements_or_in_the_script_block(
    tmp_path: Path, *, requirements: str | None, source: str, expected: bool
) -> None:
    folder = function(tmp_path / "f", requirements=requirements)
    (folder / "main.py").write_text(source)
    assert has_any(folder) is expected


def test_functions_from_any_folder_are_copied_with_their_requirements(tmp_path: Path) -> None:
    one = function(tmp_path / "one", requirements="humanize>=4\n")
    two = function(tmp_path / "other" / "two")
    with build_context(ROOT, [one, two]) as folder:
        assert (folder / "functions" / "one" / "main.py").is_file()
        assert (folder / "requirements" / "one" / "requirements.txt").read_text() == "humanize>=4\n"
        assert (folder / "requirements" / "two" / "requirements.txt").read_text() == ""
        assert not (folder / "functions" / "payment_model").exists()


def test_two_functions_with_the_same_name_are_refused(tmp_path: Path) -> None:
    one, two = function(tmp_path / "a" / "f"), function(tmp_path / "b" / "f")
    with pytest.raises(CannotBuild, match="two functions have the name f"), build_context(ROOT, [one, two]):
        pass


def test_a_function_is_found_by_its_path_or_by_its_name_in_the_repository(tmp_path: Path) -> None:
    assert find_function(ROOT, str(function(tmp_path / "f"))) == (tmp_path / "f").resolve()
    assert find_function(ROOT, "payment_model") == ROOT / "functions" / "payment_model"
    with pytest.raises(CannotBuild, match=r"no main\.py in missing, nor in functions/missing"):
        find_function(ROOT, "missing")


@pytest.mark.parametrize(
    ("source", "code", "output"),
    [
        ("import json\n", 0, ""),
        ("import sibling\n", 0, ""),
        (
            "import surely_missing\n",
            1,
            "the module 'surely_missing' is missing; add its package to functions/f/requirements",
        ),
        ("from json import surely_missing\n", 1, "ImportError"),
        ("def broken(:\n", 1, "SyntaxError"),
        ("raise KeyError('BUCKET')\n", 0, "not checked further: KeyError"),
        ("import sys\nsys.exit('no BUCKET')\n", 0, "not checked further: SystemExit"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))\n", 0, "the build of an image has no network"),
    ],
)
def test_each_function_is_imported_in_the_finished_image(tmp_path: Path, source: str, code: int, output: str) -> None:
    folder = function(tmp_path / "functions" / "f", source)
    (folder / "sibling.py").touch()
    check = Path(context.__file__).with_name(context.CHECK)
    done = subprocess.run([sys.executable, check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert output in done.stdout


def test_functions_may_have_modules_of_the_same_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = function(tmp_path / "functions" / name, f"from features import {name}\n")
        (folder / "features.py").write_text(f"{name} = 1\n")
    check = Path(context.__file__).with_name(context.CHECK)
    done = subprocess.run([sys.executable, check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
