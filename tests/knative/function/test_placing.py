"""An author's function has a place in the image where its folder lies under functions/."""

from pathlib import Path

import pytest

from knative.function.placing import in_image


@pytest.mark.parametrize("folder", ["functions/a", "deep/functions/a"])
def test_a_folder_under_functions_keeps_its_name_wherever_the_command_runs(tmp_path: Path, folder: str) -> None:
    assert in_image(tmp_path / folder / "main.py") == Path("functions/a/main.py")


@pytest.mark.parametrize("folder", ["a", "functions", "functions/a/b"])
def test_any_other_folder_is_not_in_the_image(tmp_path: Path, folder: str) -> None:
    assert in_image(tmp_path / folder / "main.py") is None
