"""The next action depends only on the plan and the objects of the cluster, so a caller may compute it at any time."""

from hypothesis import given, settings

from knative.deploying.action import Action
from knative.deploying.observe import observe
from knative.deploying.plan import Plan, plan
from knative.deploying.progress import Apply, Delete, Done, Remove, Settle, Wait, next_action
from knative.deploying.readiness import Ready, readiness_of
from knative.manifests import DeploymentOptions, Step, desired
from knative.objects import Manifest, Ref
from knative.resources import Resources
from tests.knative.documents import config, read, split, version
from tests.knative.fake_cluster import FakeCluster
from tests.knative.manifests import strategies

OPTIONS = DeploymentOptions(image="scalezero:0.1")
V1, V2 = version("shop-v1", "shop", number="1"), version("shop-v2", "shop", number="2")
SERVICE = Ref("Service", "shop")


def reconcile(cluster: FakeCluster, steps: tuple[Step, ...], *, limit: int = 200) -> list[str]:
    """Act as a controller: plan from the observed objects, take one action, and repeat."""
    done: list[str] = []
    for _ in range(limit):
        observed = observe(cluster, steps)
        result = plan(steps, observed)
        assert result.refusals == ()
        step = next_action(result, observed)
        if isinstance(step, Done):
            return done
        if isinstance(step, Apply):
            if step.action.makes is None:
                assert _routed(step.manifest) <= _ready(cluster)
            cluster.apply(step.manifest)
            done.append(f"apply {step.action.ref}")
        elif isinstance(step, Remove):
            cluster.delete(step.removal.ref)
            done.append(f"delete {step.removal.ref}")
        elif isinstance(step, Delete):
            cluster.delete(step.action.ref)
            done.append(f"delete {step.action.ref}")
        elif not isinstance(step, Settle):
            list(cluster.follow(step.ref.kind, name=step.ref.name, seconds=1))
            done.append(f"wait {step.ref}")
    raise AssertionError(done)


def _routed(manifest: Manifest) -> set[str]:
    return {each["revisionName"] for each in manifest.get("spec", {}).get("traffic", ())}


def _ready(cluster: FakeCluster) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.list("Revision") if readiness_of(each) == Ready()}


def test_a_controller_that_plans_before_each_action_reaches_the_same_state() -> None:
    cluster = FakeCluster()
    assert reconcile(cluster, desired(read(V1, V2, split("shop", "shop-v1", "shop-v2")), OPTIONS)) == [
        "apply serviceaccount/shop",
        "apply revision/shop-v1",
        "apply revision/shop-v2",
        "wait revision/shop-v1",
        "wait revision/shop-v2",
        "apply service/shop",
    ]


@given(strategies.resources(), strategies.deployments())
@settings(max_examples=25, deadline=None)  # many plans for each example
def test_no_revision_gets_traffic_before_it_is_ready(resources: Resources, options: DeploymentOptions) -> None:
    cluster, steps = FakeCluster(), desired(resources, options)
    if plan(steps, {}).refusals:
        return
    reconcile(cluster, steps)
    assert plan(steps, observe(cluster, steps)).changes == ()


def test_a_controller_deletes_what_left_the_files_once() -> None:
    cluster = FakeCluster()
    events = "{triggers: [{type: a}], predictions: {sink: {broker: logs}}}"
    reconcile(cluster, desired(read(V1, config(events)), OPTIONS))
    done = reconcile(cluster, desired(read(V1, V2), OPTIONS))
    assert [each for each in done if each.startswith("delete")] == ["delete sinkbinding/shop", "delete trigger/shop"]


def test_before_an_unchanged_service_its_revisions_must_be_ready() -> None:
    """The condition of the Service is only RevisionMissing; the revision has the cause, and can be retried."""
    cluster, steps = FakeCluster(), desired(read(V1), OPTIONS)
    reconcile(cluster, steps)
    failed = {"type": "Ready", "status": "False", "reason": "ExitCode1", "message": "no such object"}
    cluster.objects[Ref("Revision", "shop-v1")]["status"]["conditions"] = [failed]
    cluster.objects[SERVICE]["status"]["conditions"] = [{"type": "RoutesReady", "status": "False"}]
    observed = observe(cluster, steps)
    step = next_action(plan(steps, observed), observed)
    assert isinstance(step, Wait)
    assert step.ref == Ref("Revision", "shop-v1")


def test_a_template_that_was_applied_is_not_applied_again_while_knative_creates_the_revision() -> None:
    cluster, steps = FakeCluster(), desired(read(V1), OPTIONS)
    result = plan(steps, {})
    for change in result.changes[:2]:
        assert change.manifest is not None
        cluster.apply(change.manifest)
    del cluster.objects[Ref("Revision", "shop-v1")]
    step = next_action(result, observe(cluster, steps))
    assert isinstance(step, Wait)
    assert step.ref == Ref("Revision", "shop-v1")


def test_traffic_is_applied_only_after_its_revision_is_ready() -> None:
    cluster = FakeCluster()
    reconcile(cluster, desired(read(V1, V2), OPTIONS))
    revision = cluster.objects[Ref("Revision", "shop-v2")]
    revision["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    steps = desired(read(V1, V2, split("shop", "shop-v1", "shop-v2")), OPTIONS)
    observed = observe(cluster, steps)
    step = next_action(plan(steps, observed), observed)
    assert isinstance(step, Wait)
    assert (step.action.ref, step.ref) == (SERVICE, Ref("Revision", "shop-v2"))


def test_traffic_to_the_latest_revision_waits_for_no_revision() -> None:
    cluster, steps = FakeCluster(), desired(read(V1), OPTIONS)
    reconcile(cluster, steps)
    service = cluster.objects[SERVICE]
    wanted = {**service, "spec": {"traffic": [{"latestRevision": True, "percent": 100}]}}
    result = Plan((Action(verb="change", ref=SERVICE, manifest=wanted),))
    step = next_action(result, observe(cluster, steps))
    assert isinstance(step, Apply)
    assert step.manifest == wanted
