"""A guest as a WSGI application: `FunctionHost` admits its calls, runs them on threads and sends their responses."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runtime.errors import GuestAnswerInvalid, InvalidAnswer
from runtime.frontends.wasm import cgi

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from runtime.wasm.guest import Guest


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
        headers = list(answer.headers)
        if answer.body and not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(answer.body))))  # without it, the body is sent in chunks
        try:
            start_response(str(answer.status), headers)
        except InvalidAnswer as error:  # a header that HTTP cannot send
            raise GuestAnswerInvalid(**error.details) from error  # type: ignore[arg-type] # they are its arguments
        return [answer.body]
