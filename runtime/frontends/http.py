"""A request and a response as the endpoints see them: the least that ASGI does not already say."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter
from typing import Any, Final, TypeAlias

from runtime.errors import PayloadTooLarge

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]
JSON: Final = (b"content-type", b"application/json")


class Disconnected(Exception):
    """The caller left before its request was complete."""


class Request:
    """One HTTP request; `started` is when it was seen first, on `perf_counter`'s clock."""

    __slots__ = ("parameters", "receive", "scope", "started")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.started = perf_counter()
        self.scope = scope
        self.receive = receive
        self.parameters: Mapping[str, str] = {}  # from the path, as its pattern names them

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower-case) name."""
        for key, value in self.scope["headers"]:
            if key == name:
                return value  # type: ignore[no-any-return]
        return None

    async def rest(self, message: Message, limit: int) -> bytes:
        """The whole body, `message` being its beginning.

        Raises `PayloadTooLarge` as soon as it must be above `limit` bytes, `Disconnected` where it never ends.
        """
        announced = self.header(b"content-length")
        if announced and announced.isdigit() and int(announced) > limit:
            raise PayloadTooLarge("body", limit=limit, unit="bytes", got=int(announced))
        pieces, size = [], 0
        while True:
            if message["type"] == "http.disconnect":
                raise Disconnected
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > limit:
                raise PayloadTooLarge("body", limit=limit, unit="bytes")
            if not message.get("more_body"):
                return b"".join(pieces)
            message = await self.receive()

    async def gone(self) -> None:
        """Return when the caller has left; to be awaited only after the body was read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass  # a message in between says no more than that the caller is there
