"""A guest as a WSGI application: `FunctionHost` admits its calls, runs them on threads and sends their responses."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.errors import FunctionFailed, GuestAnswerInvalid, InvalidAnswer
from runtime.frontends.functions.loading import Loaded
from runtime.frontends.wasm import cgi
from runtime.wasm import Limits

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from runtime.wasm.guest import Guest
    from runtime.wasm.linking import Extensions

_log: Final = logging.getLogger("scalezero.function")


class GuestApplication:
    """Answers each request with a fresh instance of the guest. May be called on several threads at once."""

    def __init__(self, guest: "Guest", name: str) -> None:
        """`name` is the first argument of each call."""
        self._guest = guest
        self._name = name

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request. Raises `InvalidInput`, `GuestAnswerInvalid`, and what `Guest.run` raises."""
        from runtime.wasm.guest import Call

        call = Call(cgi.arguments(self._name, environ), cgi.variables(environ), environ["wsgi.input"].read())
        answer = cgi.response(self._guest.run(call), method=environ["REQUEST_METHOD"])
        try:
            start_response(str(answer.status), list(answer.headers))
        except InvalidAnswer as error:  # a header that HTTP cannot send
            raise GuestAnswerInvalid(**error.details) from error  # type: ignore[arg-type] # they are its arguments
        return [answer.body]


def load(source: Path, limits: Limits, *, extensions: "Extensions" = ()) -> Loaded:
    """Compile the guest in the file. Blocks. Raises `FunctionFailed`, which has no folder; the cause is logged."""
    try:
        return _load(source, limits, extensions)
    except FunctionFailed as error:
        facts = {"code": error.code, "reason": error.message, "source": str(source)}
        _log.error("function not loaded", exc_info=error.__cause__, extra=facts)
        raise


def _load(source: Path, limits: Limits, extensions: "Extensions") -> Loaded:
    try:
        from runtime.wasm.code import compile_code
        from runtime.wasm.guest import Guest
    except ImportError as error:
        allowed = "it needs the package wasmtime, which pip install 'scalezero[wasm]' adds"
        raise FunctionFailed(source.name, allowed) from error
    try:
        binary = source.read_bytes()
    except OSError as error:
        raise FunctionFailed(source.name, f"it cannot be read: {error.strerror}") from error
    guest = Guest(compile_code(binary, name=source.name), limits, extensions=extensions)
    return Loaded(GuestApplication(guest, source.name), takes_events=False)
