"""The place of a compiled code says what it is valid for."""

import pytest

from runtime.registry.guest_places import CodePlace, code_uri, has_guest_name, place_of

GUEST = "s3://bucket/main.wasm"


def test_the_uri_of_code_names_what_it_is_for() -> None:
    place = code_uri(GUEST, compiler="wasmtime-50.0.1-1", cpu="arm", kind="core")
    assert place == "s3://bucket/main.wasm.code/wasmtime-50.0.1-1/arm/core.cwasm"
    assert place_of(place) == CodePlace(GUEST, "wasmtime-50.0.1-1", "arm", "core")


@pytest.mark.parametrize(
    "uri",
    [
        GUEST,
        f"{GUEST}.code/notes.txt",
        f"{GUEST}.code/wasmtime-50.0.1-1/arm/other.cwasm",
        f"{GUEST}.code/wasmtime-50.0.1-1/arm/core.cwasm.old",
        f"{GUEST}.code/wasmtime-50.0.1-1/arm/more/core.cwasm",
        "wasmtime-50.0.1-1/arm/core.cwasm",
    ],
)
def test_other_uris_are_those_of_no_code(uri: str) -> None:
    assert place_of(uri) is None


def test_a_guest_in_a_folder_of_code_is_a_guest_of_its_own() -> None:
    inner = f"{GUEST}.code/inner.wasm"
    place = place_of(code_uri(inner, compiler="c", cpu="arm", kind="component"))
    assert place is not None
    assert place.guest == inner


def test_a_guest_is_known_by_its_suffix() -> None:
    assert has_guest_name("s3://bucket/Main.WASM")
    assert not has_guest_name("s3://bucket/main.wasm.code/c/arm/core.cwasm")
