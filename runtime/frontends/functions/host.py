"""Hosts the author's function: admits its calls, imports it, gives each call a thread and a limit, sends its answers.

The import starts behind that of the model: a function is imported while nothing better waits for the CPU. It runs on a
daemon thread of its own, so that neither an import nor a call holds up the end of the process.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import DeadlineExceeded, FunctionFailed, FunctionStuck, FunctionTimedOut, InvalidInput, QueueFull
from runtime.frontends.functions import loading, places
from runtime.frontends.functions.call import Call
from runtime.frontends.functions.request import CallerGone, FunctionRequest
from runtime.frontends.functions.threads import Threads
from runtime.frontends.functions.wsgi import environment
from runtime.http.asgi import Message, Send
from runtime.http.messages import Headers, with_headers

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

NAME: Final = "function"  # as the measurements call it
_ASCII: Final = 0x7F  # the last of it
_RETRY_AFTER: Final = 1  # seconds


class FunctionHost:
    """One HTTP function in the functions-framework sense, as an ASGI application."""

    def __init__(self, source: Path, target: str, *, threads: int, waiting: int, timeout: float, limit: float) -> None:
        """At most `threads` calls run at once and `waiting` more wait; the rest are refused with `QueueFull`.

        Who waited for a thread for `timeout` seconds gets `DeadlineExceeded`; the time of the import does not count.
        A call that makes no part of its answer for `limit` seconds is answered by `FunctionTimedOut`, and keeps its
        thread until it comes back.
        """
        self._source = source
        self._target = target
        self._count = threads
        self._most = threads + waiting
        self._timeout = timeout
        self._limit = limit
        self._waiting = 0
        self._running: set[Call] = set()
        self._free = asyncio.Semaphore(threads)
        self._threads = Threads(threads, name="function")
        self._import: asyncio.Future[WSGIApplication] | None = None
        self._failed: FunctionFailed | None = None

    @property
    def ready(self) -> bool:
        """Whether the function answers calls; where not, `error` says why, or is None while it is being imported."""
        return self._import is not None and self._import.done() and self.error is None

    @property
    def error(self) -> FunctionFailed | FunctionStuck | None:
        """Why no call can be answered: the import failed, or every thread is stuck."""
        return self._failed or self.stuck

    @property
    def stuck(self) -> FunctionStuck | None:
        """The reason to end this process: no thread is left that could take a call.

        Every thread holds a call that is past its limit. A thread cannot be ended, so only a new process helps.
        """
        if len(self._running) < self._count or not all(call.late for call in self._running):
            return None
        longest_first = sorted(self._running, key=lambda call: -call.seconds)
        return FunctionStuck([self._told(call) for call in longest_first], limit=self._limit)

    async def load(self) -> "WSGIApplication":
        """Import the function, once. Raises `FunctionFailed`, now and at every later call."""
        return await asyncio.shield(self._imported())

    async def preload(self) -> None:
        """Load before the first call. A failure makes readiness fail, and every caller gets it."""
        with suppress(FunctionFailed):  # the log has it
            await self.load()

    async def __call__(self, request: FunctionRequest, send: Send) -> None:
        """Answer one request by the author's function, once its body is there: a slow upload must not hold a thread.

        Raises what `FunctionHost` and `Call.answer` say.
        """
        _check_query(request.scope["query_string"])
        environ = environment(request.scope, await request.body())
        self._admit()
        left = asyncio.ensure_future(request.gone())
        try:
            call = await self._begin(environ, left)
            await call.answer(send, left)
        finally:
            left.cancel()

    def _admit(self) -> None:
        if stuck := self.stuck:
            raise stuck
        if self._waiting + len(self._running) >= self._most:
            raise QueueFull(limit=self._most - self._count, retry_after=_RETRY_AFTER)

    async def _begin(self, environ: "WSGIEnvironment", left: "asyncio.Future[None]") -> Call:
        self._waiting += 1
        try:
            application = await self._application(left)
            await self._turn(left)
        finally:
            self._waiting -= 1
        call = Call(application, environ, limit=self._limit)
        self._running.add(call)
        try:
            job = partial(copy_context().run, self._run, call, asyncio.get_running_loop())
            self._threads.run(job, busy=len(self._running) - 1)
        except RuntimeError:  # the process may start no more threads
            self._ended(call)
            raise
        return call

    def _run(self, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        """On a thread of the pool."""
        try:
            call.run()
        finally:
            _soon(loop, self._ended, call)

    def _ended(self, call: Call) -> None:
        call.ended()
        self._running.discard(call)
        self._free.release()

    async def _application(self, left: "asyncio.Future[None]") -> "WSGIApplication":
        """The imported function. Raises `CallerGone`, `FunctionFailed` and `FunctionTimedOut`."""
        imported = self._imported()
        if not imported.done():
            either: set[asyncio.Future[Any]] = {imported, left}
            await asyncio.wait(either, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
        if imported.done():
            return imported.result()
        if left.done():
            raise CallerGone
        raise FunctionTimedOut("the import of the function", limit=self._limit)

    async def _turn(self, left: "asyncio.Future[None]") -> None:
        """Wait for a free thread; the pool never gets a call that nobody waits for any more.

        Raises `CallerGone` and `DeadlineExceeded`.
        """
        if not self._free.locked() and not left.done():
            await self._free.acquire()  # at once
            return
        began = perf_counter()
        turn = asyncio.ensure_future(self._free.acquire())
        either: set[asyncio.Future[Any]] = {turn, left}
        taken = False
        try:
            await asyncio.wait(either, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            taken = turn.done() and not left.done()
        finally:
            if not taken and not turn.cancel():  # the turn came in the same moment: it is the next one's
                self._free.release()
        if left.done():
            raise CallerGone
        if not taken:
            raise DeadlineExceeded(waited=perf_counter() - began, timeout=self._timeout)

    def _imported(self) -> "asyncio.Future[WSGIApplication]":
        """The import, begun at the first call of this."""
        if self._import is None:
            loop = asyncio.get_running_loop()
            self._import = loop.create_future()
            self._import.add_done_callback(_seen)
            Thread(target=self._load, args=(loop,), name="function-import", daemon=True).start()
        return self._import

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        """On a thread of its own: an executor of asyncio's would be waited for at the end of the process."""
        try:
            application = loading.load(self._source, self._target)
        except FunctionFailed as error:
            _soon(loop, self._settle, error)
        else:
            _soon(loop, self._settle, application)

    def _settle(self, outcome: "WSGIApplication | FunctionFailed") -> None:
        assert self._import is not None  # noqa: S101 - it began this
        if isinstance(outcome, FunctionFailed):
            self._failed = outcome
            self._import.set_exception(outcome)
        else:
            self._import.set_result(outcome)

    def _told(self, call: Call) -> str:
        """Which call it is, without what its caller sent: other callers read this too."""
        frame = call.frame()
        line = places.line_of(frame, self._source.resolve().parent) if frame else None
        return f"{call.method} for {call.seconds:.0f} s" + (f" at {line}" if line else "")


def _soon(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> None:
    with suppress(RuntimeError):  # the loop is closed, as the process ends
        loop.call_soon_threadsafe(partial(callback, *arguments))


def _seen(attempt: "asyncio.Future[WSGIApplication]") -> None:
    """`error` and every caller report a failed import, so asyncio need not warn about it."""
    if not attempt.cancelled():
        attempt.exception()


def _check_query(query: bytes) -> None:
    """Refuse bytes that no URI may hold and WSGI's environment has no place for. Source: RFC 3986 section 2."""
    if not query.isascii():
        got = f"the byte 0x{next(byte for byte in query if byte > _ASCII):02x}"
        raise InvalidInput("query", got=got, expected="ASCII, all else percent-encoded")


class Passing:
    """Sends an answer on to the caller, adds the headers of every answer to it, and remembers its status."""

    def __init__(self, send: Send, headers: Callable[[], Headers]) -> None:
        """`headers` is asked when the answer starts: the call before may have loaded the model that they name."""
        self.status: int = HTTPStatus.INTERNAL_SERVER_ERROR  # what the server makes of no answer
        self._send = send
        self._headers = headers

    async def __call__(self, message: Message) -> None:
        """Be what ASGI calls `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": with_headers(message.get("headers", []), self._headers())}
        await self._send(message)
