"""`scalezero models` lists, shows, verifies and deletes guests: on a real S3 and an API server of the test."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.registry import Publication, publish_guest, publish_model, read_guest
from runtime.registry.files import delete
from runtime.wasm.engine import CodeKey, code_key
from tests import guests
from tests.knative.commands.test_models import rows, run, serving
from tests.runtime.registry.model_files import digest, model
from tests.s3_server import S3Server

__all__ = ["serving"]  # a fixture

ARM = CodeKey("wasmtime-50.0.1-1", "arm-i8mm")
FIELDS = ["kind", "uri", "manifest", "problem", "added", "leftovers", "guest"]


@pytest.fixture
def registry(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Publish a model, and a guest with the code of two machines; return the registry."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CI_JOB_URL", "https://ci.example.com/jobs/7")
    root = f"s3://models/{tmp_path.name}"
    publish_model(model(tmp_path), f"{root}/add.onnx", Publication("add", "1"))
    path = guests.write(tmp_path / "main.wasm", guests.ECHO)
    for key in (None, ARM):
        publish_guest(path, f"{root}/main.wasm", key=key)
    return root


def test_guests_are_listed_after_the_models(registry: str) -> None:
    _, first, second = rows(run("list", "--registry", registry))
    assert first[:3] == ["model", "add", "1"]
    assert (second[0], second[3], second[-1]) == ("guest", "core", f"{registry}/main.wasm")
    assert {"arm-i8mm", code_key().cpu} <= set(second)


def test_the_json_of_a_listing_has_every_field_for_both_kinds(registry: str) -> None:
    added, guest = json.loads(run("list", "--registry", registry, "-o", "json"))
    assert sorted(added) == sorted(guest) == sorted(FIELDS)
    assert (added["kind"], added["manifest"]["name"], added["guest"]) == ("model", "add", None)
    assert [guest[name] for name in FIELDS[2:6]] == [None, "", [], []]
    assert guest["guest"] == json.loads(run("show", f"{registry}/main.wasm", "-o", "json"))


@pytest.mark.parametrize("kind", ["model", "guest"])
def test_one_kind_is_listed(registry: str, kind: str) -> None:
    (found,) = json.loads(run("list", "--registry", registry, "--kind", kind, "-o", "json"))
    assert found["kind"] == kind
    assert len(rows(run("list", "--registry", registry, "--kind", kind))) == 2


def test_a_registry_without_guests_says_how_to_add_one(registry: str) -> None:
    output = run("list", "none/", "--registry", registry, "--kind", "guest")
    assert output == f"no guests in {registry}/none/; scalezero publish FOLDER adds one\n"


def test_a_guest_is_shown_with_its_publisher_and_its_code(registry: str, tmp_path: Path) -> None:
    uri = f"{registry}/main.wasm"
    sha256 = digest(tmp_path / "main.wasm")
    lines = [" ".join(line.split()) for line in run("show", uri).splitlines()]
    assert lines[0] == f"guest {uri}"
    assert lines[1].endswith("Z by https://ci.example.com/jobs/7")
    assert lines[2].startswith(f"sha256 {sha256}, ")
    assert lines[3] == "format core module"
    shown = json.loads(run("show", uri, "-o", "json"))
    assert (shown["sha256"], shown["format"], shown["size"]) == (sha256, "core", len(guests.binary(guests.ECHO)))
    assert {(each["compiler"], each["cpu"]) for each in shown["codes"]} == {code_key(), ARM}
    for each in shown["codes"]:
        assert sum(each["sha256"] in line and each["uri"] in line for line in lines) == 1


def test_a_guest_without_code_says_how_to_add_it(registry: str) -> None:
    uri = f"{registry}/main.wasm"
    for each in read_guest(uri).codes:
        delete(each.uri)
    assert "no compiled code, so each pod compiles the guest; scalezero wasm compile adds it" in run("show", uri)


def test_a_guest_is_no_model_that_can_be_measured(registry: str) -> None:
    output = run("measure", f"{registry}/main.wasm", code=2)
    assert "expected a model; scalezero wasm compile adds the code of a guest" in output


@pytest.mark.parametrize("command", ["show", "verify", "delete"])
def test_one_version_of_a_guest_is_refused(registry: str, command: str) -> None:
    flags = ["--yes"] if command == "delete" else []
    assert "s3://bucket/key, without a version" in run(command, f"{registry}/main.wasm?versionId=7", *flags, code=2)


@pytest.mark.parametrize("command", ["show", "verify", "delete"])
def test_a_guest_that_is_not_published_is_an_error(registry: str, command: str) -> None:
    flags = ["--yes"] if command == "delete" else []
    assert "none.wasm: there is no such guest" in run(command, f"{registry}/none.wasm", *flags, code=2)


def test_the_objects_of_guests_are_verified_with_those_of_the_models(registry: str, s3: S3Server) -> None:
    found = json.loads(run("verify", "--registry", registry, "-o", "json"))
    assert [each["kind"] for each in found] == ["model", "guest", "code", "code"]
    assert all(each["problem"] == "" for each in found)
    uri = f"{registry}/main.wasm"
    assert json.loads(run("verify", uri, "-o", "json")) == found[1:]
    code = read_guest(uri).codes[0]
    s3.put(code.uri, b"damaged", {"sha256": str(code.sha256)})
    assert "its SHA-256 is" not in run("verify", "add", "--registry", registry)
    for arguments in (["--registry", registry], [uri]):
        assert run("verify", *arguments, code=1).count("it has 7 bytes; expected") == 0
        assert run("verify", *arguments, code=1).count("its SHA-256 is") == 1


def test_code_that_lost_its_guest_is_named_with_the_next_step(registry: str) -> None:
    uri = f"{registry}/main.wasm"
    delete(uri)
    step = f"to delete it: scalezero models delete '{uri}'"
    assert run("verify", "--registry", registry, code=1).count(f"its guest is missing; {step}") == 2
    assert f"{uri}: there is no guest, only compiled code of it; {step}" in run("list", "--registry", registry)
    assert run("delete", uri, "--yes").count("deleted") == 2
    run("verify", "--registry", registry)


def test_a_guest_is_deleted_with_all_its_code(registry: str) -> None:
    uri = f"{registry}/main.wasm"
    places = [each.uri for each in read_guest(uri).codes]
    assert "not deleted, as revisions may use it" in run("delete", uri, code=2)
    assert run("delete", uri, "--yes").splitlines() == [f"{each}: deleted" for each in (*places, uri)]
    assert not read_guest(uri).exists


@pytest.mark.parametrize("pinned", ["guest", "code"])
def test_what_a_revision_uses_is_not_deleted(
    registry: str, serving: Callable[..., dict[str, str]], pinned: str
) -> None:
    uri = f"{registry}/main.wasm"
    entry = read_guest(uri)
    if pinned == "guest":
        environ = serving(f"{uri}?versionId=7", "SCALEZERO_GUEST_URI")
    else:
        environ = serving(str(entry.pinnable), "SCALEZERO_GUEST_CODE")
        assert "still use it" in run("delete", entry.codes[0].uri, code=2, environ=environ)
    assert "revision/add-v1 in namespace shop still use it" in run("delete", uri, code=2, environ=environ)
    assert read_guest(uri) == entry


def test_a_guest_that_no_revision_uses_is_deleted(registry: str, serving: Callable[..., dict[str, str]]) -> None:
    environ = serving(f"{registry}/other.wasm", "SCALEZERO_GUEST_URI")
    assert run("delete", f"{registry}/main.wasm", environ=environ).count(": deleted") == 3
