"""The memory that the runtime needs."""

from dataclasses import replace
from pathlib import Path

import pytest

from knative.checks.finding import Finding
from knative.checks.subject import Artifact, Facts
from runtime.variants.values import StoredFile
from tests.knative.checks.cases import MIB, V1, Case, check
from tests.knative.published import variant

MEMORY = (("memory: 512Mi", "memory: 4Gi"),)


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


@pytest.mark.parametrize(("cache", "enough"), [("300Mi", True), ("299Mi", False)])
def test_the_cache_has_room_for_the_original_and_the_largest_chosen_variant(
    tmp_path: Path, cache: str, *, enough: bool
) -> None:
    case = Case(facts=chosen(100, 200), function=(("sizeLimit: 1Gi", f"sizeLimit: {cache}"), *MEMORY))
    found = [each for each in check(case, tmp_path) if each.code == "cache-below-model"]
    assert bool(found) is not enough
    for each in found:
        assert "the size of its model is 200Mi, with its variants and prepared forms 300Mi" in each.what


@pytest.mark.parametrize(("cache", "enough"), [("500Mi", True), ("499Mi", False)])
def test_the_cache_has_room_for_the_largest_prepared_form_of_each_variant(
    tmp_path: Path, cache: str, *, enough: bool
) -> None:
    """A pod pulls the own file after a prepared form that it cannot open."""
    form = variant("form", prepared=("a",)).prepared[0]
    forms = tuple(replace(form, size=size * MIB, files=()) for size in (50, 90))
    data = (StoredFile(uri="s3://models/form.data", sha256="2" * 64, size=20 * MIB),)
    original = replace(variant(size=100 * MIB), prepared=(replace(forms[1], files=data),))
    other = replace(variant("int8-nncf", size=200 * MIB), prepared=forms)
    artifact = Artifact(100 * MIB, "ab", (other,), original=original)
    case = Case(facts=Facts(artifacts={V1: artifact}), function=(("sizeLimit: 1Gi", f"sizeLimit: {cache}"), *MEMORY))
    assert ("cache-below-model" not in [each.code for each in check(case, tmp_path)]) is enough


@pytest.mark.parametrize(("original", "other"), [(100, 500), (500, 100)])
def test_the_memory_is_enough_for_the_largest_form_that_a_pod_may_serve(
    tmp_path: Path, original: int, other: int
) -> None:
    codes = [each.code for each in check(Case(facts=chosen(original, other)), tmp_path)]
    assert "memory-below-model" in codes
    assert "memory-below-model" not in [each.code for each in check_again(chosen(100, 100), tmp_path)]


def chosen(original: int, other: int) -> Facts:
    """Return a model with a chosen variant besides the original; sizes in MiB."""
    variants = (variant(size=original * MIB), variant("int8-nncf", size=other * MIB))
    return Facts(artifacts={V1: Artifact(original * MIB, "ab", variants)})


def check_again(facts: Facts, folder: Path) -> list[Finding]:
    """Check in another folder."""
    (other := folder / "again").mkdir()
    return check(Case(facts=facts), other)
