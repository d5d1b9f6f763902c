"""A guest is published once, with its compiled code, and loaded from there, verified."""

import logging
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from runtime.configuration.guest_code import GuestCodes
from runtime.errors import ArtifactMissing, BadSetting, DigestMismatch, FunctionFailed
from runtime.frontends.wasm.loading import load
from runtime.registry import AlreadyPublished
from runtime.registry.files import delete
from runtime.registry.guests import (
    CodeLeft,
    CodeUnusable,
    PublishedGuest,
    add_code,
    find_guest,
    missing_code,
    publish_guest,
)
from runtime.settings import Settings
from runtime.wasm.engine import CodeKey, code_key
from runtime.wasm.linking import Extension
from tests import guests
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.s3_server import S3Server


@pytest.fixture(params=["s3", "folder"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the place of a registry: in S3, or a folder."""
    if request.param == "folder":
        return str(tmp_path / "registry")
    uri: str = request.getfixturevalue("s3_registry")
    return uri


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


def test_without_wasmtime_only_the_guest_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, uri = guests.write(tmp_path / "main.wasm", guests.ECHO), str(tmp_path / "registry" / "a.wasm")
    lines: list[str] = []
    text = tmp_path / "text.wasm"
    text.write_text("(module)")
    monkeypatch.setitem(sys.modules, "runtime.wasm.engine", None)  # as if its import of wasmtime failed
    published = publish_guest(path, uri, tell=lines.append)
    assert (published.uploaded, published.codes) == (True, ())
    assert lines == ["main.wasm: its code was not compiled, so each pod compiles it; pip install 'scalezero[wasm]'"]
    assert missing_code(uri) is None
    with pytest.raises(FunctionFailed, match="text format"):
        publish_guest(text, str(tmp_path / "registry" / "b.wasm"), tell=lines.append)


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


ARM = CodeKey("wasmtime-50.0.1-1", "arm-i8mm")


def test_a_publisher_on_another_machine_adds_its_code_and_changes_nothing_else(registry: str, tmp_path: Path) -> None:
    uri = f"{registry}/two.wasm"
    first = publish(tmp_path, uri)
    both = publish_guest(tmp_path / "main.wasm", uri, key=ARM)
    assert both.uploaded
    assert both.sha256 == first.sha256
    assert first.codes[0] in both.codes
    assert {each[:2] for each in both.codes} == {code_key(), ARM}
    assert both.added_for == ARM.cpu
    assert find_guest(uri) == both._replace(uploaded=False, added_for=None)


def test_code_is_added_to_a_published_guest_without_its_file(registry: str, tmp_path: Path) -> None:
    uri = f"{registry}/added.wasm"
    first = publish(tmp_path, uri)
    (tmp_path / "main.wasm").unlink()
    added = add_code(uri, key=ARM)
    assert added.uploaded
    assert added.code[:3] == (*ARM, "core")
    found = find_guest(uri)
    assert found is not None
    assert set(found.codes) == {*first.codes, added.code}
    assert add_code(uri, key=ARM) == added._replace(uploaded=False)
    assert add_code(uri).code == first.codes[0]
    assert answer(settings_for(found, tmp_path)) == b"hello"


def test_the_code_that_a_publisher_here_would_add_is_known(registry: str, tmp_path: Path) -> None:
    uri = f"{registry}/lacking.wasm"
    assert missing_code(uri) is None, "there is no guest"
    publish_guest(guests.write(tmp_path / "main.wasm", guests.ECHO), uri, key=ARM)
    assert missing_code(uri) == code_key()
    add_code(uri)
    assert missing_code(uri) is None


def test_code_is_added_only_to_a_published_guest(registry: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"there is no such guest; scalezero publish FOLDER"):
        add_code(f"{registry}/none.wasm")
    with pytest.raises(BadSetting, match="without a version"):
        add_code("s3://guests/main.wasm?versionId=1")
    (tmp_path / "text.wasm").write_text("(module)")
    with pytest.raises(BadSetting, match=r"text\.wasm': expected a WebAssembly guest; scalezero publish FOLDER"):
        add_code(str(tmp_path / "text.wasm"))


def test_a_guest_is_not_published_beside_code_of_an_earlier_one(registry: str, tmp_path: Path) -> None:
    """Pods would run the code of the earlier guest in its place."""
    uri = f"{registry}/left.wasm"
    publish(tmp_path, uri)
    delete(uri)
    with pytest.raises(CodeLeft, match=r"code of an earlier one.*To delete it: scalezero models delete '.*left"):
        publish(tmp_path, uri, guests.TRAP)
    assert find_guest(uri) is None


def test_code_of_another_guest_is_neither_pinned_nor_taken_for_an_added_one(
    s3: S3Server, s3_registry: str, tmp_path: Path
) -> None:
    uri = f"{s3_registry}/foreign.wasm"
    (code,) = publish(tmp_path, uri).codes
    s3.put(code.uri, b"code", {"sha256": sha256(b"code").hexdigest(), "guest-sha256": "0" * 64})
    found = find_guest(uri)
    assert found is not None
    assert found.codes == ()
    with pytest.raises(CodeUnusable, match=r"it was compiled from another guest.*scalezero models delete '.*cwasm'"):
        add_code(uri)


def test_a_guest_without_a_recorded_digest_gets_no_code(s3: S3Server, s3_registry: str) -> None:
    uri = f"{s3_registry}/copied.wasm"
    s3.put(uri, guests.binary(guests.ECHO))
    with pytest.raises(BadSetting, match=r"expected a guest whose SHA-256 its publisher recorded"):
        add_code(uri)


def test_a_code_that_cannot_be_sent_leaves_a_published_guest_usable(
    s3: S3Server, s3_registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A deployer may have no permission to write; pods can compile the guest."""
    uri = f"{s3_registry}/kept.wasm"
    first = publish(tmp_path, uri)
    lines: list[str] = []
    with FaultyS3(s3.endpoint_url) as faulty:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty.endpoint_url)
        faulty.add(Fault(path=f"{ARM.cpu}/core.cwasm", skip=1, status=403, code="AccessDenied"))
        again = publish_guest(tmp_path / "main.wasm", uri, key=ARM, tell=lines.append)
    assert again == first._replace(uploaded=False)
    assert lines[0].startswith(
        "the code for this machine was not published, so pods of its CPU class compile the guest"
    )
