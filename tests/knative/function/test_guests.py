"""The guest of a folder is published to the place that its resources name, and pinned from there."""

from pathlib import Path

import pytest

from knative.function.configuration import Flags
from knative.function.guests import changed_guest, guest_uris, publish_guests, sha256_of
from knative.function.pins import pins_of
from knative.function.project import load
from knative.function.publishing import plan_function, publish_function
from knative.manifests import Pin
from knative.resources import BadManifest
from runtime.errors import BadSetting, StoreUnreachable
from runtime.registry import AlreadyPublished, PublishedGuest, find, find_guest, publish, publish_guest
from runtime.wasm.engine import CodeKey, code_key
from tests import guests, models
from tests.knative.documents import read, version
from tests.knative.resources.test_guest import CONFIG
from tests.s3_server import S3Server

FUNCTION = "specVersion: 0.36.0\nname: shop\ncreated: 2026-11-23T00:00:00Z\n"


def declared(uri: str) -> str:
    return CONFIG.replace("GUEST", f"{{path: {uri}}}")


@pytest.fixture
def place(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return a prefix in a real registry."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("functions")
    return f"s3://functions/{tmp_path.name}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / ".git").mkdir()  # the search for func.yaml ends here
    guests.write(folder / "main.wasm", guests.ECHO)
    return folder


def test_the_guest_of_a_folder_is_published_with_its_models_and_pinned(place: str, folder: Path) -> None:
    model, guest = f"{place}/m.onnx", f"{place}/main.wasm"
    publish(models.identity(folder / "m.onnx"), model, metadata={})
    (folder / "model.yaml").write_text(version("shop-v1", "shop", path=model) + declared(guest))
    (planned,) = (str(each) for each in plan_function(folder) if "main.wasm" in str(each))
    assert planned == f"main.wasm: upload  {guest}, with its compiled code"
    lines: list[str] = []
    for _ in range(2):
        publish_function(folder, only_missing=True, report=lines.append)
    assert [line for line in lines if "main.wasm" in line] == [
        f"main.wasm: published to {guest}",
        f"main.wasm: already at {guest}",
    ]
    found = find_guest(guest)
    (planned,) = (str(each) for each in plan_function(folder) if "main.wasm" in str(each))
    assert planned.startswith(f"main.wasm: exists  {guest}, sha256 ")
    assert found is not None
    pins = pins_of(load((folder,), Flags(), environ={}).resources, find, report=pytest.fail)
    assert pins[guest] == Pin(found.sha256, codes=found.codes)
    assert found.codes


ARM = CodeKey("wasmtime-50.0.1-1", "arm-i8mm")


def test_a_publisher_on_another_machine_adds_its_code_and_the_deploy_pins_all(place: str, folder: Path) -> None:
    model, guest = f"{place}/m.onnx", f"{place}/main.wasm"
    publish(models.identity(folder / "m.onnx"), model, metadata={})
    (folder / "model.yaml").write_text(version("shop-v1", "shop", path=model) + declared(guest))
    first = publish_guest(folder / "main.wasm", guest, key=ARM)
    (planned,) = (str(each) for each in plan_function(folder) if "main.wasm" in str(each))
    assert planned.endswith(f"; its code for {code_key().cpu} ({code_key().compiler}) is added")
    lines: list[str] = []
    publish_function(folder, only_missing=True, report=lines.append)
    assert lines[0] == f"main.wasm: already at {guest}; its code for {code_key().cpu} was added"
    pins = pins_of(load((folder,), Flags(), environ={}).resources, find, report=pytest.fail)
    assert {each[:2] for each in pins[guest].codes} == {ARM, code_key()}
    assert first.codes[0] in pins[guest].codes
    assert pins[guest].sha256 == first.sha256


def test_code_is_added_without_the_file_of_the_guest(place: str, folder: Path) -> None:
    uri = f"{place}/main.wasm"
    publish_guest(folder / "main.wasm", uri, key=ARM)
    (folder / "main.wasm").unlink()
    resources = read(version("shop-v1", "shop"), declared(uri))
    lines: list[str] = []
    assert publish_guests(resources, folder, report=lines.append)
    assert lines == [f"main.wasm: already at {uri}; its code for {code_key().cpu} was added"]
    assert not publish_guests(resources, folder, report=lines.append)


def test_code_that_cannot_be_added_does_not_stop_a_deploy(place: str, folder: Path, s3: S3Server) -> None:
    """The pods compile the guest. Here it has no recorded digest, as another tool wrote it."""
    uri = f"{place}/main.wasm"
    s3.put(uri, (folder / "main.wasm").read_bytes())
    (folder / "main.wasm").unlink()
    lines: list[str] = []
    assert not publish_guests(read(version("shop-v1", "shop"), declared(uri)), folder, report=lines.append)
    assert lines[0].startswith("main.wasm: its code for this machine was not added, so pods of its CPU class compile")
    assert lines[1:] == [f"main.wasm: already at {uri}"]


def test_a_guest_that_changed_in_the_folder_is_refused_with_the_next_step(place: str, folder: Path) -> None:
    model, guest = f"{place}/m.onnx", f"{place}/main.wasm"
    publish(models.identity(folder / "m.onnx"), model, metadata={})
    (folder / "model.yaml").write_text(version("shop-v1", "shop", path=model) + declared(guest))
    publish_function(folder, only_missing=True, report=lambda _: None)
    guests.write(folder / "main.wasm", guests.TRAP)
    (planned,) = (str(each) for each in plan_function(folder) if "main.wasm: " in str(each))
    assert planned.startswith(f"main.wasm: refuse  {guest}, as the main.wasm of the folder (SHA-256 ")
    step = "set guest.path of the InferenceConfig to an unused URI, and declare another ModelVersion"
    assert step in planned
    with pytest.raises(AlreadyPublished, match=f"A published version is immutable: {step}"):
        publish_function(folder, only_missing=True, report=lambda _: None)


def test_guests_are_compared_only_by_known_digests(tmp_path: Path) -> None:
    assert changed_guest("u", published="1", here="1") is None
    assert changed_guest("u", published=None, here="1") is None
    assert changed_guest("u", published="1", here=sha256_of(None)) is None
    assert sha256_of(tmp_path / "none.wasm") is None
    text = changed_guest("u", published="1", here="2")
    assert text == "the main.wasm of the folder (SHA-256 2) is not the guest at u (SHA-256 1), which pods run"


def test_a_dry_run_refuses_a_guest_that_is_nowhere(place: str, tmp_path: Path) -> None:
    model = f"{place}/n.onnx"
    publish(models.identity(tmp_path / "m.onnx"), model, metadata={})
    (tmp_path / "model.yaml").write_text(version("shop-v1", "shop", path=model) + declared(f"{place}/none.wasm"))
    (planned,) = (str(each) for each in plan_function(tmp_path) if "main.wasm" in str(each))
    assert planned == f"main.wasm: refuse  {place}/none.wasm, as there is no main.wasm"


def test_a_published_guest_needs_no_file(place: str, folder: Path) -> None:
    resources = read(version("shop-v1", "shop"), declared(f"{place}/main.wasm"))
    assert publish_guests(resources, folder, report=lambda _: None)
    (folder / "main.wasm").unlink()
    lines: list[str] = []
    assert not publish_guests(resources, folder, report=lines.append)
    assert lines == [f"main.wasm: already at {place}/main.wasm"]


def test_a_guest_that_is_nowhere_is_an_error(place: str, tmp_path: Path) -> None:
    resources = read(version("shop-v1", "shop"), declared(f"{place}/none.wasm"))
    with pytest.raises(BadSetting, match=r"guest\.path=.*none\.wasm': expected a published guest, or a main\.wasm in"):
        publish_guests(resources, tmp_path, report=pytest.fail)


def test_without_a_guest_nothing_is_published(folder: Path) -> None:
    assert not publish_guests(read(version("shop-v1", "shop")), folder, report=pytest.fail)


def test_a_registry_that_cannot_be_read_pins_no_guest() -> None:
    def unreachable(uri: str) -> PublishedGuest | None:
        raise StoreUnreachable(uri, "connection refused")

    reports: list[str] = []
    resources = read(version("shop-v1", "shop"), declared("s3://models/main.wasm"))
    assert pins_of(resources, lambda _: None, guests=unreachable, report=reports.append) == {}
    assert "the guest is not pinned to its digest" in reports[0]
    assert pins_of(resources, lambda _: None, guests=lambda _: None, report=pytest.fail) == {}


def test_a_guest_without_a_place_is_an_error_of_the_files(folder: Path) -> None:
    (folder / "model.yaml").write_text(version("shop-v1", "shop"))
    with pytest.raises(BadManifest, match=r"main\.wasm: .*a guest without a place in the registry; expected guest: "):
        load((folder,), Flags(), environ={}).require_valid()


@pytest.mark.parametrize("with_guest_file", [True, False])
def test_two_functions_are_an_error_of_the_files(folder: Path, *, with_guest_file: bool) -> None:
    (folder / "model.yaml").write_text(version("shop-v1", "shop") + declared("s3://models/main.wasm"))
    (folder / "main.py").touch()
    if not with_guest_file:
        (folder / "main.wasm").unlink()
    with pytest.raises(BadManifest, match=r"a second function beside .*; expected one of them"):
        load((folder,), Flags(), environ={}).require_valid()


def test_a_folder_with_a_guest_is_valid_and_serves_several_models(folder: Path) -> None:
    text = version("shop-v1", "shop") + version("reader-v1", "reader") + declared("s3://models/main.wasm")
    (folder / "model.yaml").write_text(text)
    (folder / "func.yaml").write_text(FUNCTION)
    project = load((folder,), Flags(), environ={})
    project.require_valid()
    assert project.resources.services == ("shop",)
    assert guest_uris(project.resources) == ("s3://models/main.wasm",)
