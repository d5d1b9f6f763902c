"""What a process has for TorchServe's clients beside its models: keys and a registry. Handlers that ask for a key.

It is made with the process, as the file with the keys has to exist before the first request.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.errors import InvalidKey
from runtime.frontends.torchserve.registry import Registry
from runtime.frontends.torchserve.tokens import Tokens
from runtime.http.messages import Answer, Request
from runtime.protocols.torchserve.keys import Kind

if TYPE_CHECKING:
    from runtime.http.exchange import Exchange
    from runtime.service import Service

_KEY_FILE: Final = Path("key_file.json")  # in the working directory, as TorchServe has it
AUTHORIZATION: Final = b"authorization"  # of HTTP's headers and of gRPC's metadata alike


class TorchServe(NamedTuple):
    """What the listeners of one process share."""

    tokens: Tokens
    registry: Registry


def torchserve(service: "Service", *, inference: bool) -> TorchServe:
    """Make it; `inference`: whether a port asks for the inference key, which only the key file tells.

    Raises `BadSetting` for a key file that cannot be written, and for a store or a prefix that cannot be.
    """
    settings = service.settings
    needed = inference or settings.management_key is None
    file = settings.key_file or (_KEY_FILE if needed else None)
    tokens = Tokens(file, expiration=settings.key_expiration, management=settings.management_key)
    return TorchServe(tokens, Registry(service))


def opened(torchserve: TorchServe | None) -> TorchServe:
    """What the process has. Raises `InvalidKey` where it has none: then no key opens anything."""
    if torchserve is None:
        raise InvalidKey
    return torchserve


class Guarded:
    """The handler of a route that asks for a key."""

    def __init__(self, handler: Any, torchserve: TorchServe | None, kind: Kind) -> None:  # noqa: ANN401 - as `Route.handler`
        self._handler = handler
        self._torchserve = torchserve
        self._kind = kind

    def direct(self, exchange: "Exchange") -> bool:
        """Let a request with a key pass. Raises `InvalidKey`, and what the handler raises."""
        self._check(exchange.request)
        answered: bool = self._handler.direct(exchange)
        return answered

    async def answer(self, request: Request) -> Answer:
        """Let a request with a key pass. Raises as `direct` does."""
        self._check(request)
        answer: Answer = await self._handler.answer(request)
        return answer

    def _check(self, request: Request) -> None:
        opened(self._torchserve).tokens.check(self._kind, request.header(AUTHORIZATION))
