"""Publishes a WebAssembly guest with its compiled code, and finds what is published.

    guest ──► compiled ──► GUEST ──► GUEST.code/COMPILER/CPU/KIND.cwasm     publish_guest
    published GUEST ──► pulled ──► compiled ──► another code beside it      add_code

The objects never change, as models do not: code is only ever added. Each publisher adds the code for its own version of
wasmtime and its own CPU class; a process of another one compiles the guest.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.cache import hash_file
from runtime.artifacts.fetch import fetch_file
from runtime.artifacts.upload import FileUpload
from runtime.configuration.guest_code import GuestCode, GuestCodes
from runtime.errors import ArtifactMissing, BadSetting, FunctionFailed, ScalezeroError
from runtime.published.objects import refuse_version
from runtime.registry.describing import publisher
from runtime.registry.files import AlreadyPublished, PlannedFile, check_destination, find, send
from runtime.registry.guest_catalogue import (
    COMPILED_FROM,
    PUBLISHED_AT,
    PUBLISHED_BY,
    GuestEntry,
    StoredCode,
    read_guest,
)
from runtime.registry.guest_places import code_uri
from runtime.registry.making import Tell
from runtime.variants.provenance import timestamp
from runtime.wasm.binary import kind_of

if TYPE_CHECKING:
    from runtime.wasm.engine import CodeKey

CHANGED_STEP: Final = "set guest.path of the InferenceConfig to an unused URI, and declare another ModelVersion"
_STEP: Final = "scalezero publish FOLDER publishes the main.wasm of a function's folder"


class PublishedGuest(NamedTuple):
    """A guest in the registry."""

    uri: str
    sha256: str | None  # lower-case hex; None: not recorded
    version_id: str | None = None  # of the object; None: the bucket keeps no versions
    codes: GuestCodes = GuestCodes()
    uploaded: bool = False  # by this call: the guest or a code
    added_for: str | None = None  # the CPU class of the code that this call added to a guest that existed


class AddedCode(NamedTuple):
    """The compiled code of a published guest for this machine."""

    code: GuestCode
    size: int  # bytes
    uploaded: bool  # by this call; False: the registry had it


class CodeLeft(ScalezeroError):
    """The URI has compiled code of an earlier guest, which was deleted without it."""

    code = "guest_code_left"

    def __init__(self, uri: str, codes: tuple[StoredCode, ...]) -> None:
        places = [each.uri for each in codes]
        super().__init__(
            f"{uri}: there is no guest, but compiled code of an earlier one, which pods would run in its place: "
            f"{', '.join(places)}. To delete it: scalezero models delete '{uri}'",
            uri=uri,
            codes=places,
        )


class CodeUnusable(ScalezeroError):
    """The place of a compiled code has another object, which no deploy pins."""

    code = "guest_code_unusable"

    def __init__(self, code: StoredCode) -> None:
        super().__init__(
            f"{code.uri}: {code.problem}, so no deploy pins it. To replace it: scalezero models delete '{code.uri}', "
            "then compile again",
            uri=code.uri,
            reason=code.problem,
        )


def publish_guest(path: Path, uri: str, *, tell: Tell = print, key: "CodeKey | None" = None) -> PublishedGuest:
    """Publish the guest and its compiled code for this machine. Does nothing if both are published.

    `key` is what the code is valid for; None: this process. `tell` gets a line if there is no code, because wasmtime is
    not installed, or if the code of a guest that was published before cannot be sent.
    Raises `AlreadyPublished` if the URI has another guest, `CodeLeft`, `FunctionFailed` for a file that is no guest,
    `BadSetting` for an invalid URI, and `ModelUnavailable` errors.
    """
    check_destination(uri, {})
    if not path.is_file():
        raise ArtifactMissing(uri, f"nothing to publish: no such file: {path}")
    found, stated = read_guest(uri), _provenance()
    guest = _planned(path, uri, stated)
    if guest.existing and guest.is_new:
        raise AlreadyPublished(uri, existing=guest.existing.sha256, offered=guest.upload.sha256, step=CHANGED_STEP)
    if found.guest is None and found.codes:
        raise CodeLeft(uri, found.codes)
    binary = path.read_bytes()
    kind, key = _kind(binary, path.name), _key(path.name, key, tell=tell)
    place = None if key is None else _place(found, key, kind)
    with TemporaryDirectory(prefix="scalezero-guest-") as folder:
        code = None
        if place is not None and not found.has(place):  # first: a file that is no guest is not published
            metadata = {**stated, COMPILED_FROM: guest.upload.sha256}
            code = _planned(_compiled(binary, path.name, Path(folder)), place, metadata)
        is_new = send([guest])
        has_code = code is not None and (_send_code(code) if is_new else _try_to_send(code, tell))
    published = find_guest(uri)
    if published is None:
        raise ArtifactMissing(uri, "it was deleted while it was published; publish again")
    added_for = key.cpu if key and has_code and not is_new else None
    return published._replace(uploaded=is_new or has_code, added_for=added_for)


def add_code(uri: str, *, key: "CodeKey | None" = None) -> AddedCode:
    """Compile a published guest for this machine, and publish the code beside it. Does nothing if it is published.

    `key` is what the code is valid for; None: this process.
    Raises `ArtifactMissing` without a guest, `BadSetting` for an invalid URI, an object that is no guest, and one
    without a recorded digest, `CodeUnusable`, `FunctionFailed` for a guest that is not valid, ModuleNotFoundError
    without wasmtime, and `ModelUnavailable` errors.
    """
    from runtime.wasm.engine import code_key

    refuse_version(uri)
    found, name = read_guest(uri), uri.rpartition("/")[2]
    if found.guest is None:
        raise ArtifactMissing(uri, f"there is no such guest; {_STEP}")
    if found.guest.sha256 is None:
        raise BadSetting("GUEST", value=uri, allowed=f"a guest whose SHA-256 its publisher recorded; {_STEP}")
    if found.guest.kind is None:
        raise BadSetting("GUEST", value=uri, allowed=f"a WebAssembly guest; {_STEP}")
    place, uploaded = _place(found, key or code_key(), found.guest.kind), False
    if not found.has(place):
        with TemporaryDirectory(prefix="scalezero-guest-") as folder:
            path = fetch_file(uri, cache_dir=Path(folder) / "cache", sha256=found.guest.sha256).path
            metadata = {**_provenance(), COMPILED_FROM: found.guest.sha256}
            uploaded = _send_code(_planned(_compiled(path.read_bytes(), name, Path(folder)), place, metadata))
        found = read_guest(uri)
    added = next((each for each in found.codes if each.uri == place), None)
    if added is None:
        raise ArtifactMissing(place, "it was deleted while it was published; compile again")
    if added.code is None:
        raise CodeUnusable(added)
    return AddedCode(added.code, added.size, uploaded)


def find_guest(uri: str) -> PublishedGuest | None:
    """Return what is published about the guest at a URI; None: there is no guest.

    Code without a recorded digest, or of another guest, is left out. Raises as `read_guest`.
    """
    found = read_guest(uri)
    if found.guest is None:
        return None
    return PublishedGuest(uri, found.guest.sha256, found.guest.version_id, found.pinnable)


def missing_code(uri: str) -> "CodeKey | None":
    """Return what code a publisher on this machine would add to a published guest; None: none. Raises as `read_guest`.

    None also without wasmtime.
    """
    found, key = read_guest(uri), _key("", None, tell=lambda _: None)
    there = {(each.place.compiler, each.place.cpu) for each in found.codes}
    return None if key in there or found.guest is None else key


def _key(name: str, key: "CodeKey | None", *, tell: Tell) -> "CodeKey | None":
    """Return what code of this process is valid for; None: wasmtime is not installed, which is reported."""
    try:
        from runtime.wasm.engine import code_key
    except ImportError:
        tell(f"{name}: its code was not compiled, so each pod compiles it; pip install 'scalezero[wasm]'")
        return None
    return key or code_key()


def _kind(binary: bytes, name: str) -> str:
    try:
        return kind_of(binary).name.lower()
    except ValueError as error:
        raise FunctionFailed(name, str(error)) from error


def _place(found: GuestEntry, key: "CodeKey", kind: str) -> str:
    return code_uri(found.uri, compiler=key.compiler, cpu=key.cpu, kind=kind)


def _compiled(binary: bytes, name: str, folder: Path) -> Path:
    """Compile the guest to a file in the folder. Raises `FunctionFailed`."""
    from runtime.wasm.code import compile_code, serialize

    path = folder / "code"
    path.write_bytes(serialize(compile_code(binary, name=name)))
    return path


def _planned(path: Path, uri: str, metadata: Mapping[str, str]) -> PlannedFile:
    upload = FileUpload(path=path, uri=uri, sha256=hash_file(path), metadata=metadata)
    return PlannedFile(upload, path.stat().st_size, find(uri))


def _send_code(file: PlannedFile) -> bool:
    try:
        return send([file])
    except AlreadyPublished:  # another publisher of the same guest was faster; any code of it will do
        return False


def _try_to_send(file: PlannedFile, tell: Tell) -> bool:
    """Publish the code of a guest that was published before. A failure is reported: pods can compile the guest."""
    try:
        return _send_code(file)
    except ScalezeroError as error:
        tell(f"the code for this machine was not published, so pods of its CPU class compile the guest: {error}")
        return False


def _provenance() -> dict[str, str]:
    """Return when and by whom an object is published, as ASCII, because it becomes an HTTP header."""
    by = publisher(os.environ).encode("ascii", "replace").decode("ascii")
    return {PUBLISHED_AT: timestamp(datetime.now(UTC)), PUBLISHED_BY: by}
