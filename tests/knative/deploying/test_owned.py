"""The fields that left a manifest, from the ownership that a server-side apply recorded."""

import pytest

from knative.deploying.owned import left_fields
from knative.objects import Manifest


def live(fields: Manifest, spec: Manifest, *, manager: str = "scalezero", operation: str = "Apply") -> Manifest:
    entry = {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": fields}}
    return {"metadata": {"managedFields": [entry]}, "spec": spec}


@pytest.mark.parametrize(
    ("fields", "wanted", "found", "left"),
    [
        pytest.param({"f:a": {}}, {"a": 1}, {"a": 1}, {}, id="equal"),
        pytest.param({"f:a": {}}, {}, {"a": 1}, {"spec.a": 1}, id="left"),
        pytest.param({"f:a": {}}, {}, {}, {}, id="removed by someone else"),
        pytest.param({".": {}, "f:a": {"f:b": {}}}, {"a": {}}, {"a": {"b": 1}}, {"spec.a.b": 1}, id="left below"),
        pytest.param({"f:a": {"f:b": {}}}, {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, {}, id="of another manager"),
        pytest.param({"f:a": {}}, {"a": [1]}, {"a": [2, 3]}, {"spec.a[1]": 3}, id="an item of a list"),
        pytest.param({"f:a": {}}, {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, {"spec.a.c": 2}, id="a value as a whole"),
        pytest.param({"f:a": {}}, {"a": [{"b": 1}]}, {"a": [{"b": 1, "namespace": "x"}]}, {}, id="a default"),
    ],
)
def test_a_field_that_scalezero_applied_and_the_manifest_lacks_has_left(
    fields: Manifest, wanted: Manifest, found: Manifest, left: Manifest
) -> None:
    result = left_fields({"spec": wanted}, live(fields, found))
    assert {each.path: each.before for each in result} == left
    assert {each.after for each in result} <= {None}


@pytest.mark.parametrize(("manager", "operation"), [("kubectl", "Apply"), ("scalezero", "Update")])
def test_the_fields_of_others_and_of_webhooks_stay(manager: str, operation: str) -> None:
    """The API server records what a webhook changed as an update by the manager of the request."""
    assert left_fields({"spec": {}}, live({"f:a": {}}, {"a": 1}, manager=manager, operation=operation)) == ()


def test_an_object_without_recorded_fields_has_none_that_left() -> None:
    assert left_fields({}, {"metadata": {}, "spec": {"a": 1}}) == ()
