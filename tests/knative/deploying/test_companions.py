"""A revision keeps its companions: another version of one needs a new version of the main model."""

from copy import deepcopy
from typing import Any

import pytest

from knative.commands.plan import lines
from knative.deploying.companions import companions_in
from knative.deploying.leftovers import leftovers, users_of
from knative.deploying.observe import observe
from knative.deploying.plan import Plan, plan
from knative.manifests import Pin, Pins, desired
from knative.manifests.names import INPUTS
from knative.objects import Ref
from runtime.configuration.companions import Companion
from runtime.variants.pinned import PinnedClass, PinnedModel, PinnedVariant
from tests.knative.deploying.applying import apply_steps
from tests.knative.deploying.test_plan import OPTIONS, Objects, carried_out
from tests.knative.documents import read, version
from tests.knative.fake_cluster import FakeCluster
from tests.knative.manifests.test_companions import function

V1 = version("shop-v1", "shop", path="s3://models/shop-v1.onnx", number="1")
V2 = version("shop-v2", "shop", path="s3://models/shop-v1.onnx", number="2")
ONE = version("reader-v1", "reader", path="s3://models/reader-v1.onnx", number="1.0")
TWO = version("reader-v2", "reader", path="s3://models/reader-v2.onnx", number="2.0")
VARIANTS = PinnedModel(
    (
        PinnedVariant("original", "CPUExecutionProvider", "float32", "s3://models/reader-v1.onnx", "1" * 64),
        PinnedVariant(
            "int8", "CPUExecutionProvider", "uint8", "s3://models/reader-v1.onnx.variants/int8.onnx", "2" * 64
        ),
    ),
    {"amd-avx2": PinnedClass(("int8", "original"))},
)
NO_PINS: Pins = {}
READER = "s3://models/reader-v1.onnx"


def plan_for(objects: Objects, *documents: str, pins: Pins = NO_PINS) -> Plan:
    return plan(desired(function(*documents), OPTIONS, pins), objects)


def deploy(*documents: str, pins: Pins = NO_PINS) -> Objects:
    return carried_out(plan_for({}, *documents, pins=pins), {})


def without_digest(objects: Objects) -> Objects:
    """Return the objects as another command line made them, so that the fields are compared."""
    changed = deepcopy(objects)
    for ref, each in changed.items():
        if ref.kind == "Revision":
            del each["metadata"]["annotations"][INPUTS]
    return changed


def test_a_deployed_function_is_up_to_date_with_and_without_its_digest() -> None:
    objects = deploy(V1, ONE)
    for each in (objects, without_digest(objects)):
        assert plan_for(each, V1, ONE).changes == ()
        assert plan_for(each, V1, ONE).refusals == ()


def test_a_newer_version_of_a_companion_needs_a_new_version_of_the_main_model() -> None:
    result = plan_for(deploy(V1, ONE), V1, ONE, TWO)
    (refused,) = result.refusals
    assert refused.ref == Ref("Revision", "shop-v1")
    assert refused.why == (
        "it serves the companion reader 1.0, and the files declare 2.0; a revision never changes; declare the change "
        "as another ModelVersion of shop, which may have the same artifact"
    )
    shown = "\n".join(lines(result))
    assert 'companions[reader].version: "1.0" -> "2.0"' in shown
    assert 'companions[reader].uri: "s3://models/reader-v1.onnx" -> "s3://models/reader-v2.onnx"' in shown


def test_a_service_that_a_companion_had_before_is_named_and_kept() -> None:
    cluster = FakeCluster()
    apply_steps(cluster, desired(read(ONE), OPTIONS))
    steps = desired(function(V1, ONE), OPTIONS)
    planned = plan(steps, observe(cluster, steps))
    assert [(each.ref, each.verb) for each in planned.actions if each.ref.name == "reader"] == [
        (Ref("Service", "reader"), "keep")
    ]
    assert list(lines(planned))[-1].endswith(
        ": shop serves this model as a companion; scalezero delete reader removes the Service"
    )


def test_a_service_of_another_manager_is_not_named() -> None:
    cluster = FakeCluster()
    cluster.objects[Ref("Service", "reader")] = {"metadata": {"name": "reader"}, "kind": "Service", "spec": {}}
    steps = desired(function(V1, ONE), OPTIONS)
    assert [each.ref.name for each in plan(steps, observe(cluster, steps)).actions if each.ref.name == "reader"] == []


def test_with_a_new_version_of_the_main_model_the_older_revision_keeps_its_companions() -> None:
    objects = deploy(V1, ONE)
    result = plan_for(objects, V1, V2, ONE, TWO)
    assert result.refusals == ()
    kept = next(each for each in result.actions if each.ref.name == "shop-v1")
    assert kept.verb == "keep"
    assert kept.why.endswith("and never changed; it serves the companion reader 1.0, and the files declare 2.0")
    after = carried_out(result, objects)
    revisions = {ref.name: companions_in(each) for ref, each in after.items() if ref.kind == "Revision"}
    assert {name: [each.version for each in found] for name, found in revisions.items()} == {
        "shop-v1": ["1.0"],
        "shop-v2": ["2.0"],
    }


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ([V1], [V1, ONE], "it does not serve the companion reader, which the files declare in version 1.0"),
        ([V1, ONE], [V1], "it serves the companion reader 1.0, which the files no longer declare"),
    ],
)
def test_an_added_or_removed_companion_is_named(before: list[str], after: list[str], why: str) -> None:
    def steps(documents: list[str]) -> Any:  # noqa: ANN401 - steps
        return desired(function(*documents) if ONE in documents else read(*documents), OPTIONS)

    objects = carried_out(plan(steps(before), {}), {})
    (refused,) = plan(steps(after), objects).refusals
    assert refused.why.startswith(why)
    assert [each.path for each in refused.differences if each.path.startswith("companions")]


def test_a_replaced_object_of_a_companion_is_reported_as_such() -> None:
    objects = deploy(V1, ONE, pins={READER: Pin("1" * 64)})
    (refused,) = plan_for(objects, V1, ONE, pins={READER: Pin("2" * 64)}).refusals
    assert refused.why.startswith(
        f"the object {READER} was replaced after the deployment, and the next pod of this revision fails"
    )
    assert refused.differences[0].path == "companions[reader].sha256"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({READER: Pin("1" * 64)}, {}),
        ({}, {READER: Pin("1" * 64)}),
        ({READER: Pin("1" * 64, "v7")}, {READER: Pin("1" * 64, "v8")}),
    ],
)
def test_a_pin_alone_changes_nothing(before: Pins, after: Pins) -> None:
    objects = deploy(V1, ONE, pins=before)
    for each in (objects, without_digest(objects)):
        assert plan_for(each, V1, ONE, pins=after).refusals == ()
        assert plan_for(each, V1, ONE, pins=after).changes == ()


def test_the_companions_of_a_newer_command_line_that_cannot_be_read_are_none() -> None:
    objects = deploy(V1, ONE)
    revision = objects[Ref("Revision", "shop-v1")]
    assert companions_in(revision) == (Companion("reader", "1.0", READER),)
    env = revision["spec"]["containers"][0]["env"]
    next(each for each in env if each["name"] == "SCALEZERO_COMPANIONS")["value"] = '{"later": "s3://models/a.onnx"}'
    assert companions_in(revision) == ()


def test_a_revision_uses_the_objects_of_its_companions() -> None:
    objects = deploy(V1, ONE, pins={READER: Pin("1" * 64, "v7")})
    pods = [each for ref, each in objects.items() if ref.kind == "Revision"]
    assert users_of(READER, pods) == ("revision/shop-v1",)
    assert users_of("s3://models/reader-v2.onnx", pods) == ()


def test_a_revision_uses_the_objects_of_the_pinned_variants_of_its_companions() -> None:
    pods = [deploy(V1, ONE, pins={READER: Pin("1" * 64, variants=VARIANTS)})[Ref("Revision", "shop-v1")]]
    assert users_of(f"{READER}.variants/int8.onnx", pods) == ("revision/shop-v1",)
    assert [str(each) for each in leftovers(pods, [], namespace="shop")][1:] == [
        f"{READER}: kept; to delete it: scalezero models delete '{READER}'"
    ]


def test_newer_variants_of_a_companion_are_named_and_change_nothing() -> None:
    objects = deploy(V1, ONE, pins={READER: Pin("1" * 64)})
    result = plan_for(objects, V1, ONE, pins={READER: Pin("1" * 64, variants=VARIANTS)})
    assert (result.changes, result.refusals) == ((), ())
    kept = next(each for each in result.actions if each.ref.name == "shop-v1")
    assert kept.why.startswith("the registry and the files now give: reader: int8 instead of original on amd-avx2")


def test_a_revision_uses_the_objects_in_json_that_this_command_line_does_not_know() -> None:
    objects = deploy(V1, ONE)
    revision = objects[Ref("Revision", "shop-v1")]
    env = revision["spec"]["containers"][0]["env"]
    next(each for each in env if each["name"] == "SCALEZERO_COMPANIONS")["value"] = '{"later": ["s3://models/a.onnx"]}'
    assert users_of("s3://models/a.onnx", [revision]) == ("revision/shop-v1",)
