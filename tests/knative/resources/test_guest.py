"""The guest of an InferenceConfig: its place in the registry, its memory, its folders and its network."""

import pytest

from knative.resources import BadManifest
from knative.resources.guest import Guest
from runtime.configuration.guest_folders import GuestFolder
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


def test_folders_are_read_only_and_at_their_own_paths_unless_they_say_otherwise() -> None:
    declared = guest("{path: s3://models/m.wasm, folders: [{path: /a}, {path: /b, guestPath: /c, readOnly: false}]}")
    folders = (GuestFolder("/a", "/a", read_only=True), GuestFolder("/b", "/c", read_only=False))
    assert declared.settings() == {"guest_uri": "s3://models/m.wasm", "guest_folders": folders}
    assert guest("{path: s3://models/m.wasm, network: true}").settings()["guest_network"] is True


def test_what_is_written_as_the_default_is_not_set() -> None:
    assert guest("{path: s3://models/m.wasm, folders: [], network: false}") == guest("{path: s3://models/m.wasm}")
    plain = guest("{path: s3://models/m.wasm, folders: [{path: /a}]}").settings()
    assert guest("{path: s3://models/m.wasm, folders: [{path: /a, guestPath: /a, readOnly: true}]}").settings() == plain


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        ("[{path: data}]", r'folders\[0\]\.path: got "data"; expected an absolute path without'),
        ("[{path: /a}, {path: /b/../c}]", r'folders\[1\]\.path: got "/b/\.\./c"; expected an absolute path without'),
        ("[{path: /proc}]", r'folders\[0\]\.path: got "/proc"; expected a folder that neither contains nor is below'),
        ("[{path: /var}]", r'folders\[0\]\.path: got "/var"; expected a folder that neither'),
        (
            "[{path: /a}, {path: /b, guestPath: /a}]",
            r'folders\[1\]\.guestPath: got "/a"; expected each path of the guest',
        ),
        ("[{path: /a, guestPath: b}]", r'folders\[0\]\.guestPath: got "b"; expected /, or an absolute path'),
        ("[{guestPath: /a}]", r"folders\[0\]"),
        ("[{path: /a, readonly: true}]", r"folders\[0\].*did you mean readOnly"),
        ("[{path: /a, readOnly: 'no'}]", r'folders\[0\]\.readOnly: got "no"; expected true or false'),
    ],
)
def test_another_folder_is_refused_with_its_line(folders: str, reason: str) -> None:
    with pytest.raises(BadManifest, match=rf"\d+: spec\.guest\.{reason}"):
        guest(f"{{path: s3://models/m.wasm, folders: {folders}}}")


def test_the_network_is_declared_as_a_boolean() -> None:
    with pytest.raises(BadManifest, match=r'spec\.guest\.network: got "all"; expected true or false'):
        guest("{path: s3://models/m.wasm, network: all}")


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
