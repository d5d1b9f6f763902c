"""One process: the service and the author's function, and an application for each port that it listens on."""

import asyncio
import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runtime import author
from runtime.configuration.listeners import Listener
from runtime.frontends import catalogue
from runtime.frontends.application import Application
from runtime.frontends.endpoints import Endpoints
from runtime.frontends.functions import FunctionHost
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.frontends.torchserve.guarding import TorchServe
    from runtime.service import Service

_TORCHSERVE: Final = "torchserve"  # the protocol whose own ports ask for a key


class Process:
    """What the ports of one process share, from its start to its end."""

    def __init__(self, service: "Service") -> None:
        """Raises `BadSetting` where a port is to serve a protocol that is not known."""
        settings = service.settings
        self._service = service
        self._function = _function(settings)
        endpoints = Endpoints(service, self._function)
        self._torchserve = _torchserve(service, function=self._function is not None)
        self.main = Application(service, endpoints, function=self._function, torchserve=self._torchserve)
        self.others = [
            _application(service, endpoints, listener=listener, torchserve=self._torchserve)
            for listener in settings.listen
        ]
        self._starting: asyncio.Task[None] | None = None

    async def open(self, end: Callable[[], None]) -> None:
        """Open the service; `end` ends the process in order."""
        self._service.end = end
        await self._service.open()
        author.attach(self._service, asyncio.get_running_loop())
        self._starting = self._service.background.start("start", self._start())

    async def close(self) -> None:
        """Finish what is queued."""
        if self._starting:
            self._starting.cancel()
        author.detach()
        await self._service.close()
        if self._torchserve:
            self._torchserve.tokens.close()

    async def _start(self) -> None:
        """Do what has to wait for the model, as the first answer must not wait for it."""
        for served in self._service.unready():
            await served.tried.wait()
        if self._function:
            await self._function.preload()
            if self._function.error:
                self._service.gives_up(self._function.error)
        # What is here now stays. A full collection would visit some 50,000 objects, and hold every answer for 20 ms.
        gc.freeze()


def _asks_for_key(listener: Listener, settings: Settings) -> bool:
    """Whether every request to a port has to show TorchServe's inference key."""
    return _TORCHSERVE in listener.protocols and settings.inference_keys


def _torchserve(service: "Service", *, function: bool) -> "TorchServe | None":
    """The keys and the registry of TorchServe's clients, where a port asks for a key; None: no port does."""
    settings = service.settings
    mounted, _ = catalogue.mounted(settings, function=function)
    named = {name for listener in settings.listen for name in listener.protocols}
    managed = catalogue.TORCHSERVE_MANAGEMENT in mounted or catalogue.TORCHSERVE_MANAGEMENT.name in named
    keyed = any(_asks_for_key(listener, settings) for listener in settings.listen)
    if not (managed or keyed):
        return None
    from runtime.frontends.torchserve.guarding import torchserve

    return torchserve(service, inference=keyed)


def _application(
    service: "Service", endpoints: Endpoints, *, listener: Listener, torchserve: "TorchServe | None"
) -> Application:
    if _asks_for_key(listener, service.settings):
        from runtime.frontends.torchserve.port import KeyedApplication

        return KeyedApplication(service, endpoints, listener=listener, torchserve=torchserve)
    return Application(service, endpoints, listener=listener, torchserve=torchserve)


def _function(settings: Settings) -> FunctionHost | None:
    if settings.function_source is None:
        return None
    return FunctionHost(
        settings.function_source,
        settings.function_target,
        threads=settings.function_threads,
        waiting=settings.queue_size,
        timeout=settings.timeout,
        limit=settings.function_timeout,
    )
