"""An additional port with TorchServe's inference API: every request needs the inference key, whatever its path."""

from typing import TYPE_CHECKING

from runtime.errors import InvalidKey
from runtime.frontends.application import Application
from runtime.frontends.torchserve.guarding import AUTHORIZATION, require_torchserve
from runtime.http.messages import Request
from runtime.protocols.torchserve.keys import Kind

if TYPE_CHECKING:
    from runtime.http.exchange import Exchange


class KeyedApplication(Application):
    """The application of such a port."""

    def begin(self, exchange: "Exchange") -> None:
        """Answer a request with the key, and refuse any other."""
        try:
            self._check(exchange.request)
        except InvalidKey as fault:
            self.reply(exchange, self.answer_error(fault, exchange.request))
        else:
            super().begin(exchange)

    def admit(self, request: Request) -> bool:
        """Check the head of a request before its body arrives. Raises `InvalidKey`, and as `Application.admit` does."""
        self._check(request)
        return super().admit(request)

    def _check(self, request: Request) -> None:
        require_torchserve(self._torchserve).tokens.check(Kind.INFERENCE, request.header(AUTHORIZATION))
