"""Tests that func.yaml, which `func deploy` reads, has valid settings of the runtime."""

import pytest
import yaml

from runtime.settings import settings_from
from tests import ROOT


@pytest.fixture
def function() -> dict[str, object]:
    document: dict[str, object] = yaml.safe_load((ROOT / "func.yaml").read_text())
    return document


@pytest.fixture
def environ(function: dict[str, dict[str, list[dict[str, str]]]]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in function["run"]["envs"]}


def test_every_setting_is_known_and_allowed(environ: dict[str, str]) -> None:
    settings = settings_from(environ)
    assert settings.model_name == "payment-model"
    assert settings.function_source is not None
    assert (ROOT / settings.function_source).is_file()


def test_every_value_is_text(environ: dict[str, str]) -> None:
    """Knative func rejects numbers and booleans as values of variables."""
    assert {name: value for name, value in environ.items() if not isinstance(value, str)} == {}


def test_the_cache_is_a_volume(function: dict[str, dict[str, list[dict[str, str]]]], environ: dict[str, str]) -> None:
    assert environ["SCALEZERO_CACHE_DIR"] in {volume["path"] for volume in function["run"]["volumes"]}
