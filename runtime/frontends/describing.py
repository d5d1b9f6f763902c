"""The OpenAPI document of a service: the routes that its settings mount, for its models."""

from time import perf_counter
from typing import Any

from runtime.frontends import catalogue
from runtime.frontends.openapi import Model, document
from runtime.frontends.openapi.listing import list_routes
from runtime.models import Versions
from runtime.service import Service, begin
from runtime.settings import Settings


def document_of(service: Service) -> dict[str, Any]:
    """Describe the REST routes of the service's main port."""
    settings = service.settings
    protocols, generic = catalogue.mounted(settings, function=settings.has_function)
    return document(_models(service), list(list_routes(protocols, generic)), version=service.version or "1")


async def describe(settings: Settings) -> dict[str, Any]:
    """Describe the routes without a server: load the models for their signatures, and unload them.

    Raises `BadSetting`, and the errors of a model that cannot be loaded.
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
