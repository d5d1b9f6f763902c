"""The handler of one operation of TorchServe's management API: it requires a key, and counts its requests."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING

from runtime.errors import UnknownModel
from runtime.frontends.torchserve.guarding import AUTHORIZATION, require_torchserve
from runtime.http.messages import Answer, Request
from runtime.protocols.torchserve.keys import Kind
from runtime.status import OK, code_of
from runtime.telemetry.measurements import MANAGEMENT

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.http.exchange import Exchange
    from runtime.served_model import ServedModel


class Subject:
    """The model that a request is about. The operation sets it as soon as it knows the model."""

    __slots__ = ("model", "version")

    def __init__(self) -> None:
        self.model: str | None = None  # None: not known, or no single model
        self.version: str | None = None  # None: the default


class Operation:
    """The handler of one operation."""

    def __init__(
        self, run: Callable[[Request, Subject], Awaitable[Answer]], context: "Context", *, key: Kind | None
    ) -> None:
        """`key` is the kind of key that every request requires; None: `run` checks the key."""
        self._run = run
        self._service = context.service
        self._torchserve = context.torchserve
        self._key = key

    def direct(self, _: "Exchange") -> bool:
        """Return False: only `answer` can wait."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Check the key, run the operation, and count the request. Raises `InvalidKey`, and as the operation does."""
        subject, code = Subject(), OK
        try:
            if self._key is not None:
                require_torchserve(self._torchserve).tokens.check(self._key, request.header(AUTHORIZATION))
            return await self._run(request, subject)
        except (Exception, CancelledError) as error:
            code = code_of(error)
            raise
        finally:
            self._count(subject, code, perf_counter() - request.started)

    def _count(self, subject: Subject, code: str, seconds: float) -> None:
        served = self._served(subject)
        if served is None:
            self._service.answered(MANAGEMENT, code, seconds)
        else:
            served.measurements.record_request(MANAGEMENT, code, seconds)

    def _served(self, subject: Subject) -> "ServedModel | None":
        """Return the version that the request is about, or the default of its model; None: neither is served (now)."""
        for version in (subject.version, None):
            with suppress(UnknownModel):
                return None if subject.model is None else self._service.model(subject.model, version)
        return None
