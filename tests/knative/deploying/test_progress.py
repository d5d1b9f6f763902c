"""What comes next depends on the plan and the cluster's objects alone, so any caller can ask at any time."""

from hypothesis import given, settings

from knative.deploying.observe import observe
from knative.deploying.plan import Action, Plan, plan
from knative.deploying.progress import Apply, Done, Wait, next_action
from knative.deploying.readiness import Ready, readiness_of
from knative.manifests import DeploymentOptions, Step, desired
from knative.objects import Manifest, Ref
from knative.resources import Resources
from tests.knative.fake_cluster import FakeCluster
from tests.knative.manifests import strategies
from tests.knative.manifests.test_steps import read, split, version

OPTIONS = DeploymentOptions(image="scalezero:0.1")
V1, V2 = version("shop-v1", "shop", number="1"), version("shop-v2", "shop", number="2")
SERVICE = Ref("Service", "shop")


def reconcile(cluster: FakeCluster, steps: tuple[Step, ...], *, limit: int = 200) -> list[str]:
    """Do what a controller does: plan anew from what is observed, take one action, requeue."""
    done: list[str] = []
    for _ in range(limit):
        observed = observe(cluster, steps)
        made = plan(steps, observed)
        assert made.refusals == ()
        step = next_action(made, observed)
        if isinstance(step, Done):
            return done
        if isinstance(step, Apply):
            if step.action.makes is None:
                assert _routed(step.manifest) <= _ready(cluster)
            cluster.apply(step.manifest)
            done.append(f"apply {step.action.ref}")
        else:
            list(cluster.follow(step.ref.kind, name=step.ref.name, seconds=1))
            done.append(f"wait {step.ref}")
    raise AssertionError(done)


def _routed(manifest: Manifest) -> set[str]:
    return {each["revisionName"] for each in manifest.get("spec", {}).get("traffic", ())}


def _ready(cluster: FakeCluster) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.list("Revision") if readiness_of(each) == Ready()}


def test_a_controller_that_plans_anew_at_each_step_gets_to_the_same_state() -> None:
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
@settings(max_examples=25, deadline=None)  # many plans each
def test_no_revision_gets_traffic_before_it_is_ready(resources: Resources, options: DeploymentOptions) -> None:
    cluster, steps = FakeCluster(), desired(resources, options)
    if plan(steps, {}).refusals:
        return
    reconcile(cluster, steps)
    assert plan(steps, observe(cluster, steps)).changes == ()


def test_a_service_that_is_kept_waits_first_for_the_revision_that_it_routes_to() -> None:
    """The Service says no more than RevisionMissing; its revision has the cause, and can be retried."""
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
    made = plan(steps, {})
    for change in made.changes[:2]:
        assert change.manifest is not None
        cluster.apply(change.manifest)
    del cluster.objects[Ref("Revision", "shop-v1")]
    step = next_action(made, observe(cluster, steps))
    assert isinstance(step, Wait)
    assert step.ref == Ref("Revision", "shop-v1")


def test_traffic_waits_for_the_revision_that_is_not_ready_yet() -> None:
    cluster = FakeCluster()
    reconcile(cluster, desired(read(V1, V2), OPTIONS))
    revision = cluster.objects[Ref("Revision", "shop-v2")]
    revision["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    steps = desired(read(V1, V2, split("shop", "shop-v1", "shop-v2")), OPTIONS)
    observed = observe(cluster, steps)
    step = next_action(plan(steps, observed), observed)
    assert isinstance(step, Wait)
    assert (step.action.ref, step.ref) == (SERVICE, Ref("Revision", "shop-v2"))


def test_traffic_to_the_latest_revision_names_none_to_wait_for() -> None:
    cluster, steps = FakeCluster(), desired(read(V1), OPTIONS)
    reconcile(cluster, steps)
    service = cluster.objects[SERVICE]
    wanted = {**service, "spec": {"traffic": [{"latestRevision": True, "percent": 100}]}}
    made = Plan((Action(verb="change", ref=SERVICE, manifest=wanted),))
    step = next_action(made, observe(cluster, steps))
    assert isinstance(step, Apply)
    assert step.manifest == wanted
