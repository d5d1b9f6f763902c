"""A function with companions: one Service, whose revisions name the newest version of each companion."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.manifests import DeploymentOptions, Pin, Step, desired
from knative.manifests.names import INPUTS
from knative.resources import Resources
from runtime.configuration.companions import Companion
from runtime.errors import BadSetting
from runtime.settings import Settings, settings_from
from tests.knative.documents import read, split, version
from tests.knative.manifests.admission import violations
from tests.knative.manifests.test_golden import as_data
from tests.knative.manifests.test_steps import OPTIONS, environ, services

GOLDEN = Path(__file__).with_name("golden") / "companions.yaml"
SHOP = version("shop-v1", "shop", path="s3://models/shop-v1.onnx", number="1") + version(
    "shop-v2", "shop", path="s3://models/shop-v2.onnx", number="2"
)
READER = version("reader-v9", "reader", path="s3://models/reader-v9.onnx", number="9.0") + version(
    "reader-v10", "reader", path="s3://models/reader-v10.onnx", number="10.0"
)
CONFIG = (
    "---\napiVersion: ml.example.com/v1\nkind: InferenceConfig\nmetadata: {name: reader-config}\n"
    "spec: {batchSize: 8, maxWaitTime: 20ms, timeout: 2s}\n"
)
PINS = {
    "s3://models/shop-v2.onnx": Pin("a" * 64, "v7"),
    "s3://models/reader-v10.onnx": Pin("b" * 64, "v8"),
}


def function(*documents: str) -> Resources:
    """Return the resources of a function whose main model is `shop`."""
    return replace(read(*documents), companion_models=("reader",))


def settings_of_revisions(steps: tuple[Step, ...]) -> list[Settings]:
    return [settings_from(environ(step.manifest)) for step in services(steps)]


def digest_of(resources: Resources, options: DeploymentOptions = OPTIONS, pins: Any = None) -> str:  # noqa: ANN401 - as `desired`
    *_, last = services(desired(resources, options, pins or {}))
    found: str = last.manifest["spec"]["template"]["metadata"]["annotations"][INPUTS]
    return found


def test_only_the_main_model_has_a_service_and_revisions() -> None:
    steps = desired(function(SHOP, READER), OPTIONS)
    assert [str(step.manifest["kind"]) for step in steps] == ["ServiceAccount", "Service", "Service"]
    assert [step.makes for step in steps] == [None, "shop-v1", "shop-v2"]
    assert [violation for step in steps for violation in violations(step.manifest)] == []


def test_without_a_function_each_model_has_a_service() -> None:
    steps = desired(read(SHOP, READER), OPTIONS)
    assert [step.makes for step in services(steps)] == ["shop-v1", "shop-v2", "reader-v9", "reader-v10"]
    assert [each.companions for each in settings_of_revisions(steps)] == [(), (), (), ()]


def test_each_new_revision_serves_the_newest_declared_version_of_a_companion_with_its_batching() -> None:
    expected = (Companion("reader", "10.0", "s3://models/reader-v10.onnx", None, 8, 0.02, 2.0),)
    found = settings_of_revisions(desired(function(READER, CONFIG, SHOP), OPTIONS))
    assert [each.companions for each in found] == [expected, expected]
    assert [each.batch_size for each in found] == [32, 32]


def test_a_companion_without_its_own_batching_has_that_of_all_models() -> None:
    """The InferenceConfig of the main model is not for its companions."""
    config = CONFIG.replace("reader-config", "shop-config")
    options = replace(OPTIONS, runtime=replace(OPTIONS.runtime, batch_size=16))
    found = settings_of_revisions(desired(function(SHOP, READER, config), options))
    assert {(each.batch_size, each.companions[0].batch_size, each.companions[0].timeout) for each in found} == {
        (8, 16, None)
    }


def test_the_main_model_and_its_companions_are_pinned_to_their_objects() -> None:
    *_, last = settings_of_revisions(desired(function(SHOP, READER), OPTIONS, PINS))
    assert (last.model_uri, last.model_sha256) == ("s3://models/shop-v2.onnx?versionId=v7", "a" * 64)
    (reader,) = last.companions
    assert (reader.uri, reader.sha256) == ("s3://models/reader-v10.onnx?versionId=v8", "b" * 64)


def test_a_relative_path_of_a_companion_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"storage\.path='reader\.onnx'"):
        desired(function(SHOP, version("reader-v1", "reader", path="reader.onnx")), OPTIONS)


def test_a_split_of_a_companion_is_refused_with_the_revision() -> None:
    message = r"revisionName='reader-v10 \(ab\)': expected revisions of shop; a companion has no revision of its own"
    with pytest.raises(BadSetting, match=message):
        desired(function(SHOP, READER, split("ab", "shop-v1", "reader-v10")), OPTIONS)


def test_the_digest_of_the_inputs_covers_what_is_declared_of_the_companions_and_no_pin() -> None:
    digest = digest_of(function(SHOP, READER))
    assert digest_of(function(SHOP, READER), pins=PINS) == digest
    assert digest_of(function(READER, SHOP)) == digest
    others = [
        function(SHOP, READER, CONFIG),
        function(SHOP, READER.replace("10.0", "11.0")),
        function(SHOP, READER.replace("reader-v10.onnx", "reader-ten.onnx")),
        read(SHOP),
    ]
    assert len({digest, *map(digest_of, others)}) == 1 + len(others)


def test_an_older_version_of_a_companion_does_not_change_the_digest() -> None:
    older = version("reader-v8", "reader", path="s3://models/reader-v8.onnx", number="8.0")
    assert digest_of(function(SHOP, READER, older)) == digest_of(function(SHOP, READER))


def test_the_steps_of_a_function_with_a_companion_equal_the_golden_file() -> None:
    steps = desired(function(SHOP, READER, CONFIG), DeploymentOptions(image="registry.example/shop:0.1.0"), PINS)
    assert as_data(steps) == list(yaml.safe_load_all(GOLDEN.read_text("utf-8")))


def test_the_variable_is_compact_json() -> None:
    *_, last = services(desired(function(SHOP, READER), OPTIONS))
    text = environ(last.manifest)["SCALEZERO_COMPANIONS"]
    assert json.loads(text) == [{"name": "reader", "version": "10.0", "uri": "s3://models/reader-v10.onnx"}]
    assert " " not in text
