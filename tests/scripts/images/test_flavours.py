"""Tests of the image with OpenVINO, on the installed package: the files that the image removes are not needed."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import ROOT

PACKAGE = "onnxruntime_ep_openvino"
CODE = """
import sys
from runtime.errors import ProviderUnavailable
from runtime.model import providers
try:
    print(len(providers.devices("OpenVINOExecutionProvider")))
except ProviderUnavailable as error:
    print(error)
"""


def installed() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def removed() -> list[str]:
    """Return the patterns of the files that the Containerfile removes from the package."""
    return re.findall(rf"{PACKAGE}/(\S+)", (ROOT / "Containerfile").read_text())


def outcome(library: Path) -> str:
    """Return the number of devices, or why there is none, in a process of its own."""
    environ = {"SCALEZERO_OPENVINO_LIBRARY": str(library)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environ, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_every_file_that_the_image_removes_is_in_the_package() -> None:
    assert len(removed()) == 4
    assert [pattern for pattern in removed() if not list(installed().glob(pattern))] == []


@pytest.fixture
def slim(tmp_path: Path) -> Path:
    """The package as it is in the image; its files are links where that is possible."""
    left_out = shutil.ignore_patterns("__pycache__", *removed())

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copyfile(source, target)

    shutil.copytree(installed(), tmp_path / PACKAGE, ignore=left_out, copy_function=link)
    return tmp_path / PACKAGE


def test_without_the_removed_files_the_library_offers_the_same_devices(slim: Path) -> None:
    name = "libonnxruntime_providers_openvino_plugin.so"
    assert outcome(slim / name) == outcome(installed() / name)
    assert "cannot be loaded" not in outcome(slim / name)


def test_the_removed_files_are_more_than_a_third_of_the_package(slim: Path) -> None:
    def size(folder: Path) -> int:
        return sum(each.stat().st_size for each in folder.iterdir() if each.is_file())

    assert size(slim) < 2 / 3 * size(installed())
