"""Loads a guest: its compiled code for this process if the revision pins one, otherwise the guest, which is compiled.

codes in the settings ──► the one with this process' key ──► pulled, verified, mapped ──► Guest
                              │ none, or it cannot be used
                              └──► the guest itself: pulled, verified, compiled ──► Guest
"""

import logging
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from runtime.artifacts.fetch import Artifact, fetch_file
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import parse_uri
from runtime.configuration.guest_folders import PROTECTED, conflict
from runtime.errors import BadSetting, FunctionFailed, ModelUnavailable
from runtime.frontends.functions.loading import Loaded
from runtime.frontends.wasm.application import GuestApplication
from runtime.settings import Settings
from runtime.wasm import Access, Limits

if TYPE_CHECKING:
    from runtime.wasm.code import Code
    from runtime.wasm.linking import Extensions

_log: Final = logging.getLogger("scalezero.function")


def load(settings: Settings, *, extensions: "Extensions" = ()) -> Loaded:
    """Pull, compile and check the guest. Blocks. Raises `FunctionFailed`, which has no folder; the cause is logged.

    `extensions` are the host functions beside WASI's, such as inference.
    """
    uri = str(settings.guest_uri)
    name = name_of(uri)
    try:
        return _load(uri, name, settings, extensions)
    except Exception as error:
        failed = error if isinstance(error, FunctionFailed) else FunctionFailed(name, type(error).__name__)
        facts = {"code": failed.code, "reason": failed.message, "source": uri}
        _log.error("function not loaded", exc_info=failed.__cause__ or error, extra=facts)
        if failed is error:
            raise
        raise failed from error


def name_of(uri: str) -> str:
    """Return the name of a guest's file, which is its first argument. Raises `BadSetting` for an invalid URI."""
    place = parse_uri(uri)
    return place.name if isinstance(place, Path) else PurePosixPath(place.key).name


def _load(uri: str, name: str, settings: Settings, extensions: "Extensions") -> Loaded:
    try:
        from runtime.wasm.guest import Guest
    except ImportError as error:
        allowed = "it needs the package wasmtime, which pip install 'scalezero[wasm]' adds"
        raise FunctionFailed(name, allowed) from error
    code = _pinned_code(name, settings) or _compiled(uri, name, settings)
    limits = Limits(settings.function_timeout, settings.guest_memory, settings.guest_output)
    guest = Guest(code, limits, access=_access(name, settings), extensions=extensions)
    if settings.guest_network and guest.is_core_module:
        _log.warning("the guest is a core module, which can use no network: WASI preview 1 opens no sockets")
    return Loaded(GuestApplication(guest, name), takes_events=False)


def _access(name: str, settings: Settings) -> Access:
    """Return what the guest reaches. Raises `FunctionFailed` for a folder that leads to a protected one by a link."""
    protected = [os.path.realpath(each) for each in (*PROTECTED, settings.cache_dir)]
    for each in settings.guest_folders:
        if conflict(os.path.realpath(each.path), protected):
            reason = (
                f"its folder {each.guest_path} contains the cache or a system folder, or is in one; see docs/wasm.md"
            )
            raise FunctionFailed(name, reason)
    return Access(settings.guest_folders, settings.guest_network)


def _pinned_code(name: str, settings: Settings) -> "Code | None":
    """Return the pinned code for this process; None: there is none that can be used, which is logged."""
    if not settings.guest_code:
        return None
    from runtime.wasm.binary import Kind
    from runtime.wasm.code import StaleCode, load_code
    from runtime.wasm.engine import code_key

    key = code_key()
    pinned = next((each for each in settings.guest_code if (each.compiler, each.cpu) == key), None)
    if pinned is None:
        _log.warning("no compiled code of the guest fits; it is compiled", extra={"compiler": key[0], "cpu": key[1]})
        return None
    try:
        path = _pull(pinned.uri, pinned.sha256, settings).path
        return load_code(path, kind=Kind[pinned.kind.upper()], name=name)
    except (BadSetting, ModelUnavailable, StaleCode) as error:
        facts = {"uri": pinned.uri, "reason": str(error)}
        _log.warning("the compiled code of the guest cannot be used; it is compiled", extra=facts)
        return None


def _compiled(uri: str, name: str, settings: Settings) -> "Code":
    from runtime.wasm.code import compile_code

    try:
        binary = _pull(uri, settings.guest_sha256, settings).path.read_bytes()
    except (BadSetting, ModelUnavailable) as error:
        raise FunctionFailed(name, error.message) from error
    except OSError as error:
        raise FunctionFailed(name, f"it cannot be read: {error.strerror}") from error
    return compile_code(binary, name=name)


def _pull(uri: str, sha256: str | None, settings: Settings) -> Artifact:
    policy = PullPolicy(
        stall_timeout=settings.stall_timeout, deadline=settings.load_timeout, max_bytes=settings.max_artifact_bytes
    )
    return fetch_file(uri, cache_dir=settings.cache_dir, sha256=sha256, policy=policy)
