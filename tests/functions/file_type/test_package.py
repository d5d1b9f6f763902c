"""content_types.json is what the installed package says."""

import sys

import pytest

from functions.file_type import package


def test_the_facts_are_those_of_the_package() -> None:
    assert package.render(package.facts()) == package.FACTS.read_text("utf-8")


def test_a_missing_package_is_an_error_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "magika", None)
    with pytest.raises(ModuleNotFoundError, match=r"magika is not installed; install it: pip install magika==1\.0\.3"):
        package.model()
