"""A revision of a function with a guest: what it declares, what it pins, and what changes it."""

import json

import pytest

from knative.manifests import Pin, Pins
from knative.manifests.names import INPUTS
from runtime.configuration.guest_code import GuestCode, GuestCodes, parse_code
from tests.knative.deploying.test_revisions import ONE, TWO, V1, V2, deploy, env, plan_for, revision_of
from tests.knative.resources.test_guest import CONFIG

PLACE = "s3://models/guest/1.0.0/main.wasm"
# The digest of the inputs of the revision `declared()`, as a command line rendered it that knew no folders.
BEFORE = "cfe66f57084f056abad91bad61582e100322b4bfb61e6ec5a700c80ecd51c914"
CODES = GuestCodes([GuestCode("wasmtime-50.0.1-1", "intel-avx2", "core", f"{PLACE}.code/x", TWO)])


def declared(path: str = PLACE, memory: str = "64Mi", more: str = "") -> str:
    return CONFIG.replace("GUEST", f"{{path: {path}, memory: {memory}{more}}}")


def test_a_revision_states_and_pins_its_guest_and_the_compiled_code() -> None:
    objects = deploy(V1, declared(), pins={PLACE: Pin(ONE, "v7", codes=CODES)})
    rendered = {each["name"]: each.get("value", "") for each in env(revision_of(objects))}
    assert rendered["SCALEZERO_GUEST_URI"] == f"{PLACE}?versionId=v7"
    assert rendered["SCALEZERO_GUEST_SHA256"] == ONE
    assert rendered["SCALEZERO_GUEST_MEMORY"] == str(64 * 2**20)
    assert parse_code(rendered["SCALEZERO_GUEST_CODE"]) == CODES
    assert json.loads(rendered["SCALEZERO_GUEST_CODE"])[0]["cpu"] == "intel-avx2"


@pytest.mark.parametrize(
    ("deployed", "now"),
    [
        ({}, {PLACE: Pin(ONE)}),
        ({PLACE: Pin(ONE)}, {}),
        ({PLACE: Pin(ONE)}, {PLACE: Pin(ONE, "v7", codes=CODES)}),
        ({PLACE: Pin(ONE, "v7", codes=CODES)}, {PLACE: Pin(ONE, "v8")}),
    ],
)
def test_what_the_registry_has_of_a_guest_changes_no_deployed_revision(deployed: Pins, now: Pins) -> None:
    result = plan_for(deploy(V1, declared(), pins=deployed), V1, declared(), pins=now)
    assert (result.changes, result.refusals) == ((), ())


def test_a_revision_states_the_folders_and_the_network_of_its_guest() -> None:
    objects = deploy(V1, declared(more=", network: true, folders: [{path: /etc/labels}]"))
    rendered = {each["name"]: each.get("value", "") for each in env(revision_of(objects))}
    assert rendered["SCALEZERO_GUEST_FOLDERS"] == '[{"path":"/etc/labels"}]'
    assert rendered["SCALEZERO_GUEST_NETWORK"] == "true"


def test_a_guest_without_folders_and_network_has_the_digest_that_it_had_before_both_existed() -> None:
    """A deployed revision must not need another version because of a newer command line."""
    for more in ("", ", network: false, folders: []"):
        revision = revision_of(deploy(V1, declared(more=more)))
        assert revision["metadata"]["annotations"][INPUTS] == BEFORE
        assert not {each["name"] for each in env(revision)} & {"SCALEZERO_GUEST_FOLDERS", "SCALEZERO_GUEST_NETWORK"}


@pytest.mark.parametrize(
    "other",
    [
        declared(f"{PLACE}2"),
        declared(memory="65Mi"),
        declared(more=", network: true"),
        declared(more=", folders: [{path: /etc/labels}]"),
    ],
)
def test_another_guest_needs_another_version(other: str) -> None:
    objects = deploy(V1, declared())
    (refused,) = plan_for(objects, V1, other).refusals
    assert refused.ref.name == "shop-v1"
    result = plan_for(objects, V1, V2, other)
    assert (result.refusals, bool(result.changes)) == ((), True)
