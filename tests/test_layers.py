"""Tests that the contracts in .importlinter name existing modules."""

from configparser import ConfigParser
from importlib.util import find_spec

import pytest

from tests import ROOT


def contracts() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def contracted_modules() -> set[str]:
    """Return every module that a contract names, without wildcards."""
    found = set()
    for section in contracts().values():
        for key in ("source_modules", "forbidden_modules", "modules"):
            found.update(section.get(key, "").split())
        for line in section.get("ignore_imports", "").splitlines():
            found.update(side.strip() for side in line.split("->") if side.strip())
    return {name for name in found if "*" not in name}


@pytest.mark.parametrize("module", sorted(contracted_modules()))
def test_a_contract_names_a_module_that_exists(module: str) -> None:
    """A contract of a misspelt or renamed module would always be met, without a check."""
    assert find_spec(module) is not None


def test_every_package_of_the_distribution_has_a_contract() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"scripts", "tests"}
    assert set(contracts()["importlinter"]["root_packages"].split()) == packages
