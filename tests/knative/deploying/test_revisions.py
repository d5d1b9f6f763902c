"""A deployed revision is compared by the digest of its declared inputs, not by its rendered template."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from knative.deploying.plan import Plan, plan
from knative.manifests import Compute, DeploymentOptions, Pin, Pins, Step, Volume, desired
from knative.manifests.environment import default_variables
from knative.manifests.names import CACHE_PATH, INPUTS
from knative.manifests.variants import choose, pinned_of
from knative.objects import Manifest, Ref
from runtime.configuration import values
from runtime.settings import Settings
from runtime.variants.pinned import PinnedClass, pinned_from
from tests.knative.deploying.test_plan import Objects, carried_out
from tests.knative.documents import read, version
from tests.knative.published import assessment, variant

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
    """The settings of a later version: one default has changed, and one setting is new."""

    queue_size: int = field(
        default=4096, metadata={"env": "SCALEZERO_QUEUE_SIZE", "parser": values.integer(1, 1_000_000), "doc": ""}
    )
    new: str = field(default="on", metadata={"env": "SCALEZERO_NEW", "parser": values.TEXT, "doc": ""})


LATER = replace(OPTIONS, runtime=LaterSettings(cache_dir=Path(CACHE_PATH)))


def deploy(*documents: str, options: DeploymentOptions = OPTIONS, pins: Pins = NO_PINS) -> Objects:
    result = plan(desired(read(*documents), options, pins), {})
    assert result.refusals == ()
    return carried_out(result, {})


def plan_for(objects: Objects, *documents: str, options: DeploymentOptions = OPTIONS, pins: Pins = NO_PINS) -> Plan:
    return plan(desired(read(*documents), options, pins), objects)


def revision_of(objects: Objects, name: str = "shop-v1") -> Manifest:
    return objects[Ref("Revision", name)]


def env(revision: Manifest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = revision["spec"]["containers"][0]["env"]
    return found


def without_digest(objects: Objects) -> Objects:
    """Return the revisions as the first versions rendered them: every default as a variable, no digest, no pin."""
    for ref, each in objects.items():
        if ref.kind == "Revision":
            del each["metadata"]["annotations"][INPUTS]
            existing = {variable["name"] for variable in env(each)}
            added = [{"name": k, "value": v} for k, v in default_variables().items() if k not in existing]
            each["spec"]["containers"][0]["env"] = [*env(each), *added]
    return objects


def rendered_differently(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps of a later version, which renders one more field."""

    def changed(manifest: Manifest) -> Manifest:
        template = manifest["spec"]["template"]
        spec = {**template["spec"], "containers": [{**template["spec"]["containers"][0], "imagePullPolicy": "Always"}]}
        return {**manifest, "spec": {**manifest["spec"], "template": {**template, "spec": spec}}}

    return tuple(replace(each, manifest=changed(each.manifest)) if each.makes else each for each in steps)


def test_a_changed_default_and_a_new_setting_do_not_change_a_deployed_revision() -> None:
    objects = deploy(V1, V2)
    assert plan_for(objects, V1, V2, options=LATER).changes == ()
    assert plan_for(objects, V1, V2, options=LATER).refusals == ()


def test_a_template_that_a_later_version_renders_differently_does_not_change_a_deployed_revision() -> None:
    objects = deploy(V1)
    steps = rendered_differently(desired(read(V1), LATER))
    result = plan(steps, objects)
    assert (result.changes, result.refusals) == ((), ())


def test_a_revision_without_a_digest_is_adopted() -> None:
    objects = without_digest(deploy(V1, V2, CONFIG))
    assert {"SCALEZERO_QUEUE_SIZE", "SCALEZERO_GRACE_PERIOD"} <= {each["name"] for each in env(revision_of(objects))}
    pins = {URI: Pin(ONE, "v7")}
    result = plan_for(objects, V1, V2, CONFIG, pins=pins)
    assert (result.changes, result.refusals) == ((), ())


def test_a_change_of_a_revision_without_a_digest_is_refused_with_its_field() -> None:
    objects = without_digest(deploy(V1))
    (refused,) = plan_for(objects, V1, options=DeploymentOptions(image="scalezero:0.2")).refusals
    assert [each.path for each in refused.differences] == ["spec.containers[model].image"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(OPTIONS, image="scalezero:0.2"), id="image"),
        pytest.param(replace(OPTIONS, max_scale=3), id="scale"),
        pytest.param(replace(OPTIONS, limits=Compute(cpu="2", memory="1Gi")), id="limits"),
        pytest.param(replace(OPTIONS, environment={"A": "b"}), id="environment"),
        pytest.param(replace(OPTIONS, volumes=(Volume("/a", "secret", "keys"),)), id="volumes"),
        pytest.param(replace(OPTIONS, runtime=replace(OPTIONS.runtime, queue_size=7)), id="setting"),
    ],
)
def test_a_declared_change_is_refused(other: DeploymentOptions) -> None:
    assert len(plan_for(deploy(V1), V1, options=other).refusals) == 1


def test_a_declared_setting_is_rendered_even_if_it_equals_its_default() -> None:
    """Otherwise an image with another default would not follow the files."""
    names = {each["name"] for each in env(revision_of(deploy(V1, CONFIG)))}
    assert {"SCALEZERO_BATCH_SIZE", "SCALEZERO_MAX_WAIT_TIME", "SCALEZERO_TIMEOUT"} <= names
    assert "SCALEZERO_BATCH_SIZE" not in {each["name"] for each in env(revision_of(deploy(V1)))}
    declared = replace(OPTIONS, declared=frozenset({"SCALEZERO_QUEUE_SIZE"}))
    assert {"name": "SCALEZERO_QUEUE_SIZE", "value": "1024"} in env(revision_of(deploy(V1, options=declared)))


def test_a_revision_is_pinned_to_the_object_in_the_registry() -> None:
    objects = deploy(V1, pins={URI: Pin(ONE, "v7")})
    rendered = {each["name"]: each.get("value") for each in env(revision_of(objects))}
    assert rendered["SCALEZERO_MODEL_SHA256"] == ONE
    assert rendered["SCALEZERO_MODEL_URI"] == f"{URI}?versionId=v7"


@pytest.mark.parametrize(("version_id", "effect"), [(None, "next pod of this revision fails"), ("v7", "still serves")])
def test_a_replaced_object_is_refused_with_both_digests(version_id: str | None, effect: str) -> None:
    objects = deploy(V1, pins={URI: Pin(ONE, version_id)})
    (refused,) = plan_for(objects, V1, pins={URI: Pin(TWO, version_id and "v8")}).refusals
    assert URI in refused.why
    assert effect in refused.why
    (difference,) = refused.differences
    assert (difference.before, difference.after) == (ONE, TWO)


def test_a_replaced_object_of_an_earlier_version_is_reported_and_not_refused() -> None:
    other = version("shop-v2", "shop", path="s3://models/b.onnx", number="2")
    objects = deploy(V1, pins={URI: Pin(ONE)})
    result = plan_for(objects, V1, other, pins={URI: Pin(TWO), "s3://models/b.onnx": Pin(ONE)})
    assert result.refusals == ()
    (kept,) = (each for each in result.actions if each.ref == Ref("Revision", "shop-v1"))
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
    result = plan_for(deploy(V1, pins=deployed), V1, pins=now)
    assert (result.changes, result.refusals) == ((), ())


def test_a_new_version_of_the_same_artifact_gets_the_new_image_and_the_old_version_keeps_its_image() -> None:
    objects = deploy(V1, pins={URI: Pin(ONE)})
    result = plan_for(objects, V1, V2, options=DeploymentOptions(image="scalezero:0.2"), pins={URI: Pin(ONE)})
    assert result.refusals == ()
    updated = carried_out(result, objects)
    assert [revision_of(updated, name)["spec"]["containers"][0]["image"] for name in ("shop-v1", "shop-v2")] == [
        "scalezero:0.1",
        "scalezero:0.2",
    ]


def test_measurements_that_are_added_later_change_no_deployed_revision_and_are_a_note() -> None:
    earlier = pinned_from([variant(), variant("int8-nncf")], [assessment("amd-avx2", "int8-nncf", {"int8-nncf": 2.0})])
    on_amx = PinnedClass(ranking=("int8-nncf", "original"))
    later = earlier._replace(classes={**earlier.classes, "intel-amx": on_amx})
    objects = deploy(V1, pins={URI: Pin(ONE, None, earlier)})
    result = plan_for(objects, V1, pins={URI: Pin(ONE, None, later)})
    assert (result.changes, result.refusals) == ((), ())
    (kept,) = (each for each in result.actions if each.ref == Ref("Revision", "shop-v1"))
    assert kept.differences == ()
    assert kept.why.startswith("the registry and the files now give: int8-nncf instead of original on intel-amx; ")
    assert "declare another ModelVersion" in kept.why
    assert plan_for(objects, V1, pins={URI: Pin(ONE, None, earlier)}).actions[1].why == ""


def test_a_disabled_resource_is_named_as_a_choice_of_the_files_which_changes_no_deployed_revision() -> None:
    published = [variant(prepared=("p",)), variant("int8-nncf")]
    measured = [assessment("amd-avx2", "int8-nncf", {"int8-nncf": 2.0})]
    disabled = "apiVersion: ml.example.com/v1\nkind: ModelOptimization\nmetadata: {name: shop-quantization}\n"
    off = read(V1, f"---\n{disabled}spec: {{quantization: {{enabled: false}}}}\n").optimization_of("shop")
    objects = deploy(V1, pins={URI: Pin(ONE, None, choose(published, measured, None))})
    result = plan_for(objects, V1, pins={URI: Pin(ONE, None, choose(published, measured, off))})
    assert (result.changes, result.refusals) == ((), ())
    (kept,) = (each for each in result.actions if each.ref == Ref("Revision", "shop-v1"))
    assert kept.why.startswith("the registry and the files now give: original instead of int8-nncf on amd-avx2; ")


def test_a_revision_without_pinned_variants_stays_as_it_is() -> None:
    now = pinned_from([variant(proven=True)], [])
    for objects in (deploy(V1, pins={URI: Pin(ONE)}), without_digest(deploy(V1, pins={URI: Pin(ONE)}))):
        result = plan_for(objects, V1, pins={URI: Pin(ONE, None, now)})
        assert (result.changes, result.refusals) == ((), ())
        assert [each.why for each in result.actions] == ["", "", ""]


def test_an_earlier_version_names_the_changes_of_the_files_and_the_newer_variants() -> None:
    now = pinned_from([variant(), variant("int8-nncf")], [assessment("amd-avx2", "int8-nncf", {"int8-nncf": 2.0})])
    objects = deploy(V1, pins={URI: Pin(ONE)})
    result = plan_for(objects, V1, V2, options=replace(OPTIONS, max_scale=3), pins={URI: Pin(ONE, None, now)})
    (kept,) = (each for each in result.actions if each.ref == Ref("Revision", "shop-v1"))
    changed = "deployed before these changes of the files, and never changed; "
    assert kept.why.startswith(f"{changed}the registry and the files now give: ")


def test_a_new_version_of_the_same_artifact_gets_the_newer_variants_and_the_old_version_keeps_its_own() -> None:
    earlier = pinned_from([variant(proven=True)], [])
    now = pinned_from([variant(), variant("int8-nncf")], [assessment("amd-avx2", "int8-nncf", {"int8-nncf": 2.0})])
    objects = deploy(V1, pins={URI: Pin(ONE, None, earlier)})
    updated = carried_out(plan_for(objects, V1, V2, pins={URI: Pin(ONE, None, now)}), objects)
    assert pinned_of(revision_of(updated, "shop-v1")) == earlier
    assert pinned_of(revision_of(updated, "shop-v2")) == now
