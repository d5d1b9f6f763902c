"""A deployed revision is recognized by what was declared for it, whatever a later command line would render."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from knative.deploying import revisions
from knative.deploying.plan import Plan, plan
from knative.manifests import Compute, DeploymentOptions, Pin, Pins, Step, desired
from knative.manifests.environment import default_variables
from knative.manifests.names import CACHE_PATH, INPUTS
from knative.objects import Manifest, Ref
from runtime.configuration import values
from runtime.settings import Settings
from tests.knative.deploying.test_plan import World, after
from tests.knative.manifests.test_steps import read, version

URI = "s3://models/a.onnx"
V1, V2 = version("shop-v1", "shop", path=URI, number="1"), version("shop-v2", "shop", path=URI, number="2")
CONFIG = """\
---
apiVersion: ml.example.com/v1
kind: InferenceConfig
metadata: {name: shop-config}
spec: {modelName: shop, batchSize: 32, maxWaitTime: 100ms, timeout: 30s}
"""
OPTIONS = DeploymentOptions(image="scalezero:0.1")
NO_PINS: Pins = {}
ONE, TWO = "1" * 64, "2" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterSettings(Settings):
    """The settings of a later version: one default is another one, and one setting is new."""

    queue_size: int = field(
        default=4096, metadata={"env": "SCALEZERO_QUEUE_SIZE", "parser": values.whole(1, 1_000_000), "doc": ""}
    )
    new: str = field(default="on", metadata={"env": "SCALEZERO_NEW", "parser": values.TEXT, "doc": ""})


LATER = replace(OPTIONS, runtime=LaterSettings(cache_dir=Path(CACHE_PATH)))


def deploy(*documents: str, options: DeploymentOptions = OPTIONS, pins: Pins = NO_PINS) -> World:
    made = plan(desired(read(*documents), options, pins), {})
    assert made.refusals == ()
    return after(made, {})


def planned(world: World, *documents: str, options: DeploymentOptions = OPTIONS, pins: Pins = NO_PINS) -> Plan:
    return plan(desired(read(*documents), options, pins), world)


def of(world: World, name: str = "shop-v1") -> Manifest:
    return world[Ref("Revision", name)]


def env(revision: Manifest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = revision["spec"]["containers"][0]["env"]
    return found


def before_the_digest(world: World) -> World:
    """The revisions as the first versions rendered them: every default as a variable, no digest, no pin."""
    for ref, each in world.items():
        if ref.kind == "Revision":
            del each["metadata"]["annotations"][INPUTS]
            there = {variable["name"] for variable in env(each)}
            added = [{"name": k, "value": v} for k, v in default_variables().items() if k not in there]
            each["spec"]["containers"][0]["env"] = [*env(each), *added]
    return world


def rendered_differently(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of a later version, which renders one more field."""

    def changed(manifest: Manifest) -> Manifest:
        template = manifest["spec"]["template"]
        spec = {**template["spec"], "containers": [{**template["spec"]["containers"][0], "imagePullPolicy": "Always"}]}
        return {**manifest, "spec": {**manifest["spec"], "template": {**template, "spec": spec}}}

    return tuple(replace(each, manifest=changed(each.manifest)) if each.makes else each for each in steps)


def test_another_default_and_a_new_setting_change_nothing_that_is_deployed() -> None:
    world = deploy(V1, V2)
    assert planned(world, V1, V2, options=LATER).changes == ()
    assert planned(world, V1, V2, options=LATER).refusals == ()


def test_a_template_that_a_later_version_renders_differently_changes_nothing_that_is_deployed() -> None:
    world = deploy(V1)
    steps = rendered_differently(desired(read(V1), LATER))
    made = plan(steps, world)
    assert (made.changes, made.refusals) == ((), ())


def test_a_revision_from_before_the_digest_is_adopted() -> None:
    world = before_the_digest(deploy(V1, V2, CONFIG))
    assert {"SCALEZERO_QUEUE_SIZE", "SCALEZERO_GRACE_PERIOD"} <= {each["name"] for each in env(of(world))}
    pins = {URI: Pin(ONE, "v7")}
    made = planned(world, V1, V2, CONFIG, pins=pins)
    assert (made.changes, made.refusals) == ((), ())


def test_a_change_of_a_revision_from_before_the_digest_is_refused_with_its_field() -> None:
    world = before_the_digest(deploy(V1))
    (refused,) = planned(world, V1, options=DeploymentOptions(image="scalezero:0.2")).refusals
    assert [each.path for each in refused.differences] == ["spec.containers[model].image"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(OPTIONS, image="scalezero:0.2"), id="image"),
        pytest.param(replace(OPTIONS, max_scale=3), id="scale"),
        pytest.param(replace(OPTIONS, limits=Compute(cpu="2", memory="1Gi")), id="limits"),
        pytest.param(replace(OPTIONS, environment={"A": "b"}), id="environment"),
        pytest.param(replace(OPTIONS, runtime=replace(OPTIONS.runtime, queue_size=7)), id="setting"),
    ],
)
def test_a_declared_change_is_refused(other: DeploymentOptions) -> None:
    assert len(planned(deploy(V1), V1, options=other).refusals) == 1


def test_a_declared_setting_is_rendered_with_its_default_too() -> None:
    """Otherwise an image with another default would not do what the files say."""
    names = {each["name"] for each in env(of(deploy(V1, CONFIG)))}
    assert {"SCALEZERO_BATCH_SIZE", "SCALEZERO_MAX_WAIT_TIME", "SCALEZERO_TIMEOUT"} <= names
    assert "SCALEZERO_BATCH_SIZE" not in {each["name"] for each in env(of(deploy(V1)))}
    declared = replace(OPTIONS, declared=frozenset({"SCALEZERO_QUEUE_SIZE"}))
    assert {"name": "SCALEZERO_QUEUE_SIZE", "value": "1024"} in env(of(deploy(V1, options=declared)))


def test_a_revision_is_pinned_to_the_object_that_the_registry_holds() -> None:
    world = deploy(V1, pins={URI: Pin(ONE, "v7")})
    rendered = {each["name"]: each.get("value") for each in env(of(world))}
    assert rendered["SCALEZERO_MODEL_SHA256"] == ONE
    assert rendered["SCALEZERO_MODEL_URI"] == f"{URI}?versionId=v7"
    assert revisions.serves_a_version(of(world))


@pytest.mark.parametrize(("version_id", "effect"), [(None, "next pod of this revision fails"), ("v7", "still serves")])
def test_a_replaced_object_is_refused_with_both_digests(version_id: str | None, effect: str) -> None:
    world = deploy(V1, pins={URI: Pin(ONE, version_id)})
    (refused,) = planned(world, V1, pins={URI: Pin(TWO, version_id and "v8")}).refusals
    assert URI in refused.why
    assert effect in refused.why
    (difference,) = refused.differences
    assert (difference.before, difference.after) == (ONE, TWO)


def test_a_replaced_object_of_an_earlier_version_is_reported_and_blocks_nothing() -> None:
    other = version("shop-v2", "shop", path="s3://models/b.onnx", number="2")
    world = deploy(V1, pins={URI: Pin(ONE)})
    made = planned(world, V1, other, pins={URI: Pin(TWO), "s3://models/b.onnx": Pin(ONE)})
    assert made.refusals == ()
    (kept,) = (each for each in made.actions if each.ref == Ref("Revision", "shop-v1"))
    assert "was replaced" in kept.why


@pytest.mark.parametrize(
    ("deployed", "now"),
    [
        pytest.param({URI: Pin(ONE)}, {}, id="the registry cannot be read"),
        pytest.param({}, {URI: Pin(ONE)}, id="it could not be read at the deployment"),
        pytest.param({URI: Pin(ONE, "v7")}, {URI: Pin(ONE, "v8")}, id="the same bytes were published again"),
        pytest.param({URI: Pin(None)}, {URI: Pin(ONE)}, id="no digest was recorded"),
    ],
)
def test_an_unknown_or_equal_digest_keeps_the_revision(deployed: Pins, now: Pins) -> None:
    made = planned(deploy(V1, pins=deployed), V1, pins=now)
    assert (made.changes, made.refusals) == ((), ())


def test_a_new_version_on_the_same_artifact_brings_a_new_image_and_keeps_the_old_one() -> None:
    world = deploy(V1, pins={URI: Pin(ONE)})
    made = planned(world, V1, V2, options=DeploymentOptions(image="scalezero:0.2"), pins={URI: Pin(ONE)})
    assert made.refusals == ()
    new = after(made, world)
    assert [of(new, name)["spec"]["containers"][0]["image"] for name in ("shop-v1", "shop-v2")] == [
        "scalezero:0.1",
        "scalezero:0.2",
    ]
