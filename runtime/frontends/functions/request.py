"""A request to the author's function: ASGI's scope and receive, with its body whole and an end that can be awaited."""

from runtime.http.asgi import Receive, Scope


class CallerGone(Exception):
    """The client left before its request was answered."""


class FunctionRequest:
    """One request. The transport has bounded its body."""

    __slots__ = ("_receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive

    async def body(self) -> bytes:
        """The whole body; to be awaited once. Raises `CallerGone` where it never ends."""
        pieces: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerGone
            pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(pieces)

    async def gone(self) -> None:
        """Return when the client has left, or is answered; to be awaited after the body."""
        while (await self._receive())["type"] != "http.disconnect":
            pass  # a message in between says no more than that the client is there
