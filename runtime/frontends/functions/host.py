"""Hosts the author's function: loads it, admits its calls, runs each on a thread within a limit, sends the responses.

The import starts after the model is loaded, when nothing more urgent needs the CPU. It runs on its own daemon thread,
and calls run on daemon threads too, so that neither delays the end of the process. An import that fails is final. A
guest that cannot be pulled is pulled again, as a model is: by the next call, and in the background after a pause.
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

from runtime.background import retry_pauses
from runtime.errors import (
    DeadlineExceeded,
    FunctionFailed,
    FunctionStuck,
    FunctionTimedOut,
    InvalidInput,
    ModelUnavailable,
    QueueFull,
    ScalezeroError,
)
from runtime.frontends.functions import places
from runtime.frontends.functions.call import Call
from runtime.frontends.functions.loading import Loaded
from runtime.frontends.functions.request import ClientDisconnected, FunctionRequest
from runtime.frontends.functions.threads import Threads
from runtime.frontends.functions.wsgi import environment
from runtime.http.asgi import Message, Send
from runtime.http.messages import Headers, with_headers

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from runtime.frontends.functions.event_data import EventData
    from runtime.protocols.cloudevents import Event

NAME: Final = "function"  # the value of the metrics' protocol label
_MAX_ASCII: Final = 0x7F
_RETRY_AFTER: Final = 1  # seconds


class FunctionHost:
    """The functions of the author's file: one for requests, as an ASGI application, and one for events."""

    def __init__(
        self,
        load: Callable[[], Loaded],
        *,
        folder: Path,
        threads: int,
        waiting: int,
        timeout: float,
        limit: float,
        patience: float = 0.0,
    ) -> None:
        """Host the functions that `load` returns; it runs on its own thread.

        It raises `FunctionFailed`, which is final, or `ModelUnavailable` if another attempt may succeed.

        `folder` has the author's files: messages name the lines in it.
        At most `threads` calls run at once and `waiting` more wait; further calls are refused with `QueueFull`. A call
        that has waited for a thread for `timeout` seconds gets `DeadlineExceeded`; the time of the import does not
        count. A call without output for `limit` seconds is answered with `FunctionTimedOut`, and occupies its thread
        until it returns. If that takes more than `patience` seconds, the thread counts as stuck.
        """
        self._load_functions = load
        self._folder = folder
        self._count = threads
        self._max_calls = threads + waiting
        self._timeout = timeout
        self._limit = limit
        self._patience = patience
        self._waiting = 0
        self._running: set[Call] = set()
        self._free_threads = asyncio.Semaphore(threads)
        self._threads = Threads(threads, name="function")
        self._import: asyncio.Future[Loaded] | None = None
        self._failed: FunctionFailed | ModelUnavailable | None = None  # the error of the last attempt

    @property
    def ready(self) -> bool:
        """Whether the function answers calls. If not, `error` is the reason, or None while the import runs."""
        return self._import is not None and self._import.done() and self.error is None

    @property
    def error(self) -> FunctionFailed | ModelUnavailable | FunctionStuck | None:
        """Why no call can be answered: the pull or the import failed, or every thread is stuck."""
        return self._failed or self.stuck

    @property
    def stuck(self) -> FunctionStuck | None:
        """The reason to end this process: every thread runs a call that has exceeded its limit.

        A thread cannot be stopped, so only a new process can answer calls again. A guest is stopped shortly after its
        limit.
        """
        if len(self._running) < self._count or any(call.overdue < self._patience for call in self._running):
            return None
        longest_first = sorted(self._running, key=lambda call: -call.seconds)
        return FunctionStuck([self._describe(call) for call in longest_first], limit=self._limit)

    @property
    def takes_events(self) -> bool | None:
        """Whether a function gets events; None: unknown, because the import has not succeeded yet."""
        if self._import is None or not self._import.done() or self._failed:
            return None
        return self._import.result().takes_events

    async def load(self) -> Loaded:
        """Import the functions once. Raises `FunctionFailed`, now and in every later call.

        Raises `ModelUnavailable` if they cannot be pulled; the next call tries again.
        """
        return await asyncio.shield(self._imported())

    async def preload(self, stop_retrying: Callable[[ScalezeroError], bool] = lambda _: True) -> None:
        """Import the function before the first call. If that fails, readiness fails and every client gets the error.

        A failed pull is tried again after a pause. `stop_retrying` is called with each failure and returns whether to
        stop.
        """
        for pause in retry_pauses():
            try:
                await self.load()
            except (FunctionFailed, ModelUnavailable) as error:  # already logged
                if stop_retrying(error) or isinstance(error, FunctionFailed):
                    return
            else:
                return
            await asyncio.sleep(pause)

    async def __call__(self, request: FunctionRequest, send: Send) -> None:
        """Answer one request with the author's function.

        The call starts when the body is complete, so that a slow upload does not occupy a thread. Raises `InvalidInput`
        for a query that is not ASCII, `QueueFull`, `DeadlineExceeded`, `FunctionStuck`, and what `load` and
        `Call.answer` raise.
        """
        _check_query(request.scope["query_string"])
        environ = environment(request.scope, await request.body())
        self._admit()
        disconnected = asyncio.ensure_future(request.disconnected())
        try:
            call = await self._begin(environ, disconnected)
            await call.answer(send, disconnected)
        finally:
            disconnected.cancel()

    async def accepts_events(self) -> bool:
        """Return whether a function gets events, after the import. Raises as `load`, and `FunctionTimedOut`."""
        return (await self._loaded(asyncio.get_running_loop().create_future())).takes_events

    async def answer_event(self, event: "Event") -> "Event | EventData | None":
        """Return the reply of the author's function to an event, or the data of a reply; None: it has none.

        Call it only if `accepts_events`. If the caller is cancelled, an event that waits leaves the queue; a call that
        runs occupies its thread until it returns. Raises the errors of a request to the function, `FunctionCrashed`,
        `EventRefused` and `EventDeferred` for an answer with an error status, and what the function raises of
        `ScalezeroError`.
        """
        from runtime.frontends.functions.event_call import EventCall

        answering = EventCall(event)
        self._admit()
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call = await self._begin(answering.environment(), never)
        await call.answer(_discard, never)
        return answering.reply()

    def _admit(self) -> None:
        if stuck := self.stuck:
            raise stuck
        if self._waiting + len(self._running) >= self._max_calls:
            raise QueueFull(limit=self._max_calls - self._count, retry_after=_RETRY_AFTER)

    async def _begin(self, environ: "WSGIEnvironment", disconnected: "asyncio.Future[None]") -> Call:
        self._waiting += 1
        try:
            application = (await self._loaded(disconnected)).application
            await self._acquire_thread(disconnected)
        finally:
            self._waiting -= 1
        call = Call(application, environ, limit=self._limit)
        self._running.add(call)
        try:
            job = partial(copy_context().run, self._run, call, asyncio.get_running_loop())
            self._threads.run(job, busy=len(self._running) - 1)
        except RuntimeError:  # the process cannot start more threads
            self._ended(call)
            raise
        return call

    def _run(self, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        """Run a call. Runs on a thread of the pool."""
        try:
            call.run()
        finally:
            _call_soon(loop, self._ended, call)

    def _ended(self, call: Call) -> None:
        call.ended()
        self._running.discard(call)
        self._free_threads.release()

    async def _loaded(self, disconnected: "asyncio.Future[None]") -> Loaded:
        """Return the imported functions. Raises as `load`, `ClientDisconnected` and `FunctionTimedOut`."""
        imported = self._imported()
        if not imported.done():
            either: set[asyncio.Future[Any]] = {imported, disconnected}
            await asyncio.wait(either, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
        if imported.done():
            return imported.result()
        if disconnected.done():
            raise ClientDisconnected
        raise FunctionTimedOut("the import of the function", limit=self._limit)

    async def _acquire_thread(self, disconnected: "asyncio.Future[None]") -> None:
        """Wait for a free thread. A call whose client has disconnected never gets a thread.

        Raises `ClientDisconnected` and `DeadlineExceeded`.
        """
        if not self._free_threads.locked() and not disconnected.done():
            await self._free_threads.acquire()  # does not wait
            return
        began = perf_counter()
        thread = asyncio.ensure_future(self._free_threads.acquire())
        either: set[asyncio.Future[Any]] = {thread, disconnected}
        acquired = False
        try:
            await asyncio.wait(either, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            acquired = thread.done() and not disconnected.done()
        finally:
            if not acquired and not thread.cancel():  # it was acquired in the meantime: pass it to the next call
                self._free_threads.release()
        if disconnected.done():
            raise ClientDisconnected
        if not acquired:
            raise DeadlineExceeded(waited=perf_counter() - began, timeout=self._timeout)

    def _imported(self) -> "asyncio.Future[Loaded]":
        """Return the future of the import. The first call starts the import, also after a failed pull."""
        if self._import is None:
            loop = asyncio.get_running_loop()
            self._import = loop.create_future()
            self._import.add_done_callback(_retrieve_exception)
            Thread(target=self._load, args=(loop,), name="function-import", daemon=True).start()
        return self._import

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        """Import the function. Runs on its own thread: the end of the process would wait for asyncio's executor."""
        try:
            loaded = self._load_functions()
        except (FunctionFailed, ModelUnavailable) as error:
            _call_soon(loop, self._finish_import, error)
        else:
            _call_soon(loop, self._finish_import, loaded)

    def _finish_import(self, outcome: Loaded | FunctionFailed | ModelUnavailable) -> None:
        attempt = self._import
        assert attempt is not None  # noqa: S101 - `_imported` sets it before it starts the thread
        if isinstance(outcome, Loaded):
            self._failed = None
            attempt.set_result(outcome)
            return
        self._failed = outcome
        attempt.set_exception(outcome)
        if isinstance(outcome, ModelUnavailable):
            self._import = None

    def _describe(self, call: Call) -> str:
        """Describe a call without its client's data, because other clients get this text too."""
        frame = call.frame()
        line = places.line_of(frame, self._folder.resolve()) if frame else None
        return f"{call.method} for {call.seconds:.0f} s" + (f" at {line}" if line else "")


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: the process is ending
        loop.call_soon_threadsafe(partial(callback, *arguments))


async def _discard(_: Message) -> None:
    """Send nothing: an event's reply is not the response of the application."""


def _retrieve_exception(attempt: "asyncio.Future[Loaded]") -> None:
    """Retrieve the exception of a failed import, so that asyncio does not warn: `error` and every call report it."""
    if not attempt.cancelled():
        attempt.exception()


def _check_query(query: bytes) -> None:
    """Raise `InvalidInput` for bytes that a URI and WSGI's environment do not allow. Source: RFC 3986 section 2."""
    if not query.isascii():
        got = f"the byte 0x{next(byte for byte in query if byte > _MAX_ASCII):02x}"
        raise InvalidInput("query", got=got, expected="ASCII characters; percent-encode all others")


class SendWrapper:
    """Wraps ASGI's `send`: adds the common headers to the response, and stores its status."""

    def __init__(self, send: Send, headers: Callable[[], Headers]) -> None:
        """`headers` is called when the response starts: the function may have loaded the model that they name."""
        self.status: int = HTTPStatus.INTERNAL_SERVER_ERROR  # the server's response if the function sends none
        self._send = send
        self._headers = headers

    async def __call__(self, message: Message) -> None:
        """Send an ASGI message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": with_headers(message.get("headers", []), self._headers())}
        await self._send(message)
