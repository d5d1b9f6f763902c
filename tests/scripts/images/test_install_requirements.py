"""Tests of the installation of all requirements, and of the errors for conflicts, with real wheels and pip."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from scripts.images import install_requirements


def wheel(folder: Path, name: str, version: str, *, needs: str | None = None) -> None:
    """Write a wheel of a package with one empty module."""
    info = f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


class Image:
    """An environment with the runtime's package, and an index with several wheels."""

    def __init__(self, folder: Path) -> None:
        self.index, self.requirements = folder / "index", folder / "requirements"
        self.index.mkdir()
        self.requirements.mkdir()
        for version in ("1", "2"):
            wheel(self.index, "part", version)
            wheel(self.index, "runtimes", version)
        wheel(self.index, "over", "1", needs="part==1")
        venv.create(folder / "venv", with_pip=False)
        self.python = folder / "venv" / "bin" / "python"
        self.needs("runtime", "runtimes==2")
        assert self.install().returncode == 0

    def needs(self, function: str, text: str) -> None:
        (self.requirements / function).mkdir(exist_ok=True)
        (self.requirements / function / "requirements.txt").write_text(text)

    def install(self) -> "subprocess.CompletedProcess[str]":
        environ = {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)}
        command = [sys.executable, install_requirements.__file__, str(self.requirements), str(self.python)]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    def has(self, module: str) -> bool:
        return subprocess.run([self.python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


def test_all_requirements_are_installed_together(image: Image) -> None:
    image.needs("one", "over\n")
    image.needs("two", "part<2  # as over needs it\n")
    image.needs("three", "")
    done = image.install()
    assert done.returncode == 0, done.stderr
    assert image.has("over")
    assert image.has("part")


def test_the_error_for_a_conflict_has_both_functions_and_the_next_step(image: Image) -> None:
    """Only pip's resolver finds this conflict: `over` needs part 1."""
    image.needs("one", "over\n")
    image.needs("two", "part>=2\n")
    image.needs("three", "part\n")
    done = image.install()
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("the requirements of one and two conflict")
    assert "scripts/image --function one, scripts/image --function two" in last
    assert not image.has("over")


@pytest.mark.parametrize("text", ["runtimes==1\n", "nowhere\n"])
def test_the_error_for_a_conflict_with_the_runtime_has_the_function(image: Image, text: str) -> None:
    image.needs("one", text)
    image.needs("two", "part\n")
    done = image.install()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("the requirements of one cannot be installed with the runtime's")


def test_a_conflict_may_need_three_functions() -> None:
    assert install_requirements.explain(["a", "b", "c"], lambda names: len(names) < 3).startswith(
        "the requirements of a and b and c conflict"
    )
