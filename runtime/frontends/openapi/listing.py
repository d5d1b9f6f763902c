"""The routes of a port: the built-in ones and those of its protocols in the catalogue. Pure."""

from collections.abc import Container, Iterator, Sequence
from typing import Final

from runtime.frontends.catalogue import grpc_services
from runtime.frontends.openapi.document import Described, description
from runtime.frontends.protocol import Protocol, served_paths

# The built-in owners with their prefixes. They are always mounted; the keys of their operations are "METHOD PATTERN".
BUILTIN: Final = {"scalezero": ("/healthz",), "predict": ("/api/v1/models",)}


def list_routes(protocols: Sequence[Protocol], generic: Container[str]) -> Iterator[Described]:
    """Yield each route once. `generic` has the names of the protocols whose generic paths are mounted."""
    for owner in BUILTIN:
        for key in description(owner).operations:
            method, pattern = key.split()
            yield Described(owner, method, pattern, key)
    for protocol in protocols:
        if protocol.rest is None:
            continue
        paths = [*protocol.rest.paths, *(protocol.rest.generic if protocol.name in generic else ())]
        for path in served_paths(protocol, paths, protocols):
            yield Described(protocol.name, path.method, path.pattern, path.handler, protocol.rest.ignore_case)


def prefixes(protocols: Sequence[Protocol], generic: Container[str]) -> list[str]:
    """Return the prefixes that scalezero or a protocol owns: no path below them gets to the author's function.

    The arguments are those of `list_routes`.
    """
    owned = [prefix for each in BUILTIN.values() for prefix in each]
    owned += [f"/{each.service}" for each in grpc_services(protocols)]
    for protocol in protocols:
        if protocol.rest is not None:
            owned += protocol.rest.prefixes
            owned += protocol.rest.generic_prefixes if protocol.name in generic else ()
    return owned
