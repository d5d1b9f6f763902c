"""One call of the author's function: the application runs on a thread, the event loop sends its response.

    thread   run: application -> head, pieces -> _write -> _enqueue, which waits while the client does not read
    loop     answer: pieces -> send; _check: whether the call exceeds its time limit

The limit is the longest time without output: until the first piece of the response, and between two pieces. The time
that a piece waits for the client does not count, so a response may stream for any time in total.
"""

import asyncio
import logging
import math
import sys
from collections import deque
from contextlib import suppress
from threading import Semaphore, get_ident
from time import perf_counter
from traceback import format_stack
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import (
    FunctionCrashed,
    FunctionTimedOut,
    GuestAnswerInvalid,
    GuestCrashed,
    RequestError,
    ScalezeroError,
)
from runtime.frontends.functions.request import ClientDisconnected
from runtime.frontends.functions.wsgi import Body, Head, Part, head
from runtime.http.asgi import Message, Send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import WSGIApplication, WSGIEnvironment

_log: Final = logging.getLogger("scalezero.function")
_ERRORS_OF_GUESTS: Final = (FunctionTimedOut, GuestAnswerInvalid, GuestCrashed)
_SLICE: Final = 2**20  # bytes
_MAX_PENDING: Final = 2  # pieces that may wait to be sent while the function produces the next one


class AnswerAborted(Exception):
    """The response failed after its head was sent, so the connection or stream must be aborted. The cause is logged."""


class Call:
    """One call; created and answered on the event loop, run on another thread."""

    def __init__(self, application: "WSGIApplication", environ: "WSGIEnvironment", *, limit: float) -> None:
        """Start the time limit. `limit` is in seconds."""
        self.timed_out = False  # the call has exceeded its limit and has not returned yet
        self._application = application
        self._environ = environ
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._thread: int | None = None
        self._head: Head | None = None
        self._body: Body | None = None
        self._slots = Semaphore(_MAX_PENDING)
        self._closed = False  # no more of the response is needed
        self._parts: deque[Part | ScalezeroError] = deque()
        self._wakeup: asyncio.Future[None] | None = None
        self._timed_out_at = math.inf
        self._began = self._since = perf_counter()  # `_since` is inf while the response waits for the client
        self._timer = self._loop.call_later(limit, self._check)

    @property
    def seconds(self) -> float:
        """The time since the call began, in seconds."""
        return perf_counter() - self._began

    @property
    def overdue(self) -> float:
        """The time since the call has exceeded its limit, in seconds; negative if it has not, or has ended."""
        return perf_counter() - self._timed_out_at if self.timed_out else -math.inf

    @property
    def method(self) -> str:
        """The request's method."""
        return str(self._environ["REQUEST_METHOD"])

    def frame(self) -> FrameType | None:
        """Return the current frame of the call's thread. Valid only while the call runs."""
        return sys._current_frames().get(self._thread) if self._thread else None  # noqa: SLF001 - documented, for this

    # On the event loop.

    async def answer(self, send: Send, disconnected: "asyncio.Future[None]") -> None:
        """Send the response of the call until its end; `disconnected` is done once the client has disconnected.

        Raises `ClientDisconnected`. Before the head is sent, raises `FunctionCrashed`, `FunctionTimedOut` or
        `InvalidAnswer`; after that, raises `AnswerAborted` instead of them. The call itself may continue: see `ended`.
        """
        disconnected.add_done_callback(self._wake)
        started = False
        try:
            while True:
                part = await self._next(disconnected)
                if not started:
                    assert self._head is not None  # noqa: S101 - set before the first part
                    started = True
                    headers = self._head.headers
                    await send({"type": "http.response.start", "status": self._head.status, "headers": headers})
                for message in _messages(part):
                    await send(message)
                if not part.more:
                    return
                self._slots.release()
        except ScalezeroError as error:
            if started:
                raise AnswerAborted from error
            raise
        finally:
            self._closed = True
            self._slots.release()
            disconnected.remove_done_callback(self._wake)

    def ended(self) -> None:
        """Stop the time limit: the thread has returned."""
        self.timed_out = False
        self._timer.cancel()

    async def _next(self, disconnected: "asyncio.Future[None]") -> Part:
        while True:
            if disconnected.done():
                raise ClientDisconnected
            if self._parts:
                part = self._parts.popleft()
                if isinstance(part, ScalezeroError):
                    raise part
                return part
            if self.timed_out:
                raise FunctionTimedOut("this call of the function", limit=self._limit)
            self._wakeup = self._loop.create_future()
            await self._wakeup

    def _wake(self, _: object = None) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def _check(self) -> None:
        remaining = self._since + self._limit - perf_counter()
        if remaining > 0:
            self._timer = self._loop.call_later(min(remaining, self._limit), self._check)
            return
        self.timed_out, self._timed_out_at = True, perf_counter()
        frame = self.frame()
        facts = {"timeout_seconds": self._limit, "stack": "".join(format_stack(frame)) if frame else None}
        _log.error("function call exceeds its time limit", extra={**self._facts(), **facts})
        self._wake()

    # On the thread.

    def run(self) -> None:
        """Run the application, and pass its response or its exception to `answer`."""
        self._thread = get_ident()
        try:
            self._produce()
        except BaseException as error:  # noqa: BLE001 - SystemExit and the like are the author's errors too
            self._log_failure(error)
            self._pass(error if isinstance(error, ScalezeroError) else FunctionCrashed(error))

    def _produce(self) -> None:
        pieces: Iterable[bytes] = self._application(self._environ, self._start)
        try:
            for piece in pieces:
                if self._closed:
                    return
                self._write(piece)
            self._end()
        finally:
            close = getattr(pieces, "close", None)
            if close:
                close()

    def _start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Any = None,  # noqa: ANN401 - as in PEP 3333
    ) -> "Callable[[bytes], object]":
        """Implement WSGI's `start_response`. Raises `InvalidAnswer` for a head that cannot be sent."""
        if self._head is not None and exc_info is None:
            raise RuntimeError("start_response was called twice")
        self._head = head(self.method, status, headers)
        self._body = Body(self._head.length)
        return self._write

    def _write(self, piece: object) -> None:
        if self._body is None:
            raise RuntimeError("the application returned a piece of the body before it called start_response")
        self._enqueue(self._body.add(piece))

    def _end(self) -> None:
        if self._body is None:
            raise RuntimeError("the application returned without a call of start_response")
        self._enqueue(self._body.end())

    def _enqueue(self, part: Part | None) -> None:
        if part is None:
            return
        self._since = math.inf
        self._slots.acquire()
        self._since = perf_counter()
        if not self._closed:
            self._pass(part)

    def _pass(self, part: Part | ScalezeroError) -> None:
        self._parts.append(part)
        with suppress(RuntimeError):  # the loop is closed: the process is ending
            self._loop.call_soon_threadsafe(self._wake)

    def _log_failure(self, error: BaseException) -> None:
        """Log an error of the function, with a traceback only if that shows the author's code."""
        if isinstance(error, RequestError):  # an error of the client, which the access log has
            return
        if isinstance(error, _ERRORS_OF_GUESTS):
            facts = {"code": error.code, "reason": error.message, "cause": _root_cause(error)}
            _log.error("function failed", extra={**self._facts(), **facts})
        else:
            _log.error("function failed", exc_info=error, extra=self._facts())

    def _facts(self) -> dict[str, object]:
        return {"method": self.method, "path": self._environ["PATH_INFO"]}


def _root_cause(error: BaseException) -> str | None:
    """Return the text of the first cause, such as the functions of a guest that was stopped; None: there is none."""
    cause = error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    return None if cause is None else str(cause)


def _messages(part: Part) -> "Iterator[Message]":
    """Return the ASGI messages of a part. A large part is split, because the server copies each message at once."""
    body, more = part
    for start in range(0, max(len(body), 1), _SLICE):
        end = start + _SLICE
        yield {"type": "http.response.body", "body": body[start:end], "more_body": more or end < len(body)}
