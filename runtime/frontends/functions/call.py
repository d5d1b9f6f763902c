"""One call of the author's function: the application runs on a thread, the event loop sends what it makes.

    thread   run: application -> head, pieces -> _give -> _hand, which waits while the caller does not read
    loop     answer: pieces -> send; _check: whether the call is past its limit

The limit bounds the time in which the function makes nothing: until the first piece of its answer, and between two
pieces. The time that a piece waits for its caller does not count, so an answer may stream for as long as it likes.
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

from runtime.errors import FunctionCrashed, FunctionTimedOut, ScalezeroError
from runtime.frontends.functions.request import CallerGone
from runtime.frontends.functions.wsgi import Body, Head, Part, head
from runtime.http.asgi import Message, Send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import WSGIApplication, WSGIEnvironment

_log: Final = logging.getLogger("scalezero.function")
_SLICE: Final = 2**20  # bytes
_AHEAD: Final = 2  # pieces that may wait to be sent while the function makes the next one


class AnswerBroken(Exception):
    """The answer broke after its head was sent: its connection or stream is to be broken off. The log has the cause."""


class Call:
    """One call; made and answered on the event loop, run on another thread."""

    def __init__(self, application: "WSGIApplication", environ: "WSGIEnvironment", *, limit: float) -> None:
        """`limit` is in seconds, from now on."""
        self.late = False  # the limit is over, and the call has not come back since
        self._application = application
        self._environ = environ
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._thread: int | None = None
        self._head: Head | None = None
        self._body: Body | None = None
        self._room = Semaphore(_AHEAD)
        self._over = False  # nobody wants more of the answer
        self._parts: deque[Part | ScalezeroError] = deque()
        self._news: asyncio.Future[None] | None = None
        self._began = self._since = perf_counter()  # `_since` is inf while the answer waits for its caller
        self._timer = self._loop.call_later(limit, self._check)

    @property
    def seconds(self) -> float:
        """How long ago the call began."""
        return perf_counter() - self._began

    @property
    def method(self) -> str:
        """The request's method."""
        return str(self._environ["REQUEST_METHOD"])

    def frame(self) -> FrameType | None:
        """What the call's thread is at; to be asked while it runs."""
        return sys._current_frames().get(self._thread) if self._thread else None  # noqa: SLF001 - documented, for this

    # On the event loop.

    async def answer(self, send: Send, left: "asyncio.Future[None]") -> None:
        """Send what the call makes, until its end; `left` is done once the caller has left.

        Raises `CallerGone`, and while nothing was sent `FunctionCrashed`, `FunctionTimedOut` or `InvalidAnswer`, in
        place of which `AnswerBroken` comes after the head. The call itself may go on: see `ended`.
        """
        left.add_done_callback(self._wake)
        started = False
        try:
            while True:
                part = await self._next(left)
                if not started:
                    assert self._head is not None  # noqa: S101 - it comes before every part
                    started = True
                    headers = self._head.headers
                    await send({"type": "http.response.start", "status": self._head.status, "headers": headers})
                for message in _messages(part):
                    await send(message)
                if not part.more:
                    return
                self._room.release()
        except ScalezeroError as error:
            if started:
                raise AnswerBroken from error
            raise
        finally:
            self._over = True
            self._room.release()
            left.remove_done_callback(self._wake)

    def ended(self) -> None:
        """Forget the limit: the thread has come back."""
        self.late = False
        self._timer.cancel()

    async def _next(self, left: "asyncio.Future[None]") -> Part:
        while True:
            if left.done():
                raise CallerGone
            if self._parts:
                part = self._parts.popleft()
                if isinstance(part, ScalezeroError):
                    raise part
                return part
            if self.late:
                raise FunctionTimedOut("this call of the function", limit=self._limit)
            self._news = self._loop.create_future()
            await self._news

    def _wake(self, _: object = None) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _check(self) -> None:
        left = self._since + self._limit - perf_counter()
        if left > 0:
            self._timer = self._loop.call_later(min(left, self._limit), self._check)
            return
        self.late = True
        frame = self.frame()
        facts = {"timeout_seconds": self._limit, "stack": "".join(format_stack(frame)) if frame else None}
        _log.error("function call exceeds its time limit", extra={**self._facts(), **facts})
        self._wake()

    # On the thread.

    def run(self) -> None:
        """Run the application and hand over what it makes; the waiting caller gets its exception."""
        self._thread = get_ident()
        try:
            self._make()
        except BaseException as error:  # noqa: BLE001 - SystemExit and the like are an author's faults as any other
            _log.error("function failed", exc_info=error, extra=self._facts())
            self._tell(error if isinstance(error, ScalezeroError) else FunctionCrashed(error))

    def _make(self) -> None:
        pieces: Iterable[bytes] = self._application(self._environ, self._start)
        try:
            for piece in pieces:
                if self._over:
                    return
                self._give(piece)
            self._end()
        finally:
            close = getattr(pieces, "close", None)
            if close:
                close()

    def _start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Any = None,  # noqa: ANN401 - as PEP 3333 has it
    ) -> "Callable[[bytes], object]":
        """WSGI's `start_response`. Raises `InvalidAnswer` for what cannot be sent."""
        if self._head is not None and exc_info is None:
            raise RuntimeError("start_response was called twice")
        self._head = head(self.method, status, headers)
        self._body = Body(self._head.length)
        return self._give

    def _give(self, piece: object) -> None:
        if self._body is None:
            raise RuntimeError("a piece of an answer came before its start_response")
        self._hand(self._body.add(piece))

    def _end(self) -> None:
        if self._body is None:
            raise RuntimeError("an answer ended before its start_response")
        self._hand(self._body.end())

    def _hand(self, part: Part | None) -> None:
        if part is None:
            return
        self._since = math.inf
        self._room.acquire()
        self._since = perf_counter()
        if not self._over:
            self._tell(part)

    def _tell(self, part: Part | ScalezeroError) -> None:
        self._parts.append(part)
        with suppress(RuntimeError):  # the loop is closed, as the process ends
            self._loop.call_soon_threadsafe(self._wake)

    def _facts(self) -> dict[str, object]:
        return {"method": self.method, "path": self._environ["PATH_INFO"]}


def _messages(part: Part) -> "Iterator[Message]":
    """The part as the server takes it; a large one in slices, as the server copies each before the loop goes on."""
    body, more = part
    for start in range(0, max(len(body), 1), _SLICE):
        end = start + _SLICE
        yield {"type": "http.response.body", "body": body[start:end], "more_body": more or end < len(body)}
