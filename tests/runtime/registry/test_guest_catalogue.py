"""Guests are listed by their objects, and code that was left without its guest is named."""

from pathlib import Path

import pytest

from runtime.published.objects import full_uri
from runtime.registry import (
    GuestEntry,
    Publication,
    guest_entries,
    is_guest,
    publish_guest,
    publish_model,
    read_guest,
    verify_guest,
)
from runtime.registry.files import delete, put_once
from runtime.wasm.engine import CodeKey, code_key
from tests import guests
from tests.runtime.conftest import Place
from tests.runtime.registry.model_files import model
from tests.s3_server import S3Server

ARM = CodeKey("wasmtime-50.0.1-1", "arm-i8mm")


def publish(folder: Path, uri: str, text: str = guests.ECHO) -> GuestEntry:
    """Publish a guest with the code of two machines."""
    path = guests.write(folder / "main.wasm", text)
    publish_guest(path, uri)
    publish_guest(path, uri, key=ARM)
    return read_guest(uri)


def test_a_listing_has_each_guest_with_the_code_of_each_machine(place: Place, tmp_path: Path) -> None:
    publish(tmp_path, place("guests/b.wasm"), guests.COMPONENT_ECHO)
    publish(tmp_path, place("guests/a"))  # without the suffix
    put_once(place("guests/b.wasm.code/notes.txt"), b"notes")
    first, second = guest_entries(place("guests/"))
    assert [first.uri, second.uri] == [full_uri(place("guests/a")), full_uri(place("guests/b.wasm"))]
    assert (first.problem, second.problem) == ("", "")
    assert first.guest is not None
    assert second.guest is not None
    assert (first.guest.kind, second.guest.kind) == ("core", "component")
    assert first.guest.size == len(guests.binary(guests.ECHO))
    for each in (first, second):
        assert {code.place[1:3] for code in each.codes} == {ARM, code_key()}
        assert len(each.pinnable) == 2
    assert second.others == (full_uri(place("guests/b.wasm.code/notes.txt")),)
    assert guest_entries(place("guests/none")) == []


def test_s3_has_the_publisher_of_each_object(s3_registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CI_JOB_URL", "https://ci.example.com/jobs/7")
    entry = publish(tmp_path, f"{s3_registry}/main.wasm")
    assert entry.guest is not None
    guest, codes = entry.guest, entry.codes
    assert {guest.published_by, *(each.published_by for each in codes)} == {"https://ci.example.com/jobs/7"}
    assert all(moment and moment.endswith("Z") for moment in (guest.published_at, *(it.published_at for it in codes)))


def test_code_without_its_guest_is_listed_and_cannot_be_pinned(place: Place, tmp_path: Path) -> None:
    publish(tmp_path, place("left.wasm"))
    delete(place("left.wasm"))
    (entry,) = guest_entries(place("left"))
    assert entry.guest is None
    assert entry.problem == "there is no guest, only compiled code of it"
    assert [each.problem for each in entry.codes] == ["its guest is missing"] * 2
    assert entry.pinnable == ()


def test_an_object_that_is_no_webassembly_is_a_problem(place: Place) -> None:
    put_once(place("text.wasm"), b"(module)")
    (entry,) = guest_entries(place("text"))
    assert entry.problem == "it is not WebAssembly"


def test_an_empty_object_and_one_without_a_digest_are_problems(s3: S3Server, s3_registry: str) -> None:
    root = s3_registry
    s3.put(f"{root}/copied.wasm", guests.binary(guests.ECHO))
    s3.put(f"{root}/empty.wasm", b"")
    assert [each.problem for each in guest_entries(root)] == ["no SHA-256 is recorded", "it is not WebAssembly"]


def test_a_uri_is_that_of_a_guest_by_its_name_or_by_its_code(place: Place, tmp_path: Path) -> None:
    assert is_guest(place("none.wasm"))
    assert not is_guest(place("named"))
    publish(tmp_path, place("named"))
    assert is_guest(place("named"))
    assert not is_guest("s3://bucket/main.wasm?versionId=7")


def test_a_model_with_a_manifest_is_no_guest(place: Place, tmp_path: Path) -> None:
    publish_model(model(tmp_path), place("add.onnx"), Publication("add", "1"))
    put_once(f"{place('add.onnx')}.code/wasmtime-1-1/arm/core.cwasm", b"code")
    assert not is_guest(place("add.onnx"))


def test_a_verification_hashes_the_guest_and_each_code(place: Place, tmp_path: Path) -> None:
    entry = publish(tmp_path, place("good.wasm"))
    found = list(verify_guest(entry))
    assert [each.kind for each in found] == ["guest", "code", "code"]
    assert [each.uri for each in found] == [entry.uri, *(each.uri for each in entry.codes)]
    assert all(each.is_good and each.size > 0 for each in found)


def test_a_verification_finds_what_was_damaged(s3: S3Server, s3_registry: str, tmp_path: Path) -> None:
    entry = publish(tmp_path, f"{s3_registry}/main.wasm")
    assert entry.guest is not None
    code, other = entry.codes
    s3.put(entry.uri, guests.binary(guests.TRAP), {"sha256": str(entry.guest.sha256)})
    s3.put(code.uri, b"damaged", {"sha256": str(code.sha256)})
    s3.put(other.uri, b"without a digest")
    guest, damaged, without = (each.problem for each in verify_guest(read_guest(entry.uri)))
    assert guest.startswith("its SHA-256 is ")
    assert damaged.startswith("its SHA-256 is ")
    step = f"to replace it: scalezero models delete '{other.uri}', then scalezero wasm compile"
    assert without == f"no SHA-256 is recorded; {step}"


def test_a_verification_names_code_without_its_guest_with_the_next_step(place: Place, tmp_path: Path) -> None:
    entry = publish(tmp_path, place("orphan.wasm"))
    delete(entry.uri)
    problems = [each.problem for each in verify_guest(read_guest(entry.uri))]
    assert problems == [f"its guest is missing; to delete it: scalezero models delete '{entry.uri}'"] * 2
