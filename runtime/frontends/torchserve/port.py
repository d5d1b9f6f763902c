"""A port of TorchServe's inference API: every request to it has to show the inference key, wherever its path leads."""

from typing import TYPE_CHECKING

from runtime.errors import InvalidKey
from runtime.frontends.application import Application
from runtime.frontends.torchserve.guarding import AUTHORIZATION, opened
from runtime.http.messages import Request
from runtime.protocols.torchserve.keys import Kind

if TYPE_CHECKING:
    from runtime.http.exchange import Exchange


class KeyedApplication(Application):
    """What such a port serves."""

    def begin(self, exchange: "Exchange") -> None:
        """Answer a request that shows the key, refuse any other."""
        try:
            self._check(exchange.request)
        except InvalidKey as fault:
            self.reply(exchange, self.told(fault, exchange.request))
        else:
            super().begin(exchange)

    def admit(self, request: Request) -> bool:
        """Refuse by its head a request without the key. Raises `InvalidKey`, and what any port raises."""
        self._check(request)
        return super().admit(request)

    def _check(self, request: Request) -> None:
        opened(self._torchserve).tokens.check(Kind.INFERENCE, request.header(AUTHORIZATION))
