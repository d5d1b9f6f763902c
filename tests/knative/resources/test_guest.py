"""The guest of an InferenceConfig: its place in the registry, and its memory."""

import pytest

from knative.resources import BadManifest
from knative.resources.guest import Guest
from tests.knative.documents import read, version

CONFIG = """\
---
apiVersion: ml.example.com/v1
kind: InferenceConfig
metadata: {name: shop-config}
spec: {modelName: shop, guest: GUEST}
"""


def guest(text: str) -> Guest:
    config = read(version("shop-v1", "shop"), CONFIG.replace("GUEST", text)).config_of("shop")
    assert config is not None
    assert config.spec.guest is not None
    return config.spec.guest


def test_the_settings_are_those_that_are_declared() -> None:
    assert guest("{path: s3://models/main.wasm}").settings() == {"guest_uri": "s3://models/main.wasm"}
    declared = guest("{path: s3://models/main.wasm, memory: 64Mi}")
    assert declared.settings() == {"guest_uri": "s3://models/main.wasm", "guest_memory": 64 * 2**20}


@pytest.mark.parametrize("memory", ["64Ki", "4Gi", "1048576Ki"])
def test_the_bounds_of_the_memory_are_allowed(memory: str) -> None:
    assert guest(f"{{path: s3://models/main.wasm, memory: {memory}}}").memory == memory


@pytest.mark.parametrize("memory", ["63Ki", "5Gi", "64", "64MB", "0Mi", "-1Mi"])
def test_another_memory_is_refused(memory: str) -> None:
    with pytest.raises(BadManifest, match=r'spec\.guest\.memory: .*expected an amount from "64Ki" to "4Gi"'):
        guest(f"{{path: s3://models/main.wasm, memory: '{memory}'}}")


@pytest.mark.parametrize(
    "path", ["main.wasm", "s3://models", "s3://models/a/", "s3://models/a?versionId=1", "file:///a"]
)
def test_another_place_is_refused(path: str) -> None:
    with pytest.raises(BadManifest, match=r"spec\.guest\.path: .*expected s3://bucket/key"):
        guest(f"{{path: '{path}'}}")


def test_a_guest_has_a_place() -> None:
    with pytest.raises(BadManifest, match=r"spec\.guest\.path"):
        guest("{}")
