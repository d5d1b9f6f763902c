"""A revision of a function with a guest: what it declares, what it pins, and what changes it."""

import json

import pytest

from knative.deploying.guests import codes_in
from knative.manifests import Pin, Pins
from knative.manifests.names import INPUTS
from runtime.configuration.guest_code import GuestCode, GuestCodes, parse_code
from tests.knative.deploying.test_plan import Objects, carried_out
from tests.knative.deploying.test_revisions import ONE, TWO, V1, V2, deploy, env, plan_for, revision_of
from tests.knative.resources.test_guest import CONFIG

PLACE = "s3://models/guest/1.0.0/main.wasm"
# The digest of the inputs of the revision `declared()`, as a command line rendered it that knew no folders.
BEFORE = "cfe66f57084f056abad91bad61582e100322b4bfb61e6ec5a700c80ecd51c914"
CODE = GuestCode("wasmtime-50.0.1-1", "intel-avx2", "core", f"{PLACE}.code/x", TWO)
CODES = GuestCodes([CODE])
MORE = GuestCodes([CODE, CODE._replace(cpu="arm-i8mm", uri=f"{PLACE}.code/y")])


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
        ({PLACE: Pin(ONE, codes=CODES)}, {PLACE: Pin(ONE, codes=MORE)}),
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


def kept(objects: Objects, *documents: str, pins: Pins) -> dict[str, str]:
    """Return why each revision is kept, by its name."""
    result = plan_for(objects, *documents, pins=pins)
    return {each.ref.name: each.why for each in result.actions if each.ref.kind == "Revision"}


def test_code_that_is_added_later_is_a_note_and_the_next_version_pins_it() -> None:
    """A deployed revision is neither refused nor created again."""
    before, now = {PLACE: Pin(ONE, codes=CODES)}, {PLACE: Pin(ONE, codes=MORE)}
    objects = deploy(V1, declared(), pins=before)
    note = kept(objects, V1, declared(), pins=now)["shop-v1"]
    assert note.startswith("the registry now has compiled code of the guest for arm-i8mm (wasmtime-50.0.1-1); ")
    assert "declare another ModelVersion of the same storage.path" in note
    assert kept(objects, V1, declared(), pins=before) == {"shop-v1": ""}
    assert kept(objects, V1, declared(), pins={PLACE: Pin(ONE)}) == {"shop-v1": ""}
    later = carried_out(plan_for(objects, V1, V2, declared(), pins=now), objects)
    assert {name: codes_in(revision_of(later, name)) for name in ("shop-v1", "shop-v2")} == {
        "shop-v1": CODES,
        "shop-v2": MORE,
    }


def test_code_that_cannot_be_read_is_no_code() -> None:
    revision = revision_of(deploy(V1, declared(), pins={PLACE: Pin(ONE, codes=CODES)}))
    (variable,) = (each for each in env(revision) if each["name"] == "SCALEZERO_GUEST_CODE")
    variable["value"] = "{}"
    assert codes_in(revision) == ()


def test_a_guest_that_was_replaced_in_the_registry_is_refused_for_the_newest_version_and_noted_for_others() -> None:
    before, now = {PLACE: Pin(ONE)}, {PLACE: Pin(TWO)}
    objects = deploy(V1, declared(), pins=before)
    (refused,) = plan_for(objects, V1, declared(), pins=now).refusals
    assert (refused.differences[0].before, refused.differences[0].after) == (ONE, TWO)
    assert refused.why == (
        f"the guest {PLACE} was replaced after the deployment, and a pod of this revision fails, unless it pins "
        "compiled code for the CPU class of the pod; publish the new guest under another URI and declare it as "
        "guest.path, with another ModelVersion, or restore the object"
    )
    result = plan_for(objects, V1, V2, declared(), pins=now)
    assert result.refusals == ()
    assert kept(objects, V1, V2, declared(), pins=now)["shop-v1"] == refused.why


def test_a_revision_of_a_version_of_the_object_still_runs_it_after_a_replacement() -> None:
    objects = deploy(V1, declared(), pins={PLACE: Pin(ONE, "v7")})
    (refused,) = plan_for(objects, V1, declared(), pins={PLACE: Pin(TWO, "v8")}).refusals
    assert "this revision still runs its own version of it" in refused.why


def test_a_new_guest_under_another_path_is_no_replaced_one() -> None:
    objects = deploy(V1, declared(), pins={PLACE: Pin(ONE)})
    other = f"{PLACE}2"
    result = plan_for(objects, V1, V2, declared(other), pins={other: Pin(TWO, codes=MORE)})
    assert result.refusals == ()
    assert "was replaced" not in kept(objects, V1, V2, declared(other), pins={other: Pin(TWO)})["shop-v1"]
