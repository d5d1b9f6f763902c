"""A guest is published once, with its compiled code, and loaded from there, verified."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.configuration.guest_code import GuestCode, GuestCodes
from runtime.errors import ArtifactMissing, BadSetting, DigestMismatch, FunctionFailed
from runtime.frontends.wasm.loading import load
from runtime.registry import AlreadyPublished
from runtime.registry.guests import PublishedGuest, code_uri, find_guest, publish_guest
from runtime.settings import Settings
from runtime.wasm.engine import code_key
from runtime.wasm.linking import Extension
from tests import guests
from tests.s3_server import S3Server


@pytest.fixture(params=["s3", "folder"])
def registry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return the place of a registry: in S3, or a folder."""
    if request.param == "folder":
        return str(tmp_path / "registry")
    server: S3Server = request.getfixturevalue("s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    server.make_bucket("guests")
    return f"s3://guests/{tmp_path.name}"


def publish(folder: Path, uri: str, text: str = guests.ECHO) -> PublishedGuest:
    return publish_guest(guests.write(folder / "main.wasm", text), uri)


def settings_for(published: PublishedGuest, folder: Path) -> Settings:
    return Settings(
        guest_uri=published.uri,
        guest_sha256=published.sha256,
        guest_code=published.codes,
        cache_dir=folder / "cache",
        guest_memory=2**22,
    )


def answer(settings: Settings) -> bytes:
    """Return the body that the guest of the settings answers to the body `hello`."""
    from runtime.frontends.functions.wsgi import environment

    scope = {"method": "POST", "path": "/", "query_string": b"", "http_version": "1.1", "headers": []}
    return b"".join(load(settings).application(environment(scope, b"hello"), lambda *_: bytes))


def test_a_published_guest_answers_from_its_compiled_code(registry: str, tmp_path: Path) -> None:
    published = publish(tmp_path, f"{registry}/echo.wasm")
    (code,) = published.codes
    assert (code.compiler, code.cpu, code.kind) == (*code_key(), "core")
    assert published.uploaded
    missing = replace(settings_for(published, tmp_path), guest_uri=f"{registry}/none.wasm")
    assert answer(missing) == b"hello", "with its code, the guest itself is not pulled"


def test_a_guest_is_published_once(registry: str, tmp_path: Path) -> None:
    first = publish(tmp_path, f"{registry}/once.wasm")
    again = publish(tmp_path, f"{registry}/once.wasm")
    assert not again.uploaded
    assert again == first._replace(uploaded=False)
    assert find_guest(f"{registry}/once.wasm") == again
    with pytest.raises(AlreadyPublished):
        publish(tmp_path, f"{registry}/once.wasm", guests.TRAP)


def test_code_for_another_machine_is_not_used(registry: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    published = publish(tmp_path, f"{registry}/other.wasm", guests.COMPONENT_ECHO)
    (code,) = published.codes
    assert code.kind == "component"
    others = GuestCodes([code._replace(cpu="another"), code._replace(compiler="wasmtime-1-1")])
    with caplog.at_level(logging.WARNING):
        assert answer(settings_for(published._replace(codes=others), tmp_path)) == b"hello"
    assert "no compiled code of the guest fits; it is compiled" in caplog.text


def test_code_whose_bytes_are_not_pinned_is_not_used(
    registry: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    published = publish(tmp_path, f"{registry}/forged.wasm")
    forged = GuestCodes([published.codes[0]._replace(sha256="0" * 64)])
    with caplog.at_level(logging.WARNING):
        assert answer(settings_for(published._replace(codes=forged), tmp_path)) == b"hello"
    assert "the compiled code of the guest cannot be used; it is compiled" in caplog.text


def test_code_that_is_no_code_is_not_used(registry: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    published = publish(tmp_path, f"{registry}/stale.wasm")
    wrong = GuestCodes([published.codes[0]._replace(uri=published.uri, sha256=str(published.sha256))])
    with caplog.at_level(logging.WARNING):
        assert answer(settings_for(published._replace(codes=wrong), tmp_path)) == b"hello"
    assert "cannot be used" in caplog.text


def test_a_guest_with_other_bytes_than_pinned_is_refused(registry: str, tmp_path: Path) -> None:
    published = publish(tmp_path, f"{registry}/pinned.wasm")._replace(sha256="0" * 64, codes=GuestCodes())
    with pytest.raises(DigestMismatch, match=r"0{64}"):
        load(settings_for(published, tmp_path))


def test_a_guest_that_is_not_published_is_reported(registry: str, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    assert find_guest(f"{registry}/none.wasm") is None
    with pytest.raises(ArtifactMissing, match=r"none\.wasm"):
        load(settings_for(PublishedGuest(f"{registry}/none.wasm", None), tmp_path))


def test_an_extension_that_fails_is_reported_by_its_type(tmp_path: Path) -> None:
    """The host of the function waits for a result: no exception may end its thread."""

    def broken() -> Extension:
        raise RuntimeError("a secret")

    importing = '(module (import "env" "f" (func)) (func (export "_start")))'
    settings = Settings(guest_uri=str(guests.write(tmp_path / "main.wasm", importing)))
    with pytest.raises(FunctionFailed, match=r"the function in main\.wasm cannot be loaded: RuntimeError; the"):
        load(settings, extensions=[broken])


@pytest.mark.parametrize("content", [b"(module)", b"", b"\0asm\1\0\0\0garbage"])
def test_a_file_that_is_no_guest_is_not_published(registry: str, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "main.wasm"
    path.write_bytes(content)
    with pytest.raises(FunctionFailed):
        publish_guest(path, f"{registry}/invalid.wasm")
    assert find_guest(f"{registry}/invalid.wasm") is None


def test_a_missing_file_and_a_folder_as_the_destination_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="nothing to publish"):
        publish_guest(tmp_path / "main.wasm", str(tmp_path / "x.wasm"))
    with pytest.raises(BadSetting, match="destination"):
        publish_guest(guests.write(tmp_path / "main.wasm", guests.ECHO), f"{tmp_path}/")


def test_other_objects_beside_the_code_are_ignored(registry: str, tmp_path: Path) -> None:
    uri = f"{registry}/mixed.wasm"
    published = publish(tmp_path, uri)
    publish(tmp_path, f"{uri}.code/notes.wasm", guests.TRAP)
    found = find_guest(uri)
    assert found is not None
    assert found.codes == published.codes


def test_the_uri_of_code_names_what_it_is_for() -> None:
    place = code_uri("s3://bucket/main.wasm", compiler="wasmtime-50.0.1-1", cpu="arm", kind="core")
    assert place == "s3://bucket/main.wasm.code/wasmtime-50.0.1-1/arm/core.cwasm"
    assert GuestCode("a", "b", "core", place, "c" * 64).uri == place
