"""Memory: what the runtime needs without a model, and with one."""

from pathlib import Path

import pytest

from tests.knative.checks.cases import Case, check


@pytest.mark.parametrize(("limit", "enough"), [("71Mi", False), ("72Mi", True)])
def test_a_limit_below_what_the_runtime_needs_is_an_error_whatever_the_model(
    tmp_path: Path, limit: str, *, enough: bool
) -> None:
    edits = (("memory: 512Mi", f"memory: {limit}"), ("memory: 256Mi", f"memory: {limit}"))
    found = [each for each in check(Case(function=edits), tmp_path) if each.code == "memory-below-model"]
    assert bool(found) is not enough
    for each in found:
        assert "72Mi" in each.what
        assert limit in each.what
