"""A request to the author's function: ASGI's scope and receive, with coroutines for the body and the disconnect."""

from runtime.http.asgi import Receive, Scope


class ClientDisconnected(Exception):
    """The client disconnected before its request was answered."""


class FunctionRequest:
    """One request. The transport limits the size of its body."""

    __slots__ = ("_receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive

    async def body(self) -> bytes:
        """Return the complete body. Call this once. Raises `ClientDisconnected` if the body does not arrive."""
        pieces: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(pieces)

    async def disconnected(self) -> None:
        """Wait until the client has disconnected or the response is sent. Call it after `body`."""
        while (await self._receive())["type"] != "http.disconnect":
            pass  # ignore other messages
