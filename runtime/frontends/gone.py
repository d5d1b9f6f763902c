"""A caller that leaves takes its request along."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Gone: TypeAlias = Callable[[], Awaitable[None]]  # returns when the caller has left


class CallerGone(Exception):
    """The caller left before its request was answered."""


async def unless_gone(answer: "asyncio.Future[T]", gone: Gone) -> T:
    """Wait for the answer or for the caller to leave; in the latter case cancel it and raise `CallerGone`."""
    leaving = asyncio.ensure_future(gone())
    either: set[asyncio.Future[Any]] = {answer, leaving}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            raise CallerGone
        return answer.result()
    finally:
        leaving.cancel()
