"""Publishes a WebAssembly guest with its compiled code, and finds what is published.

    GUEST                                  the guest
    GUEST.code/COMPILER/CPU/KIND.cwasm     its compiled code for one version of wasmtime and one CPU class

The objects never change, as models do not. A publisher adds the code for its own CPU class; a process of another class
compiles the guest.
"""

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from runtime.artifacts.cache import hash_file
from runtime.artifacts.upload import FileUpload
from runtime.configuration.guest_code import KINDS, GuestCode, GuestCodes
from runtime.errors import ArtifactMissing, FunctionFailed
from runtime.published.objects import Objects, full_uri
from runtime.registry.files import AlreadyPublished, PlannedFile, Published, check_destination, find, send
from runtime.registry.making import Tell

_CODE: Final = ".code/"
_PLACE: Final = re.compile(rf"(?P<compiler>[^/]+)/(?P<cpu>[^/]+)/(?P<kind>{'|'.join(KINDS)})\.cwasm")


class PublishedGuest(NamedTuple):
    """A guest in the registry."""

    uri: str
    sha256: str | None  # lower-case hex; None: not recorded
    version_id: str | None = None  # of the object; None: the bucket keeps no versions
    codes: GuestCodes = GuestCodes()
    uploaded: bool = False  # by this call: the guest or a code


def publish_guest(path: Path, uri: str, *, tell: Tell = print) -> PublishedGuest:
    """Publish the guest and its compiled code for this machine. Does nothing if both are published.

    `tell` gets a line if the code cannot be compiled, because wasmtime is not installed. Raises `AlreadyPublished` if
    the URI has another guest, `FunctionFailed` for a file that is no guest, `BadSetting` for an invalid URI, and
    `ModelUnavailable` errors.
    """
    check_destination(uri, {})
    if not path.is_file():
        raise ArtifactMissing(uri, f"nothing to publish: no such file: {path}")
    guest = _planned(path, uri)
    guest.check()
    with TemporaryDirectory(prefix="scalezero-guest-") as folder:
        code = _code_of(path, uri, Path(folder), tell=tell)  # first: a file that is no guest is not published
        uploaded = send([guest])
        if code is not None:
            uploaded |= _send_code(code)
    published = find_guest(uri)
    if published is None:
        raise ArtifactMissing(uri, "it was deleted while it was published; publish again")
    return published._replace(uploaded=uploaded)


def find_guest(uri: str, *, lookup: Callable[[str], Published | None] = find) -> PublishedGuest | None:
    """Return what is published about the guest at a URI; None: there is no guest. Raises as `find`."""
    found = lookup(uri)
    if found is None:
        return None
    prefix = full_uri(uri.partition("?")[0]) + _CODE
    codes = (_code_at(place, prefix, lookup) for place in sorted(Objects(uri).list(prefix)))
    return PublishedGuest(uri, found.sha256, found.version_id, GuestCodes(each for each in codes if each))


def code_uri(uri: str, *, compiler: str, cpu: str, kind: str) -> str:
    """Return the URI of a guest's code."""
    return f"{full_uri(uri)}{_CODE}{compiler}/{cpu}/{kind}.cwasm"


def _code_at(place: str, prefix: str, lookup: Callable[[str], Published | None]) -> GuestCode | None:
    parts = _PLACE.fullmatch(place.removeprefix(prefix))
    found = lookup(place) if parts else None
    if parts is None or found is None or found.sha256 is None:
        return None
    return GuestCode(**parts.groupdict(), uri=place, sha256=found.sha256)


def _code_of(path: Path, uri: str, folder: Path, *, tell: Tell) -> PlannedFile | None:
    """Compile the guest unless its code is published. Return None if there is nothing to publish."""
    from runtime.wasm.binary import kind_of

    binary = path.read_bytes()
    try:
        kind = kind_of(binary)
    except ValueError as error:
        raise FunctionFailed(path.name, str(error)) from error
    try:
        from runtime.wasm.code import compile_code, serialize
        from runtime.wasm.engine import code_key
    except ImportError:
        tell(f"{path.name}: its code was not compiled, so each pod compiles it; pip install 'scalezero[wasm]'")
        return None
    key = code_key()
    place = code_uri(uri, compiler=key.compiler, cpu=key.cpu, kind=kind.name.lower())
    if find(place) is not None:
        return None
    compiled = folder / "code"
    compiled.write_bytes(serialize(compile_code(binary, name=path.name)))
    return _planned(compiled, place)


def _planned(path: Path, uri: str) -> PlannedFile:
    return PlannedFile(FileUpload(path=path, uri=uri, sha256=hash_file(path)), path.stat().st_size, find(uri))


def _send_code(file: PlannedFile) -> bool:
    try:
        return send([file])
    except AlreadyPublished:  # another publisher of the same guest was faster; any code of it will do
        return False
