"""What the management API does to the models of this process, whatever the request came over.

A registered model is pulled, opened and warmed up before it is there, so a registration that succeeded can be predicted
with. It lives as long as the process: nothing is written down, and other pods know nothing of it.
"""

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from runtime.artifacts.uris import S3Place, is_archive, parse_uri
from runtime.configuration.values import SEGMENT, is_segment
from runtime.errors import (
    DefaultVersion,
    InvalidInput,
    ModelApiDisabled,
    ModelUnavailable,
    RegistrationFailed,
)
from runtime.protocols.torchserve import management
from runtime.protocols.torchserve.management import Description, Registration, Scaling, Worker
from runtime.protocols.torchserve.registering import allowed
from runtime.service import fetcher, name_of
from runtime.settings import Settings
from runtime.stores.model_store import resolved

if TYPE_CHECKING:
    from runtime.served_model import ServedModel
    from runtime.service import Service

_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")


class Registry:
    """The models of one process, as TorchServe's clients manage them."""

    def __init__(self, service: "Service") -> None:
        """Raises `BadSetting` for a store or a prefix that cannot be one."""
        settings = service.settings
        self._service = service
        self._allowed = allowed(settings.model_store, settings.register_from)
        self._registered: WeakSet[ServedModel] = WeakSet()

    def list(self, limit: int, first: int) -> bytes:
        """The list of models by name, with the place of the default version of each."""
        models = [(name, versions.default.uri or "") for name, versions in self._service.models.items()]
        return management.listing(models, limit=limit, first=first)

    def describe(self, model: str, version: str | None) -> bytes:
        """One version of a model (None: its default), or `all`. Raises `UnknownModel` and `UnknownVersion`."""
        if version == management.ALL:
            found = list(self._service.models[model])
        else:
            found = [self._service.model(model, version)]
        return management.descriptions([self._description(each) for each in found])

    async def register(self, asked: Registration) -> str:
        """Load a model and take it up; return what TorchServe says of it.

        Raises `ModelApiDisabled`, `InvalidInput`, `UrlNotRegistrable`, `VersionConflict` and `RegistrationFailed`.
        """
        if not self._service.settings.model_api:
            raise ModelApiDisabled
        uri = await asyncio.to_thread(resolved, asked.url, self._allowed)
        settings = _settings(asked, uri, self._service.settings)
        try:
            name = await asyncio.to_thread(_name, asked, uri, settings)
            if not is_segment(name):
                raise InvalidInput("model_name", got=repr(name[:80]), expected=SEGMENT)
            served = await self._service.bring(replace(settings, model_name=name))
        except ModelUnavailable as error:
            raise RegistrationFailed(asked.url, error) from error
        self._registered.add(served)
        return management.registered(served.name, str(served.version), workers=min(asked.initial_workers, 1))

    async def scale(self, model: str, version: str | None, asked: Scaling) -> str | None:
        """Load a model, where that is asked for; return what TorchServe says of it, None where nobody waits.

        A model has one session, which uses all CPUs of this process: it stands for every number of workers from 1 on.
        Raises `InvalidInput` for no worker at all, `UnknownModel`, `UnknownVersion` and `ModelUnavailable`.
        """
        served = self._service.model(model, version)
        if asked.most < 1:
            raise InvalidInput("max_worker", got="0", expected="1 or more; unregister a model to free its memory")
        if not asked.synchronous:
            self._service.background.start(f"scale {model}", _loaded(served))
            return None
        await served.load()
        return management.workers_scaled(model, version)

    def set_default(self, model: str, version: str) -> str:
        """Make a version the default. Raises `UnknownModel` and `UnknownVersion`."""
        self._service.set_default(model, version)
        return management.default_set(model, version)

    async def unregister(self, model: str, version: str | None) -> str:
        """Let a version of a model go (None: its default), once its requests are answered.

        Raises `ModelApiDisabled`, `UnknownModel`, `UnknownVersion`, and `DefaultVersion` while others are there.
        """
        if not self._service.settings.model_api:
            raise ModelApiDisabled
        served = self._service.model(model, version)
        versions = self._service.models[model]
        if served is versions.default and len(versions) > 1:
            raise DefaultVersion(model, str(served.version), versions.names)
        await self._service.remove(model, version)
        return management.unregistered(model)

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


def _settings(asked: Registration, uri: str, settings: Settings) -> Settings:
    """The settings of a model that is registered: those of the process, but for what the request says."""
    given: dict[str, Any] = {
        "batch_size": asked.batch_size,
        "max_wait": None if asked.max_batch_delay is None else asked.max_batch_delay / 1000,
        "run_timeout": asked.response_timeout,
        "load_timeout": asked.startup_timeout,
    }
    said = {field: value for field, value in given.items() if value is not None}
    return replace(settings, model_uri=uri, model_version=None, model_sha256=None, load="lazy", **said)


def _name(asked: Registration, uri: str, settings: Settings) -> str:
    """What the model is called: as is asked, else as its archive says, else as its file. May block: it may be pulled.

    Raises the `ModelUnavailable` errors.
    """
    if asked.model_name:
        return asked.model_name
    place = parse_uri(uri)
    if isinstance(place, S3Place) and is_archive(place.key):
        return fetcher(uri, settings)().metadata.get("model_name") or name_of(uri)
    return name_of(uri)


async def _loaded(served: "ServedModel") -> None:
    """Load a model in the background. A failure is logged, and the next request gets it."""
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
