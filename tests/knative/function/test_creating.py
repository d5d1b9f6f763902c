"""A new function's folder works without changes."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from knative.function import creating
from knative.function.creating import FILES, create
from knative.resources.func_yaml import read_function
from knative.resources.read import read_resources
from runtime.errors import BadSetting
from tests.waiting import DEADLINE


def test_the_folder_has_every_file_of_the_template(tmp_path: Path) -> None:
    create(tmp_path / "f")
    assert sorted(FILES) == sorted(each.name for each in (tmp_path / "f").iterdir())
    assert sorted(FILES) == sorted(each.name for each in creating.TEMPLATE.iterdir() if each.is_file())


def test_the_name_of_the_folder_is_that_of_the_model_and_of_the_function(tmp_path: Path) -> None:
    folder = tmp_path / "my_function"
    assert create(folder, now=datetime(2026, 5, 4, tzinfo=UTC)) == "my-function"
    (version,) = read_resources(folder).model_versions
    assert (version.metadata.name, version.spec.model_name) == ("my-function-v1", "my-function")
    function = read_function(folder).function
    assert (function.name, function.image) == ("my-function", "dev.local/my-function:1")
    assert function.created == datetime(2026, 5, 4, tzinfo=UTC)
    assert 'model("my-function")' in (folder / "main.py").read_text()
    assert not any("example-function" in (folder / file).read_text() for file in FILES)


@pytest.mark.parametrize("mode", ["prepend", "importlib"])
def test_its_test_passes_from_another_folder(tmp_path: Path, mode: str) -> None:
    """A function in a clone of this project is tested with the import mode of its pyproject.toml: importlib."""
    create(tmp_path / "f")
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", ".", f"--import-mode={mode}", "f"]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the import of the plugins takes half of the time
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("name", ["1st", "Upper", "a.b", "ends-", "x" * 43])
def test_a_name_that_knative_does_not_allow_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSetting, match="lower-case letters"):
        create(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="does not exist yet"):
        create(tmp_path)
