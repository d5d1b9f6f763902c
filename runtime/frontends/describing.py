"""The OpenAPI document of a service: what its settings mount, for the models that it has."""

from time import perf_counter
from typing import Any

from runtime.frontends import catalogue
from runtime.frontends.openapi import Model, document
from runtime.frontends.openapi.listing import listed
from runtime.models import Versions
from runtime.service import Service, begin
from runtime.settings import Settings


def document_of(service: Service) -> dict[str, Any]:
    """Describe what the service's main port answers over REST."""
    settings = service.settings
    protocols, generic = catalogue.mounted(settings, function=settings.function_source is not None)
    return document(_models(service), list(listed(protocols, generic)), version=service.version or "1")


async def describe(settings: Settings) -> dict[str, Any]:
    """The same without a server: load the models to know their signatures, and let them go.

    Raises `BadSetting`, and what keeps a model from being loaded.
    """
    service = Service(settings, process_started=perf_counter(), starts=begin(settings))
    await service.open()
    try:
        for served in service.models.served():
            await served.load()
        return document_of(service)
    finally:
        await service.close()


def _models(service: Service) -> list[Model]:
    return [
        Model(name, {each.version or "": each.ready and each.ready.signature for each in versions}, _default(versions))
        for name, versions in list(service.models.items())
    ]


def _default(versions: Versions) -> str:
    return versions.default.version or ""
