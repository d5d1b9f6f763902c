"""What a deployment does to a cluster, and what it leaves alone: the plan is applied to values, as a cluster would."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from knative.deploying.plan import Plan, plan
from knative.manifests import DeploymentOptions, Step, desired
from knative.objects import Manifest, Ref, ref_of
from knative.resources import Resources, parse_resources
from tests.knative.manifests import strategies
from tests.knative.manifests.test_steps import read, split, version

OPTIONS = DeploymentOptions(image="scalezero:0.1")
V1 = version("shop-v1", "shop", path="s3://models/one.onnx", number="1")
V2 = version("shop-v2", "shop", path="s3://models/two.onnx", number="2")
V3 = version("shop-v3", "shop", path="s3://models/three.onnx", number="3")
SERVICE, ROUTE = Ref("Service", "shop"), Ref("Route", "shop-ab")
World = dict[Ref, Manifest]


def after(made: Plan, world: Mapping[Ref, Manifest]) -> World:
    """The cluster when the plan is carried out, as Knative would have it."""
    objects = dict(world)
    for action in made.changes:
        manifest = action.manifest
        assert manifest is not None
        objects[ref_of(manifest)] = {**manifest, "metadata": {**manifest["metadata"], "uid": "7"}}
        if action.makes:
            objects[Ref("Revision", action.makes)] = revision(manifest)
    return objects


def revision(service: Manifest) -> Manifest:
    """What Knative makes of a template: with labels of its own, and defaults filled in."""
    template = service["spec"]["template"]
    metadata = template["metadata"]
    labels = {**metadata["labels"], "serving.knative.dev/service": service["metadata"]["name"]}
    return {
        "kind": "Revision",
        "metadata": {**metadata, "labels": labels},
        "spec": {**template["spec"], "idleTimeoutSeconds": 0},
    }


def deployed(
    *documents: str, world: Mapping[Ref, Manifest] | None = None, options: DeploymentOptions = OPTIONS
) -> World:
    made = plan(desired(read(*documents), options), world or {})
    assert made.refusals == ()
    return after(made, world or {})


def traffic(world: Mapping[Ref, Manifest], ref: Ref = SERVICE) -> dict[str, int]:
    return {each["revisionName"]: each["percent"] for each in world[ref]["spec"]["traffic"]}


def verbs(made: Plan) -> list[tuple[str, str]]:
    return [(each.verb, str(each.ref)) for each in made.actions]


def held_by(manager: str, world: World, *, shares: Mapping[str, int]) -> World:
    """The world after somebody else set the traffic."""
    service = world[SERVICE]
    targets = [{"revisionName": name, "percent": percent} for name, percent in shares.items()]
    fields = [{"manager": manager, "fieldsV1": {"f:spec": {"f:traffic": {}}}}]
    metadata = {**service["metadata"], "managedFields": fields}
    changed = {**service, "metadata": metadata, "spec": {**service["spec"], "traffic": targets}}
    return {**world, SERVICE: changed}


@given(strategies.resources(), strategies.deployments())
def test_a_plan_after_the_plan_is_empty(resources: Resources, options: DeploymentOptions) -> None:
    steps = desired(resources, options)
    first = plan(steps, {})
    if not first.refusals:
        assert plan(steps, after(first, {})).changes == ()


@given(strategies.resources(), strategies.deployments())
def test_a_plan_cut_short_is_taken_up_where_it_stopped(resources: Resources, options: DeploymentOptions) -> None:
    steps = desired(resources, options)
    whole = plan(steps, {})
    if whole.refusals:
        return
    for done in range(len(whole.changes)):
        world = after(Plan(whole.changes[:done]), {})
        again = plan(steps, world)
        assert again.refusals == ()
        assert after(again, world) == after(whole, {})


@given(strategies.resources(), strategies.deployments())
def test_a_revision_gets_traffic_only_when_each_is_there(resources: Resources, options: DeploymentOptions) -> None:
    made = plan(desired(resources, options), {})
    there: set[str] = set()
    for action in made.changes:
        manifest = action.manifest or {}
        if manifest["kind"] == "Service":
            routed = {each["revisionName"] for each in manifest["spec"]["traffic"]}
            assert routed <= there | ({action.makes} if not there else set())
        there |= {action.makes} if action.makes else set()


def test_the_first_deployment_makes_the_revisions_one_after_the_other_and_then_splits() -> None:
    made = plan(desired(read(V1, V2, split("shop-ab", "shop-v1", "shop-v2")), OPTIONS), {})
    assert verbs(made) == [
        ("create", "serviceaccount/shop"),
        ("create", "revision/shop-v1"),
        ("create", "revision/shop-v2"),
        ("change", "service/shop"),
        ("create", "route/shop-ab"),
    ]
    assert traffic(after(made, {})) == {"shop-v1": 50, "shop-v2": 50}


def test_a_version_added_without_a_split_waits_behind_its_tag_and_the_traffic_stays() -> None:
    world = held_by("kn", deployed(V1, V2), shares={"shop-v1": 30, "shop-v2": 70})
    made = plan(desired(read(V1, V2, V3), OPTIONS), world)
    assert traffic(after(made, world)) == {"shop-v1": 30, "shop-v2": 70, "shop-v3": 0}
    assert [each.force for each in made.changes] == [False, True]


def test_what_goes_to_the_latest_revision_is_pinned_to_it_before_another_one_comes() -> None:
    world = deployed(V1)
    live = {**world[SERVICE], "status": {"latestReadyRevisionName": "shop-v1"}}
    live["spec"] = {**live["spec"], "traffic": [{"latestRevision": True, "percent": 100}]}
    made = plan(desired(read(V1, V2), OPTIONS), {**world, SERVICE: live})
    assert [traffic(after(Plan(made.changes[:count]), world)) for count in (1, 2)] == [
        {"shop-v1": 100},
        {"shop-v1": 100, "shop-v2": 0},
    ]


def test_a_declared_split_that_somebody_else_changed_since_is_refused_unless_forced() -> None:
    files = desired(read(V1, V2, split("shop", "shop-v1", "shop-v2")), OPTIONS)
    world = held_by("kn", after(plan(files, {}), {}), shares={"shop-v1": 90, "shop-v2": 10})
    (refused,) = plan(files, world).refusals
    assert "kn has set its traffic" in refused.why
    assert plan(files, world).changes == ()
    assert traffic(after(plan(files, world, force=True), world)) == {"shop-v1": 50, "shop-v2": 50}


def test_a_split_that_somebody_else_changed_is_refused_before_a_new_revision_is_made_too() -> None:
    world = held_by("kn", deployed(V1, V2), shares={"shop-v1": 90, "shop-v2": 10})
    made = plan(desired(read(V1, V2, V3, split("shop", "shop-v1", "shop-v3")), OPTIONS), world)
    assert ["kn has set its traffic" in each.why for each in made.refusals] == [True]


def test_a_version_that_mends_a_model_which_never_served_takes_over() -> None:
    world = deployed(V1)
    world[SERVICE] = {**world[SERVICE], "status": {"latestCreatedRevisionName": "shop-v1"}}
    made = plan(desired(read(V2), OPTIONS), world)
    assert [each.force for each in made.changes] == [False, False]
    assert [traffic(after(Plan(made.changes[:count]), world)) for count in (1, 2)] == [
        {"shop-v1": 100},
        {"shop-v2": 100},
    ]


@pytest.mark.parametrize("files", [(V1,), (V1, V2)])
def test_traffic_to_a_latest_revision_that_was_never_ready_stays_as_it_is(files: tuple[str, ...]) -> None:
    world = deployed(V1)
    template = {"spec": {"containers": [{"image": "theirs"}]}}  # as kubectl may leave it: without metadata
    latest = {"latestRevision": True, "percent": 100}
    live = {**world[SERVICE], "spec": {"template": template, "traffic": [latest]}}
    made = plan(desired(read(*files), OPTIONS), {**world, SERVICE: live})
    assert made.refusals == ()
    for action in made.changes:
        assert latest in (action.manifest or {})["spec"]["traffic"]


def test_a_split_set_by_us_follows_the_files() -> None:
    world = held_by("scalezero", deployed(V1, V2), shares={"shop-v1": 100})
    made = plan(desired(read(V1, V2, split("shop", "shop-v1", "shop-v2")), OPTIONS), world)
    assert traffic(after(made, world)) == {"shop-v1": 50, "shop-v2": 50}


def test_a_change_of_the_newest_version_is_refused_as_a_revision_never_changes() -> None:
    world = deployed(V1, V2)
    made = plan(desired(read(V1, V2), DeploymentOptions(image="scalezero:0.2")), world)
    (refused,) = made.refusals
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
        pytest.param("reserve", "shop-v1", (V2,), False, id="Knative would miss its latest one"),
        pytest.param("reserve", "shop-v2", (V2, split("shop-ab", "shop-v1", "shop-v2")), False, id="files route to it"),
    ],
)
def test_a_revision_that_files_no_longer_declare_is_kept_and_told(
    state: str, latest: str, files: tuple[str, ...], *, removable: bool
) -> None:
    world = deployed(V1, V2)
    world[SERVICE] = {
        **world[SERVICE],
        "status": {"latestCreatedRevisionName": latest, "latestReadyRevisionName": latest},
    }
    old = Ref("Revision", "shop-v1")
    world[old]["metadata"]["labels"]["serving.knative.dev/routingState"] = state
    (kept,) = (each for each in plan(desired(read(*files), OPTIONS), world).actions if each.ref == old)
    assert (kept.verb, kept.manifest) == ("keep", None)
    assert kept.why.startswith("no ModelVersion declares it")
    assert ("kn revision delete shop-v1 removes it" in kept.why) is removable


BROKEN = [{"type": "Ready", "status": "False", "reason": "ContainerMissing"}]
LOSES_NOTHING, MAY_STAY = "`scalezero delete shop`", "it can stay"


@pytest.mark.parametrize(
    ("status", "percent", "said", "unsaid"),
    [
        pytest.param({"latestCreatedRevisionName": "shop-v2"}, 100, LOSES_NOTHING, MAY_STAY, id="it never served"),
        pytest.param({"latestReadyRevisionName": "shop-v1"}, 0, MAY_STAY, LOSES_NOTHING, id="another one serves"),
        pytest.param({"latestReadyRevisionName": "shop-v1"}, 10, "another", MAY_STAY, id="it has traffic"),
    ],
)
def test_a_refused_change_of_what_is_not_ready_names_a_way_out(
    status: Manifest, percent: int, said: str, unsaid: str
) -> None:
    world = deployed(V1, V2)
    target = {"revisionName": "shop-v2", "percent": percent}
    world[SERVICE] = {**world[SERVICE], "status": {**status, "traffic": [target]}}
    broken = Ref("Revision", "shop-v2")
    world[broken] = {**world[broken], "status": {"conditions": BROKEN}}
    (refused,) = plan(desired(read(V1, V2), DeploymentOptions(image="scalezero:0.2")), world).refusals
    assert said in refused.why
    assert unsaid not in refused.why
    assert "another ModelVersion" in refused.why


def test_an_older_version_stays_as_it_was_made_when_a_new_one_brings_the_change() -> None:
    world = deployed(V1, V2)
    made = plan(desired(read(V1, V2, V3), DeploymentOptions(image="scalezero:0.2")), world)
    assert made.refusals == ()
    kept = [each for each in made.actions if each.verb == "keep" and each.ref.kind == "Revision"]
    assert [(each.ref.name, each.why) for each in kept] == [
        (name, "deployed before these changes of the files, and never changed") for name in ("shop-v1", "shop-v2")
    ]
    again = after(made, world)
    assert plan(desired(read(V1, V2, V3), DeploymentOptions(image="scalezero:0.2")), again).changes == ()


@pytest.mark.parametrize("other", ["s3://models/other.onnx", "s3://elsewhere/one.onnx"])
def test_an_older_version_that_would_be_another_model_is_refused(other: str) -> None:
    world = deployed(V1, V2)
    files = read(version("shop-v1", "shop", path=other, number="1"), V2, V3)
    (refused,) = plan(desired(files, OPTIONS), world).refusals
    assert refused.ref.name == "shop-v1"


def test_the_template_of_the_latest_revision_stays_when_the_files_order_their_versions_anew() -> None:
    world = deployed(V1, V2)
    made = plan(desired(read(V2, V1, split("shop", "shop-v1", "shop-v2")), OPTIONS), world)
    assert after(made, world)[SERVICE]["spec"]["template"]["metadata"]["name"] == "shop-v2"


def test_a_template_that_somebody_else_gave_the_service_stays() -> None:
    world = deployed(V1)
    mine: dict[str, Any] = {"metadata": {}, "spec": {"containers": [{"image": "theirs"}]}}
    world[SERVICE] = {**world[SERVICE], "spec": {**world[SERVICE]["spec"], "template": mine}}
    made = plan(desired(read(V1, split("shop", "shop-v1")), OPTIONS), world)
    assert after(made, world)[SERVICE]["spec"]["template"] == mine


def test_a_split_to_a_revision_that_nobody_has_is_refused() -> None:
    made = plan(desired(read(V1, split("shop-ab", "shop-v1", "shop-v9")), OPTIONS), {})
    assert [(each.ref, "shop-v9" in each.why) for each in made.refusals] == [(SERVICE, True), (ROUTE, True)]


def test_a_revision_of_another_service_is_refused() -> None:
    foreign = {"metadata": {"name": "shop-v1", "labels": {"serving.knative.dev/service": "shop-v"}}, "spec": {}}
    made = plan(desired(read(V1), OPTIONS), {Ref("Revision", "shop-v1"): foreign})
    assert ["it belongs to shop-v" in each.why for each in made.refusals] == [True]


def test_a_service_that_is_being_deleted_is_not_made_again_under_its_revisions() -> None:
    world = deployed(V1)
    del world[SERVICE]
    (refused,) = plan(desired(read(V1), OPTIONS), world).refusals
    assert "being deleted" in refused.why


def test_a_wish_to_route_elsewhere_changes_the_route() -> None:
    world = deployed(V1, V2, split("shop-ab", "shop-v1", "shop-v2"))
    made = plan(_route_to("shop-v2"), world)
    assert [(each.verb, each.ref) for each in made.actions] == [("change", ROUTE)]
    assert traffic(after(made, world), ROUTE) == {"shop-v2": 100}


def _route_to(name: str) -> tuple[Step, ...]:
    (step,) = (each for each in desired(_declared(name), OPTIONS) if each.manifest["kind"] == "Route")
    return (step,)


def _declared(name: str) -> Resources:
    return parse_resources(V1 + V2 + split("shop-ab", name), file="test.yaml")
