"""The changes that a plan makes and the objects that it keeps. A plan is applied to plain values, not to a cluster."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from knative.deploying.plan import Plan, plan
from knative.manifests import DeploymentOptions, Step, desired
from knative.objects import GENERATION_LABEL, Manifest, Ref, ref_of
from knative.resources import Resources, parse_resources
from tests.knative.documents import read, split, version
from tests.knative.manifests import strategies

OPTIONS = DeploymentOptions(image="scalezero:0.1")
V1 = version("shop-v1", "shop", path="s3://models/one.onnx", number="1")
V2 = version("shop-v2", "shop", path="s3://models/two.onnx", number="2")
V3 = version("shop-v3", "shop", path="s3://models/three.onnx", number="3")
SERVICE, ROUTE = Ref("Service", "shop"), Ref("Route", "shop-ab")
Objects = dict[Ref, Manifest]


def carried_out(result: Plan, objects: Mapping[Ref, Manifest]) -> Objects:
    """Return the objects of the cluster after the plan was carried out and Knative created the revisions."""
    updated = dict(objects)
    for action in result.changes:
        manifest = action.manifest
        assert manifest is not None
        updated[ref_of(manifest)] = {**manifest, "metadata": {**manifest["metadata"], "uid": "7"}}
        if action.makes:
            updated[Ref("Revision", action.makes)] = revision(manifest)
    return updated


def revision(service: Manifest) -> Manifest:
    """Return the revision that Knative creates from the template: with its own labels and defaults."""
    template = service["spec"]["template"]
    metadata = template["metadata"]
    number = metadata["name"][-1]
    generation = {GENERATION_LABEL: number} if number.isdigit() else {}
    labels = {**metadata["labels"], **generation, "serving.knative.dev/service": service["metadata"]["name"]}
    return {
        "apiVersion": service["apiVersion"],
        "kind": "Revision",
        "metadata": {**metadata, "labels": labels, "uid": f"of {metadata['name']}"},
        "spec": {**template["spec"], "idleTimeoutSeconds": 0},
    }


def deploy(
    *documents: str, objects: Mapping[Ref, Manifest] | None = None, options: DeploymentOptions = OPTIONS
) -> Objects:
    result = plan(desired(read(*documents), options), objects or {})
    assert result.refusals == ()
    return carried_out(result, objects or {})


def traffic(objects: Mapping[Ref, Manifest], ref: Ref = SERVICE) -> dict[str, int]:
    return {each["revisionName"]: each["percent"] for each in objects[ref]["spec"]["traffic"]}


def verbs(result: Plan) -> list[tuple[str, str]]:
    return [(each.verb, str(each.ref)) for each in result.actions]


def with_traffic_of(manager: str, objects: Objects, *, shares: Mapping[str, int]) -> Objects:
    """Return the objects after another manager set the traffic."""
    service = objects[SERVICE]
    targets = [{"revisionName": name, "percent": percent} for name, percent in shares.items()]
    fields = [{"manager": manager, "fieldsV1": {"f:spec": {"f:traffic": {}}}}]
    metadata = {**service["metadata"], "managedFields": fields}
    changed = {**service, "metadata": metadata, "spec": {**service["spec"], "traffic": targets}}
    return {**objects, SERVICE: changed}


@given(strategies.resources(), strategies.deployments())
def test_a_plan_is_empty_after_the_first_one_was_carried_out(resources: Resources, options: DeploymentOptions) -> None:
    steps = desired(resources, options)
    first = plan(steps, {})
    if not first.refusals:
        assert plan(steps, carried_out(first, {})).changes == ()


@given(strategies.resources(), strategies.deployments())
def test_a_new_plan_continues_an_interrupted_one(resources: Resources, options: DeploymentOptions) -> None:
    steps = desired(resources, options)
    whole = plan(steps, {})
    if whole.refusals:
        return
    for done in range(len(whole.changes)):
        objects = carried_out(Plan(whole.changes[:done]), {})
        second = plan(steps, objects)
        assert second.refusals == ()
        assert carried_out(second, objects) == carried_out(whole, {})


@given(strategies.resources(), strategies.deployments())
def test_traffic_goes_only_to_revisions_that_exist(resources: Resources, options: DeploymentOptions) -> None:
    result = plan(desired(resources, options), {})
    existing: set[str] = set()
    for action in result.changes:
        manifest = action.manifest or {}
        if manifest["kind"] == "Service":
            routed = {each["revisionName"] for each in manifest["spec"]["traffic"]}
            assert routed <= existing | ({action.makes} if not existing else set())
        existing |= {action.makes} if action.makes else set()


def test_the_first_deployment_creates_the_revisions_in_order_and_then_the_split() -> None:
    result = plan(desired(read(V1, V2, split("shop-ab", "shop-v1", "shop-v2")), OPTIONS), {})
    assert verbs(result) == [
        ("create", "serviceaccount/shop"),
        ("create", "revision/shop-v1"),
        ("create", "revision/shop-v2"),
        ("change", "service/shop"),
        ("create", "route/shop-ab"),
    ]
    assert traffic(carried_out(result, {})) == {"shop-v1": 50, "shop-v2": 50}


def test_a_new_version_without_a_split_gets_only_a_tag_and_the_traffic_stays() -> None:
    objects = with_traffic_of("kn", deploy(V1, V2), shares={"shop-v1": 30, "shop-v2": 70})
    result = plan(desired(read(V1, V2, V3), OPTIONS), objects)
    assert traffic(carried_out(result, objects)) == {"shop-v1": 30, "shop-v2": 70, "shop-v3": 0}
    assert [each.force for each in result.changes] == [False, True]


def test_traffic_to_the_latest_revision_is_pinned_before_a_revision_is_added() -> None:
    objects = deploy(V1)
    live = {**objects[SERVICE], "status": {"latestReadyRevisionName": "shop-v1"}}
    live["spec"] = {**live["spec"], "traffic": [{"latestRevision": True, "percent": 100}]}
    result = plan(desired(read(V1, V2), OPTIONS), {**objects, SERVICE: live})
    assert [traffic(carried_out(Plan(result.changes[:count]), objects)) for count in (1, 2)] == [
        {"shop-v1": 100},
        {"shop-v1": 100, "shop-v2": 0},
    ]


def test_a_declared_split_that_another_manager_changed_is_refused_unless_forced() -> None:
    files = desired(read(V1, V2, split("shop", "shop-v1", "shop-v2")), OPTIONS)
    objects = with_traffic_of("kn", carried_out(plan(files, {}), {}), shares={"shop-v1": 90, "shop-v2": 10})
    (refused,) = plan(files, objects).refusals
    assert "kn has set its traffic" in refused.why
    assert plan(files, objects).changes == ()
    assert traffic(carried_out(plan(files, objects, force=True), objects)) == {"shop-v1": 50, "shop-v2": 50}


def test_a_split_that_another_manager_changed_is_refused_before_a_revision_is_created() -> None:
    objects = with_traffic_of("kn", deploy(V1, V2), shares={"shop-v1": 90, "shop-v2": 10})
    result = plan(desired(read(V1, V2, V3, split("shop", "shop-v1", "shop-v3")), OPTIONS), objects)
    assert ["kn has set its traffic" in each.why for each in result.refusals] == [True]


def test_a_new_version_of_a_model_that_never_served_gets_all_traffic() -> None:
    objects = deploy(V1)
    objects[SERVICE] = {**objects[SERVICE], "status": {"latestCreatedRevisionName": "shop-v1"}}
    result = plan(desired(read(V2), OPTIONS), objects)
    assert [each.force for each in result.changes] == [False, False]
    assert [traffic(carried_out(Plan(result.changes[:count]), objects)) for count in (1, 2)] == [
        {"shop-v1": 100},
        {"shop-v2": 100},
    ]


@pytest.mark.parametrize("files", [(V1,), (V1, V2)])
def test_traffic_to_a_latest_revision_that_was_never_ready_is_unchanged(files: tuple[str, ...]) -> None:
    objects = deploy(V1)
    template = {"spec": {"containers": [{"image": "theirs"}]}}  # kubectl may write a template without metadata
    latest = {"latestRevision": True, "percent": 100}
    live = {**objects[SERVICE], "spec": {"template": template, "traffic": [latest]}}
    result = plan(desired(read(*files), OPTIONS), {**objects, SERVICE: live})
    assert result.refusals == ()
    for action in result.changes:
        assert latest in (action.manifest or {})["spec"]["traffic"]


def test_a_split_that_scalezero_set_follows_the_files() -> None:
    objects = with_traffic_of("scalezero", deploy(V1, V2), shares={"shop-v1": 100})
    result = plan(desired(read(V1, V2, split("shop", "shop-v1", "shop-v2")), OPTIONS), objects)
    assert traffic(carried_out(result, objects)) == {"shop-v1": 50, "shop-v2": 50}


def test_a_change_of_the_latest_version_is_refused_because_revisions_are_immutable() -> None:
    objects = deploy(V1, V2)
    result = plan(desired(read(V1, V2), DeploymentOptions(image="scalezero:0.2")), objects)
    (refused,) = result.refusals
    assert (refused.ref, [each.path for each in refused.differences]) == (
        Ref("Revision", "shop-v2"),
        ["spec.containers[model].image"],
    )
    assert "another ModelVersion" in refused.why


@pytest.mark.parametrize(
    ("state", "latest", "files", "removable"),
    [
        pytest.param("reserve", "shop-v2", (V2,), True, id="nothing routes to it"),
        pytest.param("active", "shop-v2", (V2,), False, id="a route leads to it"),
        pytest.param("reserve", "shop-v1", (V2,), False, id="it is the latest revision"),
        pytest.param("reserve", "shop-v2", (V2, split("shop-ab", "shop-v1", "shop-v2")), False, id="files route to it"),
    ],
)
def test_a_revision_that_files_no_longer_declare_is_kept_and_reported(
    state: str, latest: str, files: tuple[str, ...], *, removable: bool
) -> None:
    objects = deploy(V1, V2)
    objects[SERVICE] = {
        **objects[SERVICE],
        "status": {"latestCreatedRevisionName": latest, "latestReadyRevisionName": latest},
    }
    old = Ref("Revision", "shop-v1")
    objects[old]["metadata"]["labels"]["serving.knative.dev/routingState"] = state
    (kept,) = (each for each in plan(desired(read(*files), OPTIONS), objects).actions if each.ref == old)
    assert (kept.verb, kept.manifest) == ("keep", None)
    assert kept.why.startswith("no ModelVersion declares it")
    assert ("kn revision delete shop-v1 removes it" in kept.why) is removable


BROKEN = [{"type": "Ready", "status": "False", "reason": "ContainerMissing"}]
NEVER_SERVED = {"latestCreatedRevisionName": "shop-v2"}
V1_SERVES = {"latestCreatedRevisionName": "shop-v2", "latestReadyRevisionName": "shop-v1"}


def with_broken_v2(status: Manifest, *, routing: str = "pending") -> Objects:
    """Return a cluster with both revisions, of which shop-v2 was never Ready."""
    objects = deploy(V1, V2)
    spec = {**objects[SERVICE]["spec"], "traffic": [{"revisionName": "shop-v1", "percent": 100, "tag": "v1"}]}
    objects[SERVICE] = {**objects[SERVICE], "spec": spec, "status": status}
    broken = objects[Ref("Revision", "shop-v2")]
    broken["status"] = {"conditions": BROKEN}
    broken["metadata"]["labels"]["serving.knative.dev/routingState"] = routing
    return objects


def changed_plan(objects: Objects) -> Plan:
    return plan(desired(read(V1, V2), DeploymentOptions(image="scalezero:0.2")), objects)


def test_a_revision_that_was_never_ready_is_replaced_with_a_reason() -> None:
    objects = with_broken_v2(V1_SERVES)
    result = changed_plan(objects)
    assert result.refusals == ()
    (action,) = (each for each in result.actions if each.verb == "replace")
    assert (str(action.ref), action.makes) == ("revision/shop-v2", "shop-v2")
    assert "never Ready" in action.why
    assert any("image" in each.path for each in action.differences)
    assert action.removal is not None
    assert action.manifest is not None
    assert action.removal.parked is not None
    parked = action.removal.parked
    assert parked["spec"]["template"]["metadata"]["name"] == "shop-v1"
    assert parked["spec"]["traffic"] == objects[SERVICE]["spec"]["traffic"]  # an apply without it would remove it
    assert parked["metadata"] == action.manifest["metadata"]


def test_a_service_that_never_served_is_replaced_with_all_of_its_revisions() -> None:
    objects = with_broken_v2(NEVER_SERVED)
    result = changed_plan(objects)
    assert verbs(result) == [
        ("replace", "service/shop"),
        ("keep", "serviceaccount/shop"),
        ("create", "revision/shop-v1"),
        ("create", "revision/shop-v2"),
        ("change", "service/shop"),  # its traffic
    ]


@pytest.mark.parametrize("owner", [{}, {"app.kubernetes.io/managed-by": "helm"}])
def test_a_service_that_scalezero_did_not_create_is_not_replaced(owner: dict[str, str]) -> None:
    objects = with_broken_v2(NEVER_SERVED)
    objects[SERVICE]["metadata"]["labels"] = owner
    assert [str(each.ref) for each in changed_plan(objects).refusals] == ["revision/shop-v2"]


@pytest.mark.parametrize(
    ("status", "routing"),
    [
        pytest.param(V1_SERVES, "active", id="a route leads to it"),
        pytest.param({"latestReadyRevisionName": "shop-v2"}, "reserve", id="it was Ready"),
        pytest.param({"latestReadyRevisionName": "shop-v0"}, "pending", id="the Ready revision is gone"),
    ],
)
def test_a_revision_that_may_have_served_is_not_replaced(status: Manifest, routing: str) -> None:
    (refused,) = changed_plan(with_broken_v2(status, routing=routing)).refusals
    assert "another ModelVersion" in refused.why


def test_a_route_that_files_no_longer_declare_is_kept_and_reported() -> None:
    objects = deploy(V1, V2, split("shop-ab", "shop-v1", "shop-v2"))
    (kept,) = (each for each in plan(desired(read(V1, V2), OPTIONS), objects).actions if each.ref == ROUTE)
    assert (kept.verb, kept.manifest) == ("keep", None)
    assert "kubectl delete routes.serving.knative.dev/shop-ab" in kept.why


def test_an_older_version_is_unchanged_if_a_new_version_has_the_change() -> None:
    objects = deploy(V1, V2)
    result = plan(desired(read(V1, V2, V3), DeploymentOptions(image="scalezero:0.2")), objects)
    assert result.refusals == ()
    kept = [each for each in result.actions if each.verb == "keep" and each.ref.kind == "Revision"]
    assert [(each.ref.name, each.why) for each in kept] == [
        (name, "deployed before these changes of the files, and never changed") for name in ("shop-v1", "shop-v2")
    ]
    updated = carried_out(result, objects)
    assert plan(desired(read(V1, V2, V3), DeploymentOptions(image="scalezero:0.2")), updated).changes == ()


@pytest.mark.parametrize("other", ["s3://models/other.onnx", "s3://elsewhere/one.onnx"])
def test_a_changed_model_path_of_an_older_version_is_refused(other: str) -> None:
    objects = deploy(V1, V2)
    files = read(version("shop-v1", "shop", path=other, number="1"), V2, V3)
    (refused,) = plan(desired(files, OPTIONS), objects).refusals
    assert refused.ref.name == "shop-v1"


def test_the_template_of_the_latest_revision_is_kept_if_the_files_list_the_versions_in_another_order() -> None:
    objects = deploy(V1, V2)
    result = plan(desired(read(V2, V1, split("shop", "shop-v1", "shop-v2")), OPTIONS), objects)
    assert carried_out(result, objects)[SERVICE]["spec"]["template"]["metadata"]["name"] == "shop-v2"


def test_a_template_that_another_manager_set_is_kept() -> None:
    objects = deploy(V1)
    template: dict[str, Any] = {"metadata": {}, "spec": {"containers": [{"image": "theirs"}]}}
    objects[SERVICE] = {**objects[SERVICE], "spec": {**objects[SERVICE]["spec"], "template": template}}
    result = plan(desired(read(V1, split("shop", "shop-v1")), OPTIONS), objects)
    assert carried_out(result, objects)[SERVICE]["spec"]["template"] == template


def test_a_split_to_an_unknown_revision_is_refused() -> None:
    result = plan(desired(read(V1, split("shop-ab", "shop-v1", "shop-v9")), OPTIONS), {})
    assert [(each.ref, "shop-v9" in each.why) for each in result.refusals] == [(SERVICE, True), (ROUTE, True)]


def test_a_revision_of_another_service_is_refused() -> None:
    foreign = {"metadata": {"name": "shop-v1", "labels": {"serving.knative.dev/service": "shop-v"}}, "spec": {}}
    result = plan(desired(read(V1), OPTIONS), {Ref("Revision", "shop-v1"): foreign})
    assert ["it belongs to shop-v" in each.why for each in result.refusals] == [True]


def test_a_service_that_is_being_deleted_is_not_created_again() -> None:
    objects = deploy(V1)
    del objects[SERVICE]
    (refused,) = plan(desired(read(V1), OPTIONS), objects).refusals
    assert "being deleted" in refused.why


def test_other_targets_of_a_split_change_its_route() -> None:
    objects = deploy(V1, V2, split("shop-ab", "shop-v1", "shop-v2"))
    result = plan(_route_to("shop-v2"), objects)
    assert [(each.verb, each.ref) for each in result.actions] == [("change", ROUTE)]
    assert traffic(carried_out(result, objects), ROUTE) == {"shop-v2": 100}


def _route_to(name: str) -> tuple[Step, ...]:
    (step,) = (each for each in desired(_declared(name), OPTIONS) if each.manifest["kind"] == "Route")
    return (step,)


def _declared(name: str) -> Resources:
    return parse_resources(V1 + V2 + split("shop-ab", name), file="test.yaml")


def test_an_older_revision_that_is_not_ready_now_is_not_replaced() -> None:
    """It may have served: Knative reports a revision as not Ready while no node has room for its pod."""
    objects = with_broken_v2({"latestCreatedRevisionName": "shop-v3", "latestReadyRevisionName": "shop-v3"})
    third = deploy(V1, V2, V3)[Ref("Revision", "shop-v3")]
    objects[Ref("Revision", "shop-v3")] = third
    assert [str(each.ref) for each in changed_plan(objects).refusals] == ["revision/shop-v2"]


@pytest.mark.parametrize("percent", [0, 10])
def test_a_revision_that_a_route_names_is_not_replaced(percent: int) -> None:
    objects = with_broken_v2(V1_SERVES)
    target = {"revisionName": "shop-v2", "percent": percent}
    objects[Ref("Route", "canary")] = {"kind": "Route", "spec": {"traffic": [target]}}
    (refused,) = changed_plan(objects).refusals
    assert "once no traffic target names it" in refused.why
