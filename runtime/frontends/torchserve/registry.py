"""The registry of TorchServe's management API, for REST and gRPC.

A model is pulled, opened and warmed up before its registration succeeds, so it can serve predictions immediately. It
stays registered until the process ends: nothing is persisted, and other pods do not get it.

An operation that has begun is finished even if its caller is cancelled (its deadline has passed, or its client has
disconnected): half an operation would leave a model in memory that no request finds.
"""

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakSet

from runtime.artifacts.uris import S3Location, is_archive, parse_uri
from runtime.configuration.values import SEGMENT, is_segment
from runtime.errors import (
    DefaultVersion,
    InvalidInput,
    ModelApiDisabled,
    ModelUnavailable,
    RegistrationFailed,
    public_uri,
)
from runtime.loading import puller
from runtime.protocols.torchserve import management
from runtime.protocols.torchserve.management import Description, Registration, Scaling, Worker
from runtime.protocols.torchserve.registering import allowed
from runtime.service import name_of
from runtime.settings import Settings
from runtime.stores.model_store import resolve

if TYPE_CHECKING:
    from runtime.served_model import ServedModel
    from runtime.service import Service

_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")


class Registered(NamedTuple):
    """A registered model."""

    model: str
    version: str
    text: str  # TorchServe's status text


class Registry:
    """The models of one process, with the operations of TorchServe's management API."""

    def __init__(self, service: "Service") -> None:
        """Read the allowed stores and prefixes from the settings. Raises `BadSetting` for an invalid one."""
        settings = service.settings
        self._service = service
        self._allowed = allowed(settings.model_store, settings.register_from)
        self._registered: WeakSet[ServedModel] = WeakSet()

    def list(self, limit: int, first: int) -> bytes:
        """Return the list of models by name, with the URI of the default version of each."""
        models = [(name, versions.default.uri or "") for name, versions in self._service.models.items()]
        return management.listing(models, limit=limit, first=first)

    def describe(self, model: str, version: str | None) -> bytes:
        """Describe a version of a model: None is its default, `all` all. Raises `UnknownModel` and `UnknownVersion`."""
        if version == management.ALL:
            found = list(self._service.models[model])
        else:
            found = [self._service.model(model, version)]
        return management.descriptions([self._description(each) for each in found])

    async def register(self, registration: Registration) -> Registered:
        """Load a model and register it.

        Raises `ModelApiDisabled`, `InvalidInput`, `UrlNotRegistrable`, `VersionConflict` and `RegistrationFailed`.
        """
        if not self._service.settings.model_api:
            raise ModelApiDisabled
        name = f"register {public_uri(registration.url)}"
        return await self._service.background.finish(name, partial(self._register, registration))

    async def _register(self, registration: Registration) -> Registered:
        uri = await asyncio.to_thread(resolve, registration.url, self._allowed)
        settings = _settings(registration, uri, self._service.settings)
        try:
            name = await asyncio.to_thread(_name, registration, uri, settings)
            if not is_segment(name):
                raise InvalidInput("model_name", got=repr(name[:80]), expected=SEGMENT)
            served = await self._service.load_and_add(replace(settings, model_name=name))
        except ModelUnavailable as error:
            raise RegistrationFailed(registration.url, error) from error
        self._registered.add(served)
        version = str(served.version)
        text = management.registered(served.name, version, workers=min(registration.initial_workers, 1))
        return Registered(served.name, version, text)

    async def scale(self, model: str, version: str | None, scaling: Scaling) -> str | None:
        """Load a model. Return TorchServe's status text, or None if the request is asynchronous.

        A model has one session, which uses all CPUs of this process, so any number of workers from 1 has the same
        effect. Raises `InvalidInput` for 0 workers, `UnknownModel`, `UnknownVersion` and `ModelUnavailable`.
        """
        served = self._service.model(model, version)
        if scaling.most < 1:
            raise InvalidInput(
                "max_worker", got=str(scaling.most), expected="1 or more; unregister the model to free its memory"
            )
        if not scaling.synchronous:
            self._service.background.start(f"scale {model}", _load_in_background(served))
            return None
        await served.load()
        return management.workers_scaled(model, version)

    def set_default(self, model: str, version: str) -> str:
        """Make a version the default. Raises `UnknownModel` and `UnknownVersion`."""
        self._service.set_default(model, version)
        return management.default_set(model, version)

    async def unregister(self, model: str, version: str | None) -> str:
        """Remove a version of a model (None: its default) after its requests are answered.

        Raises `ModelApiDisabled`, `UnknownModel`, `UnknownVersion`, and `DefaultVersion` if there are other versions.
        """
        if not self._service.settings.model_api:
            raise ModelApiDisabled
        await self._service.background.finish(f"unregister {model}", partial(self._unregister, model, version))
        return management.unregistered(model)

    async def _unregister(self, model: str, version: str | None) -> None:
        """Check and remove in one turn of the loop, so that no other request changes the versions in between."""
        served = self._service.model(model, version)
        versions = self._service.models[model]
        if served is versions.default and len(versions) > 1:
            raise DefaultVersion(model, str(served.version), versions.names)
        await self._service.remove(model, version)

    def _description(self, served: "ServedModel") -> Description:
        settings = served.settings
        ready = served.ready
        queued = ready.batcher.waiting if ready else 0
        return Description(
            model=served.name,
            version=served.version or "",
            url=served.uri or "",
            batch_size=settings.batch_size,
            max_wait=settings.max_wait,
            run_timeout=settings.run_timeout,
            load_timeout=settings.load_timeout,
            wanted=settings.load == "prefetch",
            at_start=served not in self._registered,
            worker=_worker(served) if ready else None,
            queue_left=settings.queue_size - queued,
            queued=queued,
        )


def _settings(registration: Registration, uri: str, settings: Settings) -> Settings:
    """Return the settings of a registered model: those of the process, with the overrides of the request."""
    options: dict[str, Any] = {
        "batch_size": registration.batch_size,
        "max_wait": None if registration.max_batch_delay is None else registration.max_batch_delay / 1000,
        "run_timeout": registration.response_timeout,
        "load_timeout": registration.startup_timeout,
    }
    overrides = {field: value for field, value in options.items() if value is not None}
    return replace(settings, model_uri=uri, model_version=None, model_sha256=None, load="lazy", **overrides)


def _name(registration: Registration, uri: str, settings: Settings) -> str:
    """Return the name of the model: from the request, otherwise from its archive, otherwise from its file's name.

    Blocks: it may pull the archive. Raises the `ModelUnavailable` errors.
    """
    if registration.model_name:
        return registration.model_name
    place = parse_uri(uri)
    if isinstance(place, S3Location) and is_archive(place.key):
        return puller(uri, settings)().artifact.metadata.get("model_name") or name_of(uri)
    return name_of(uri)


async def _load_in_background(served: "ServedModel") -> None:
    """Load a model. A failure is logged, and the next request gets the error."""
    try:
        await served.load()
    except ModelUnavailable:
        return


def _worker(served: "ServedModel") -> Worker:
    cold_start = served.measurements.cold_start
    ago = perf_counter() - cold_start.ready if cold_start else 0.0
    started = datetime.fromtimestamp(time.time() - ago, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_SIZE
    return Worker(started, os.getpid(), resident)
