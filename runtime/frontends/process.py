"""One process: the service, the author's function, and an application for each port that it listens on."""

import asyncio
import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime import author
from runtime.configuration.listeners import Listener
from runtime.frontends import catalogue
from runtime.frontends.application import Application
from runtime.frontends.endpoints import Endpoints
from runtime.frontends.functions import FunctionHost, Loaded, loading
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.frontends.torchserve.guarding import TorchServe
    from runtime.service import Service
    from runtime.wasi_nn.backend import ServiceBackend

_TORCHSERVE: Final = "torchserve"  # the protocol whose additional ports require a key
# A guest is stopped at its limit, a few milliseconds after the answer; a component that sleeps in WASI is not.
_GUEST_PATIENCE: Final = 5.0  # seconds


class Process:
    """The applications of one process and the objects that they share."""

    def __init__(self, service: "Service") -> None:
        """Create the application of each port. Raises `BadSetting` if a port names an unknown protocol."""
        settings = service.settings
        self._service = service
        self._inference: ServiceBackend | None = None  # for the guest, by WASI-NN; None: there is no guest
        self._function = _function(settings, load_guest=self._load_guest)
        endpoints = Endpoints(service, self._function)
        self._torchserve = _torchserve(service, function=self._function is not None)
        self.main = Application(service, endpoints, function=self._function, torchserve=self._torchserve)
        self.others = [
            _application(service, endpoints, listener=listener, torchserve=self._torchserve)
            for listener in settings.listen
        ]
        self._starting: asyncio.Task[None] | None = None

    async def open(self, end: Callable[[], None]) -> None:
        """Open the service; `end` shuts down the process gracefully."""
        self._service.end = end
        await self._service.open()
        author.attach(self._service, asyncio.get_running_loop())
        if self._service.settings.guest_uri:
            from runtime.wasi_nn.backend import ServiceBackend

            self._inference = ServiceBackend(self._service, asyncio.get_running_loop())
        self._starting = self._service.background.start("start", self._start())

    async def close(self) -> None:
        """Finish the queued requests, and release the resources."""
        if self._starting:
            self._starting.cancel()
        author.detach()
        if self._inference:
            await self._inference.close()
        await self._service.close()
        if self._torchserve:
            self._torchserve.tokens.close()

    async def _start(self) -> None:
        """Do the work that must not delay the first response: wait for the models, then import the function."""
        loading: asyncio.Task[None] | None = None
        if self._function and self._service.settings.guest_uri:  # mostly a pull, so it does not slow the models down
            loading = self._service.background.start("guest", self._function.preload(self._service.end_if_permanent))
        for served in self._service.unready():
            await served.first_attempt_ended.wait()
        if self._function:
            await (loading or self._function.preload(self._service.end_if_permanent))
        # The objects that exist now live as long as the process. Without the freeze, a full garbage collection would
        # visit about 50,000 objects and block all responses for 20 ms.
        gc.freeze()

    def _load_guest(self) -> Loaded:
        """Load the guest, which asks the models of this process for inference. Runs on the thread of the import."""
        from runtime.frontends.wasm.loading import load
        from runtime.wasi_nn import Limits, NnExtension

        backend, settings = self._inference, self._service.settings
        assert backend is not None  # noqa: S101 - `open` sets it before the import starts
        backend.remove_leftovers()
        limits = Limits(model_bytes=settings.guest_model_bytes)
        return load(settings, extensions=[lambda: NnExtension(backend, limits)])


def _requires_key(listener: Listener, settings: Settings) -> bool:
    """Return whether every request to a port needs TorchServe's inference key."""
    return _TORCHSERVE in listener.protocols and settings.inference_keys


def _torchserve(service: "Service", *, function: bool) -> "TorchServe | None":
    """Return TorchServe's keys and registry if a port requires a key; None: no port does."""
    settings = service.settings
    mounted, _ = catalogue.mounted(settings, function=function)
    named = {name for listener in settings.listen for name in listener.protocols}
    managed = catalogue.TORCHSERVE_MANAGEMENT in mounted or catalogue.TORCHSERVE_MANAGEMENT.name in named
    keyed = any(_requires_key(listener, settings) for listener in settings.listen)
    if not (managed or keyed):
        return None
    from runtime.frontends.torchserve.guarding import torchserve

    return torchserve(service, inference=keyed)


def _application(
    service: "Service", endpoints: Endpoints, *, listener: Listener, torchserve: "TorchServe | None"
) -> Application:
    if _requires_key(listener, service.settings):
        from runtime.frontends.torchserve.port import KeyedApplication

        return KeyedApplication(service, endpoints, listener=listener, torchserve=torchserve)
    return Application(service, endpoints, listener=listener, torchserve=torchserve)


def _function(settings: Settings, *, load_guest: Callable[[], Loaded]) -> FunctionHost | None:
    if settings.guest_uri:
        return _host(settings, load_guest, folder=Path(), patience=_GUEST_PATIENCE)
    if source := settings.function_source:
        load = partial(loading.load, source, settings.function_target, settings.event_target)
        return _host(settings, load, folder=source.parent)
    return None


def _host(settings: Settings, load: Callable[[], Loaded], *, folder: Path, patience: float = 0.0) -> FunctionHost:
    return FunctionHost(
        load,
        folder=folder,
        threads=settings.function_threads,
        waiting=settings.queue_size,
        timeout=settings.timeout,
        limit=settings.function_timeout,
        patience=patience,
    )
