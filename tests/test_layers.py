"""What .importlinter promises about the layers can be kept only while it names what is there."""

from configparser import ConfigParser
from importlib.util import find_spec

import pytest

from tests import ROOT

LATER = {"kubernetes", "knative.api.client"}  # promised before the first line is written


def contracts() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def named() -> set[str]:
    """Every module that a contract names, without wildcards."""
    found = set()
    for section in contracts().values():
        for key in ("source_modules", "forbidden_modules", "modules"):
            found.update(section.get(key, "").split())
        for line in section.get("ignore_imports", "").splitlines():
            found.update(side.strip() for side in line.split("->") if side.strip())
    return {name for name in found if "*" not in name} - LATER


@pytest.mark.parametrize("module", sorted(named()))
def test_a_contract_names_a_module_that_exists(module: str) -> None:
    """A misspelt or renamed module would leave its contract kept for ever, and empty."""
    assert find_spec(module) is not None


def test_every_package_of_the_distribution_is_under_contract() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"scripts", "tests"}
    assert set(contracts()["importlinter"]["root_packages"].split()) == packages
